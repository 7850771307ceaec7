package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/config"
	"tandem/ops/steps"
	"tandem/themes"
)

// What the shell completes words with. It is read from the config and the journals of this
// machine: no host is asked.

const noFiles = cobra.ShellCompDirectiveNoFileComp

var sideNames = []string{string(ops.Blue), string(ops.Green)}

// complete gives words for the arguments of a command, by how many there are already.
func complete(words func(args []string) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return words(args), noFiles | cobra.ShellCompDirectiveKeepOrder
	}
}

// offer gives words for a flag.
func offer(cmd *cobra.Command, flag string, words ...string) {
	offerFrom(cmd, flag, func() []string { return words })
}

func offerFrom(cmd *cobra.Command, flag string, words func() []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return afterComma(typed, words()), noFiles | cobra.ShellCompDirectiveKeepOrder
	})
	if err != nil { // no such flag
		panic(err)
	}
}

// afterComma completes the last part of a list.
func afterComma(typed string, words []string) []string {
	i := strings.LastIndex(typed, ",") + 1
	if i == 0 {
		return words
	}
	var list []string
	for _, word := range words {
		if !slices.Contains(strings.Split(typed[:i-1], ","), word) {
			list = append(list, typed[:i]+word)
		}
	}
	return list
}

// completeOp completes an operation, its side, and what of the side it is about.
func completeOp(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		directive := noFiles | cobra.ShellCompDirectiveKeepOrder
		if len(args) == 0 {
			return opNames, directive
		}
		op := ops.Op(args[0])
		switch {
		case len(args) == 1 && op == ops.OpRecover:
			return append(slices.Clone(sideNames), both), directive
		case len(args) == 1:
			return sideNames, directive
		case op == ops.OpRestart:
			return without(servicesOf(g, args[1]), args[2:]), directive
		case op == ops.OpRollback && cmd.Flags().Lookup("versions").Value.String() != "true":
			var names []string
			for _, name := range servicesOf(g, args[1]) {
				names = append(names, name+"=")
			}
			return names, directive | cobra.ShellCompDirectiveNoSpace
		case op == ops.OpJob && len(args) == 2:
			return jobsOf(g, args[1]), directive
		}
		return nil, directive
	}
}

// completeService completes a side and a service of it.
func completeService(g *globals) cobra.CompletionFunc {
	return complete(func(args []string) []string {
		switch len(args) {
		case 0:
			return sideNames
		case 1:
			return append(servicesOf(g, args[0]), jobsOf(g, args[0])...)
		}
		return nil
	})
}

// without are the words that were not given yet.
func without(words, given []string) []string {
	return slices.DeleteFunc(words, func(word string) bool { return slices.Contains(given, word) })
}

// configured is the config in use; nil where there is none, or one with mistakes.
func configured(g *globals) *config.Config {
	cfg, err := loadConfig(g.config)
	if err != nil {
		return nil
	}
	return cfg
}

// servicesOf are the services that the config has on a side, in start order.
func servicesOf(g *globals, name string) (names []string) {
	side, err := ops.ParseSide(name)
	if cfg := configured(g); cfg != nil && err == nil {
		for _, s := range cfg.Pair.Services {
			if s.On(side) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// jobsOf are the jobs that the config has on a side.
func jobsOf(g *globals, name string) (names []string) {
	side, err := ops.ParseSide(name)
	if cfg := configured(g); cfg != nil && err == nil {
		for _, j := range cfg.Pair.Jobs {
			if j.Only == "" || j.Only == side {
				names = append(names, j.Name)
			}
		}
	}
	return names
}

// offerRisks completes what may be accepted, for all of a run or for the steps of one side.
func offerRisks(cmd *cobra.Command) {
	err := cmd.RegisterFlagCompletionFunc("accept", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		words := slices.Clone(steps.Risks)
		if strings.Contains(typed[strings.LastIndex(typed, ",")+1:], "@") {
			words = nil
			for _, risk := range steps.Risks {
				for _, side := range sideNames {
					words = append(words, risk+"@"+side)
				}
			}
		}
		return afterComma(typed, words), noFiles
	})
	if err != nil {
		panic(err)
	}
	offer(cmd, "reason")
}

// offerThemes completes the themes that come with tandem, and files.
func offerThemes(cmd *cobra.Command) {
	err := cmd.RegisterFlagCompletionFunc("theme", cobra.FixedCompletions(themes.Names(), cobra.ShellCompDirectiveDefault))
	if err != nil {
		panic(err)
	}
}

// completeRun completes the ids of the runs that are wanted, latest first. It asks no host.
func completeRun(g *globals, wanted func(*ops.Run) bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		const keep = noFiles | cobra.ShellCompDirectiveKeepOrder
		s, err := open(g)
		if err != nil || len(args) > 0 {
			return nil, keep
		}
		defer s.close()
		runs, _ := s.past()
		var list []string
		for _, r := range runs {
			if wanted(&r) {
				list = append(list, r.ID+"\t"+strings.TrimSpace(safe(r.Plan.Title)+", "+runOf(&r).Outcome))
			}
		}
		return list, keep
	}
}

// withoutFiles keeps the shell from offering files where a command takes none: only those that
// read or write what is named to them do.
func withoutFiles(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		withoutFiles(c)
		if named := c.CommandPath(); c.ValidArgsFunction == nil && named != "tandem config check" && !strings.HasPrefix(named, "tandem docs ") {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
}
