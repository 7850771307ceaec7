package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"tandem/ops"
)

func newStatus(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "One look at the pair", Args: cobra.NoArgs,
		Example: "  tandem status\n  tandem status --json | jq .sides.blue.traffic",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openWith(g, links{borrow: true})
			if err != nil {
				return err
			}
			defer s.close()
			snap := s.glance(cmd.Context())
			if leftover(&snap) {
				for _, text := range s.tidy(cmd.Context(), &snap) {
					fmt.Fprintln(cmd.ErrOrStderr(), "tandem: "+safe(text))
				}
			}
			if asJSON {
				if err := writeJSON(cmd.OutOrStdout(), statusOf(&snap)); err != nil {
					return err
				}
			} else {
				printStatus(cmd.OutOrStdout(), &snap)
			}
			return unreachable(&snap)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object, see the README for its shape")
	return cmd
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printStatus writes a snapshot as plain lines: words, no colour, no boxes.
func printStatus(w io.Writer, snap *ops.Snapshot) {
	fmt.Fprintf(w, "%s   %s   %s of 2 in service   %s\n", snap.Pair.Name, snap.Balancer.Name, serving(&snap.Balancer), snap.At.UTC().Format("2006-01-02 15:04:05Z"))
	if err := snap.Balancer.Look.Err; err != nil {
		printProblem(w, "balancer", err)
	}
	for _, side := range ops.Sides {
		printSide(w, snap, side)
	}
	if len(snap.Findings) > 0 {
		fmt.Fprintln(w, "\nfindings")
	}
	for _, f := range snap.Findings {
		fmt.Fprintf(w, "  %-5s %-5s %s\n", f.Severity, f.Side.Upper(), safe(f.Title))
		if f.Hint != "" {
			fmt.Fprintf(w, "              → %s\n", safe(f.Hint))
		}
	}
}

// serving counts the sides in service; "?" where the traffic of one is not known.
func serving(b *ops.BalancerStatus) string {
	in := 0
	for _, side := range ops.Sides {
		switch b.On(side).Traffic {
		case ops.InService:
			in++
		case ops.Unknown, "":
			return "?"
		}
	}
	return strconv.Itoa(in)
}

func printSide(w io.Writer, snap *ops.Snapshot, side ops.Side) {
	st, traffic := snap.On(side), snap.Balancer.On(side)
	fmt.Fprintf(w, "\n%s  %s  %s", side.Upper(), snap.Pair.Addresses[side], traffic.Traffic.Words())
	if traffic.Sessions != nil {
		fmt.Fprintf(w, ", %d sessions", *traffic.Sessions)
	}
	if traffic.Detail != "" {
		fmt.Fprintf(w, " (%s)", safe(traffic.Detail))
	}
	fmt.Fprintln(w)
	if st.Host.Err != nil {
		printProblem(w, "host", st.Host.Err)
	}
	if st.Host.Err == nil {
		fmt.Fprintf(w, "  engine %s (installed %s)   compose %s   api %s   %s   up %s\n",
			dash(st.Version.Running), dash(st.Facts.Installed), dash(st.Facts.Compose), dash(st.Version.API), dash(st.Facts.OS), units.HumanDuration(st.Facts.Uptime))
	}
	if st.Engine.Err != nil {
		if st.Host.Err == nil || cause(st.Engine.Err) != cause(st.Host.Err) {
			printProblem(w, "engine", st.Engine.Err)
		}
		return
	}
	ready, of := st.Ready()
	fmt.Fprintf(w, "  %d of %d ready\n", ready, of)
	for _, svc := range st.Services {
		image := ""
		if len(svc.Containers) > 0 {
			image = svc.Containers[0].Image
		}
		fmt.Fprintf(w, "    %-20s %-14s %s\n", safe(svc.Name), safe(svc.State), safe(image))
	}
	if st.Lock != nil {
		fmt.Fprintf(w, "  locked by %s at %s: %s %s, run %s\n", safe(st.Lock.By), safe(st.Lock.From), st.Lock.Op, st.Lock.Side, st.Lock.Run)
	}
}

// cause is why something did not succeed, whatever was being done.
func cause(p *ops.Problem) string {
	if p.Err == nil {
		return p.Error()
	}
	return p.Err.Error()
}

func printProblem(w io.Writer, what string, p *ops.Problem) {
	fmt.Fprintf(w, "  %s: %s\n", what, safe(p.Error()))
	if p.Hint != "" {
		fmt.Fprintf(w, "    → %s\n", p.Hint)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return safe(s)
}

// seconds gives a duration as JSON has it.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(time.RFC3339)
	return &text
}
