package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/tui"
)

func newDemo(g *globals) *cobra.Command {
	var scenario, balancer, keep, picture string
	var list bool
	var speed float64
	cmd := &cobra.Command{
		Use: "demo", Short: "The console on a made-up pair: nothing is needed", Args: cobra.NoArgs,
		Long: `demo starts a small world in this process (two SSH servers, two Docker engines, a load balancer with
made-up traffic, all on loopback) and opens the console on it. Everything works: drain, restart,
put back, roll back. Nothing outside this process is touched, and all is gone when it ends.`,
		Example: "  tandem demo\n  tandem demo --scenario incident --read-only\n  tandem demo --keep /tmp/lab & tandem --config /tmp/lab/tandem.yaml status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				for _, sc := range lab.Scenarios() {
					fmt.Fprintf(cmd.OutOrStdout(), "%-10s %s\n", sc.Name, sc.Text)
				}
				return nil
			}
			dir := keep
			if keep == "" {
				temp, err := os.MkdirTemp("", "tandem-demo-")
				if err != nil {
					return fmt.Errorf("making a folder for the demo: %w", err)
				}
				defer os.RemoveAll(temp)
				dir = temp
				// What earlier demos recorded is of another world.
				os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
				xdg.Reload()
			} else if err := os.MkdirAll(keep, 0o700); err != nil {
				return fmt.Errorf("making the folder of the lab: %w", err)
			}
			world, err := lab.Start(lab.Options{Scenario: scenario, Dir: dir, Speed: speed, Balancer: balancer})
			if err != nil {
				return &codeError{exitUsage, err}
			}
			defer world.Close()
			g.config = world.ConfigPath()
			switch {
			case keep != "":
				fmt.Fprintf(cmd.OutOrStdout(), "the lab is up: tandem --config %s; Ctrl-C ends it\n", g.config)
				return waitForInterrupt(cmd.Context())
			case picture != "":
				return takePicture(cmd.Context(), g, picture)
			}
			return runConsole(cmd.Context(), g)
		},
	}
	cmd.Flags().StringVar(&scenario, "scenario", "calm", "the situation: see --list")
	cmd.Flags().StringVar(&balancer, "balancer", "haproxy", "haproxy or elbv2")
	cmd.Flags().Float64Var(&speed, "speed", 1, "how many `times` as fast the made-up hosts are: at 8 a reboot takes 2 s")
	cmd.Flags().StringVar(&keep, "keep", "", "open no console: keep the lab up with its config in `folder`, for other commands")
	cmd.Flags().StringVar(&picture, "picture", "", "open no console: write its first whole frame as SVG into `file`")
	cmd.Flags().BoolVar(&list, "list", false, "list the scenarios")
	canRecord(cmd, g)
	cmd.MarkFlagsMutuallyExclusive("record", "keep", "picture")
	cmd.RegisterFlagCompletionFunc("scenario", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, sc := range lab.Scenarios() {
			names = append(names, sc.Name+"\t"+sc.Text)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// pictureSize is the size that the console is designed for, less the empty lines.
var pictureSize = tui.Size{W: 120, H: 34}

// takePicture waits until both sides and the balancer have been seen, and draws them.
func takePicture(ctx context.Context, g *globals, file string) error {
	s, err := open(g)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	opt, err := s.drawing(ctx, g)
	if err != nil {
		return err
	}
	b := newBackend(ctx, s, g)
	defer b.close()
	opt.Backend = b
	for snap := b.Snapshot(); !whole(&snap); snap = b.Snapshot() {
		select {
		case <-b.Changed():
		case <-ctx.Done():
			return fmt.Errorf("waiting for a whole look at the lab: %w", ctx.Err())
		}
	}
	if err := os.WriteFile(file, []byte(tui.Picture(opt, pictureSize)), 0o644); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return nil
}

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

func waitForInterrupt(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	<-ctx.Done()
	return nil
}
