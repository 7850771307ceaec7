package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version of a packaged build; the linker sets it (see .goreleaser.yaml). Go
// itself knows the version only of what it has built from a tag or from the module proxy.
var release string

// build says what this program was built from. What is not known is empty.
type build struct {
	Schema   int    `json:"schema"`
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source
	Time     string `json:"time"`     // of the revision
	Modified bool   `json:"modified"` // the source had changes that no revision has
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// buildOf reads what the Go toolchain has put into the program; nil where it has put nothing.
func buildOf(info *debug.BuildInfo, release string) build {
	b := build{Schema: 1, Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info != nil {
		if info.Main.Version != "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if release != "" {
		b.Version = release
	}
	return b
}

func thisBuild() build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(info, release)
}

// version is the short form, for the console and the journal.
func version() string { return thisBuild().Version }

func (b build) print(w io.Writer) {
	fmt.Fprintln(w, "tandem", b.Version)
	if b.Revision != "" {
		modified := ""
		if b.Modified {
			modified = ", modified"
		}
		fmt.Fprintf(w, "revision  %s of %s%s\n", b.Revision, b.Time, modified)
	}
	fmt.Fprintf(w, "built by  %s for %s/%s\n", b.Go, b.OS, b.Arch)
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version and what it was built from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), thisBuild())
			}
			thisBuild().print(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}
