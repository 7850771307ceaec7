package main

import (
	"fmt"
	"os"
	"strings"
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
		newPictures(),
		&cobra.Command{
			Use: "man DIR", Short: "Write the man pages of all commands into a folder", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return writeMan(cmd.Root(), args[0], thisBuild()) },
		},
		&cobra.Command{
			Use: "keys FILE", Short: "Write the key table into a Markdown file, between the marks for it", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				text, err := os.ReadFile(args[0])
				if err != nil {
					return fmt.Errorf("reading the file with the key table: %w", err)
				}
				with, err := withKeys(string(text))
				if err != nil {
					return fmt.Errorf("writing the key table into %s: %w", args[0], err)
				}
				return os.WriteFile(args[0], []byte(with), 0o644)
			},
		},
	)
	return cmd
}

// The marks between which the key table is.
const keysBegin, keysEnd = "<!-- keys: go run ./cmd/tandem docs keys README.md -->\n", "<!-- end of keys -->\n"

// withKeys is a text with the key table of this program between its marks.
func withKeys(text string) (string, error) {
	before, rest, begins := strings.Cut(text, keysBegin)
	_, after, ends := strings.Cut(rest, keysEnd)
	if !begins || !ends {
		return "", fmt.Errorf("it has no %q and %q", keysBegin, keysEnd)
	}
	return before + keysBegin + "\n" + tui.KeysMarkdown() + "\n" + keysEnd + after, nil
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
