package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"tandem/ops/lab"
)

func newDemo(g *globals) *cobra.Command {
	var scenario, balancer, keep string
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
			end, err := startLab(g, lab.Options{Scenario: scenario, Dir: keep, Speed: speed, Balancer: balancer})
			if err != nil {
				return err
			}
			defer end()
			if keep != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "the lab is up: tandem --config %s; Ctrl-C ends it\n", g.config)
				return waitForInterrupt(cmd.Context())
			}
			return runConsole(cmd.Context(), g)
		},
	}
	cmd.Flags().StringVar(&scenario, "scenario", "calm", "the situation: see --list")
	cmd.Flags().StringVar(&balancer, "balancer", "haproxy", "haproxy or elbv2")
	cmd.Flags().Float64Var(&speed, "speed", 1, "how many `times` as fast the made-up hosts are: at 8 a reboot takes 2 s")
	cmd.Flags().StringVar(&keep, "keep", "", "open no console: keep the lab up with its config in `folder`, for other commands")
	cmd.Flags().BoolVar(&list, "list", false, "list the scenarios")
	canRecord(cmd, g)
	cmd.MarkFlagsMutuallyExclusive("record", "keep")
	offerFrom(cmd, "scenario", func() (names []string) {
		for _, sc := range lab.Scenarios() {
			names = append(names, sc.Name+"\t"+sc.Text)
		}
		return names
	})
	offer(cmd, "balancer", "haproxy", "elbv2")
	offer(cmd, "speed", "1", "2", "4", "8")
	return cmd
}

// startLab starts a lab, and makes its config the one in use. Without a folder it gets one that
// goes with it, journals and all: what earlier demos recorded is of another world.
func startLab(g *globals, opt lab.Options) (end func(), err error) {
	clean := func() {}
	if opt.Dir == "" {
		if opt.Dir, err = os.MkdirTemp("", "tandem-demo-"); err != nil {
			return nil, fmt.Errorf("making a folder for the demo: %w", err)
		}
		clean = func() { os.RemoveAll(opt.Dir) }
		os.Setenv("XDG_STATE_HOME", filepath.Join(opt.Dir, "state"))
		xdg.Reload()
	} else if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the lab: %w", err)
	}
	world, err := lab.Start(opt)
	if err != nil {
		clean()
		return nil, &codeError{exitUsage, err}
	}
	g.config = world.ConfigPath()
	return func() { world.Close(); clean() }, nil
}

func waitForInterrupt(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	<-ctx.Done()
	return nil
}
