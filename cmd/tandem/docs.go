package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"tandem/tui"
)

// newDocs makes what is written from the code: man pages for packages, the key table of the
// README. It is hidden: operators have --help and ?.
func newDocs() *cobra.Command {
	cmd := &cobra.Command{Use: "docs", Short: "Documents made from the code", Hidden: true}
	cmd.AddCommand(
		&cobra.Command{
			Use: "man DIR", Short: "Write the man pages of all commands into a folder", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return writeMan(cmd.Root(), args[0], thisBuild()) },
		},
		&cobra.Command{
			Use: "keys", Short: "Print the key table as Markdown", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := fmt.Fprint(cmd.OutOrStdout(), tui.KeysMarkdown())
				return err
			},
		},
	)
	return cmd
}

// writeMan writes a page for each command. Their date is that of the source, so that two builds
// of it are the same.
func writeMan(root *cobra.Command, dir string, b build) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of the man pages: %w", err)
	}
	header := &doc.GenManHeader{Section: "1", Source: "tandem " + b.Version, Manual: "tandem"}
	if at, err := time.Parse(time.RFC3339, b.Time); err == nil {
		header.Date = &at
	}
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("writing the man pages: %w", err)
	}
	return nil
}
