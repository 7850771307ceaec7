package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/tui"
)

// newPictures takes the pictures of the README.
func newPictures() *cobra.Command {
	var speed float64
	cmd := &cobra.Command{
		Use: "pictures DIR", Short: "Take the pictures of the README: real frames of the demo, as SVG", Args: cobra.ExactArgs(1),
		Long: `pictures plays the incident of the demo in a console without a terminal, as the README tells it, and writes
what it shows into a folder: the pair, the dialog of a recovery, its run, and presenter mode. It takes as long
as the recovery of one side: some three minutes, less with --speed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 15*time.Minute)
			defer cancel()
			return takePictures(ctx, lab.Options{Scenario: "incident", Speed: speed}, args[0])
		},
	}
	cmd.Flags().Float64Var(&speed, "speed", 1, "how many `times` as fast the made-up hosts are")
	return cmd
}

// pictureSize is the size that the console is designed for, less the empty lines.
var pictureSize = tui.Size{W: 120, H: 34}

// scene is some keys of those that pictures are taken of, what the console shows then, and
// the name of the picture, if one is taken there.
type scene struct {
	keys    string
	once    bool // pressed again they would do something else
	see     []string
	picture string
}

// scenes are the beginning of the README's walk through the incident, up to GREEN's recovery.
var scenes = []scene{
	{see: []string{"revalidation", "f  why and how"}},
	{keys: "tab", once: true, picture: "console"},
	{keys: "tab", once: true},
	{keys: "c", see: []string{"press y to go on"}},
	{keys: "y", see: []string{"did not succeed; what was done has been taken back"}},
	{keys: "esc", see: []string{"d drain", "canary ✗"}},
	{keys: "tab", once: true},
	{keys: "R", see: []string{"Refused. Nothing was changed.", "5 start by: auto"}},
	{keys: "5", once: true, see: []string{"5 start by: compose"}},
	{keys: "5", once: true, see: []string{"5 start by: API"}},
	{keys: "a", see: []string{"type green "}},
	{keys: "ctrl+u INC-42", see: []string{"tab: next field"}},
	{keys: "tab", once: true},
	{keys: "ctrl+u green", once: true, see: []string{"type green to go on"}},
	{keys: "ctrl+u gre", see: []string{"type green to go on: gre"}, picture: "dialog"},
	{keys: "en", once: true, see: []string{"assessments        … starting"}, picture: "run"},
	{keys: "ctrl+p", once: true, see: []string{"PRESENTING"}},
	{keys: "esc", see: []string{"PRESENTING", "view run"}, picture: "presenting"},
	{keys: "v", see: []string{"✓ done in"}},
}

// takePictures plays the scenes and writes its pictures.
func takePictures(ctx context.Context, world lab.Options, dir string) error {
	g := &globals{}
	os.Setenv("TANDEM_OPERATOR", "ada@desk1") // pictures are of nobody's machine
	end, err := startLab(g, world)
	if err != nil {
		return err
	}
	defer end()
	s, err := openWith(g, links{lend: true, last: true})
	if err != nil {
		return err
	}
	defer s.close()
	opt, err := s.drawing(ctx, g)
	if err != nil {
		return err
	}
	b := newBackend(ctx, s, g, nil)
	defer b.close()
	opt.Backend = b
	for snap := b.Snapshot(); !whole(&snap); snap = b.Snapshot() {
		select {
		case <-b.Changed():
		case <-ctx.Done():
			return fmt.Errorf("waiting for a whole look at the lab: %w", ctx.Err())
		}
	}
	stage := tui.NewStage(ctx, opt, pictureSize)
	defer stage.Close()
	for _, scene := range scenes {
		show := stage.Insist
		if scene.once {
			show = stage.Show
		}
		if err := show(ctx, scene.keys, scene.see...); err != nil {
			return err
		}
		if scene.picture == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, scene.picture+".svg"), []byte(stage.Picture()), 0o644); err != nil {
			return fmt.Errorf("writing a picture: %w", err)
		}
	}
	return nil
}

// whole tells whether both sides and the balancer have been seen.
func whole(snap *ops.Snapshot) bool {
	for _, side := range ops.Sides {
		if st := snap.On(side); st.Host.At.IsZero() || st.Engine.At.IsZero() || st.Link != ops.LinkUp {
			return false
		}
		if sessions := snap.Balancer.On(side).Sessions; sessions != nil && *sessions == 0 {
			return false
		}
	}
	return !snap.Balancer.Look.At.IsZero()
}
