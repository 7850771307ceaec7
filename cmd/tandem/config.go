package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/config"
)

func newConfig(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check the config file, print its schema"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "check [FILE]", Short: "Read the config and name every mistake with file, line and column", Args: cobra.MaximumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				path := g.config
				if len(args) == 1 {
					path = args[0]
				}
				cfg, err := loadConfig(path)
				if err != nil {
					return err
				}
				if _, err := themeOf(&globals{}, cfg); err != nil {
					return err
				}
				if _, err := keysOf(cfg); err != nil {
					return err
				}
				if _, warning := slack(cfg.Notify); warning != "" {
					fmt.Fprintln(cmd.ErrOrStderr(), "tandem: "+warning)
				}
				order := fmt.Sprintf("%d services in start order", len(cfg.Pair.Services))
				if len(cfg.Pair.Services) == 0 {
					order = "services from compose labels"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: good: pair %s, blue %s, green %s, %s balancer, %s\n", cfg.Path, cfg.Pair.Name,
					cfg.Hosts[ops.Blue].SSH, cfg.Hosts[ops.Green].SSH, cfg.Balancer.Kind, order)
				return nil
			},
		},
		&cobra.Command{
			Use: "schema", Short: "Print the JSON schema of the config file, for editors", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := cmd.OutOrStdout().Write(config.Schema())
				return err
			},
		},
	)
	return cmd
}
