package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/config"
	"tandem/ops/inspect"
	"tandem/ops/lb/haproxy"
	"tandem/ops/remote"
)

// initFlags are what an operator may tell of a pair that has no config yet.
type initFlags struct {
	output, pair                       string
	jump, identity, knownHosts, socket string
	via                                string
	force                              bool
}

func newInit() *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use: "init blue=[USER@]HOST green=[USER@]HOST", Short: "Look at two hosts and write a commented config", Args: cobra.ExactArgs(2),
		Long: `init looks at both hosts over SSH and changes nothing on them: the compose project that they have in common,
its services in the order of their compose files, jobs, HAProxy where its socket is found, the instance ids
where the hosts are EC2 instances. It writes a tandem.yaml whose comments say what is a guess.`,
		Example: "  tandem init blue=ops@10.0.1.11 green=ops@10.0.1.12\n  tandem init blue=ops@10.0.1.11 green=ops@10.0.1.12 --haproxy unix:///run/haproxy/admin.sock --via ops@lb1",
		RunE: func(cmd *cobra.Command, args []string) error {
			addresses, err := bothSides(args)
			if err != nil {
				return err
			}
			if f.output != "-" && !f.force {
				if _, err := os.Stat(f.output); !errors.Is(err, fs.ErrNotExist) {
					return usagef("%s is there already: give another --output, or --force to replace it", f.output)
				}
			}
			draft, err := f.draft(cmd.Context(), addresses)
			if err != nil {
				return err
			}
			text := draft.YAML()
			if _, err := config.Parse("the draft", text); err != nil {
				return fmt.Errorf("checking the draft: %w\n%s", err, text)
			}
			out := cmd.OutOrStdout()
			if f.output == "-" {
				_, err := out.Write(text)
				return err
			}
			if err := os.WriteFile(f.output, text, 0o600); err != nil {
				return fmt.Errorf("writing the config: %w", err)
			}
			fmt.Fprintf(out, "%s: %d services, %d jobs, %s balancer\n", f.output, len(draft.Services), len(draft.Jobs), draft.Balancer.Kind)
			for _, part := range []string{"balancer", "compose", "services", "jobs"} {
				for _, note := range draft.Notes[part] {
					fmt.Fprintf(out, "  %s: %s\n", part, safe(note))
				}
			}
			fmt.Fprintf(out, "Look at it, then: tandem config check, tandem status\n")
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "tandem.yaml", "`file` to write; - prints it")
	flags.BoolVar(&f.force, "force", false, "replace the file if it is there")
	flags.StringVar(&f.pair, "pair", "", "`name` of the pair (default: the compose project)")
	flags.StringVar(&f.jump, "jump", "", "`machine` to go through, as in ssh -J")
	flags.StringVar(&f.identity, "identity", "", "private key `file` (default: the agent, then ~/.ssh/config)")
	flags.StringVar(&f.knownHosts, "known-hosts", "", "known hosts `file` (default: ~/.ssh/known_hosts)")
	flags.StringVar(&f.socket, "haproxy", "", "HAProxy's runtime `socket`: unix:///path or tcp://host:port (default: looked for)")
	flags.StringVar(&f.via, "via", "", "the `machine` that has the socket, reached over SSH")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		words := []string{"blue=", "green="}
		return slices.DeleteFunc(words, func(word string) bool {
			return slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, word) })
		}), noFiles | cobra.ShellCompDirectiveNoSpace
	}
	return cmd
}

// bothSides are the addresses of blue and green, as given.
func bothSides(args []string) (map[ops.Side]string, error) {
	addresses := map[ops.Side]string{}
	for _, arg := range args {
		name, address, ok := strings.Cut(arg, "=")
		side, err := ops.ParseSide(name)
		if !ok || err != nil || address == "" {
			return nil, usagef("%q is not blue=HOST or green=HOST", arg)
		}
		if addresses[side] != "" {
			return nil, usagef("%s is given twice", side)
		}
		addresses[side] = address
	}
	return addresses, nil
}

// draft looks at the hosts.
func (f *initFlags) draft(ctx context.Context, addresses map[ops.Side]string) (config.Draft, error) {
	s := &session{station: here(), cfg: &config.Config{Pair: ops.Pair{Addresses: addresses}}, hosts: map[ops.Side]*remote.Host{}, readOnly: new(atomic.Bool)}
	s.readOnly.Store(true)
	defer s.close()
	d := config.Draft{Pair: f.pair, Hosts: map[ops.Side]config.Host{}, Notes: map[string][]string{}}
	for _, side := range ops.Sides {
		d.Hosts[side] = config.Host{SSH: addresses[side], Jump: f.jump, Identity: f.identity, KnownHosts: f.knownHosts}
		host, err := s.remote(side, d.Hosts[side])
		if err != nil {
			return d, &codeError{exitUsage, err}
		}
		s.hosts[side] = host
	}
	found, err := inspect.Survey(ctx, s.opsHosts())
	if err != nil {
		return d, &codeError{exitNoLook, err}
	}
	d.Compose, d.Services, d.Jobs, d.Notes = found.Compose, found.Services, found.Jobs, found.How
	if d.Pair == "" {
		d.Pair = found.Compose.Project
	}
	if d.Pair == "" {
		d.Pair = "pair"
	}
	d.Balancer = f.balancer(ctx, s, &d)
	return d, nil
}

// balancer is the load balancer as far as it can be found: an HAProxy whose socket answers,
// else target groups where the hosts are EC2 instances, else an HAProxy to be filled in.
func (f *initFlags) balancer(ctx context.Context, s *session, d *config.Draft) config.Balancer {
	note := func(format string, args ...any) {
		d.Notes["balancer"] = append(d.Notes["balancer"], fmt.Sprintf(format, args...))
	}
	if b, ok := f.haproxy(ctx, s, note); ok {
		return b
	}
	targets := map[ops.Side]string{}
	region := ""
	for _, side := range ops.Sides {
		targets[side], region = instance(ctx, s.hosts[side])
	}
	if targets[ops.Blue] != "" && targets[ops.Green] != "" {
		note("the hosts are EC2 instances in %s: put the names of their target groups in the place of CHANGE-ME", region)
		return config.Balancer{Kind: "elbv2", ELBv2: config.ELBv2{Region: region, TargetGroups: []string{"CHANGE-ME"}, Targets: targets}}
	}
	note("no load balancer was found: a guess at an HAProxy on this machine; set socket, backends and servers, or see kind: elbv2 and kind: command in the README")
	return config.Balancer{Kind: "haproxy", HAProxy: config.HAProxy{
		Socket: "unix:///run/haproxy/admin.sock", Backends: []string{d.Pair}, Servers: map[ops.Side]string{ops.Blue: "blue", ops.Green: "green"},
	}}
}

// haproxySockets are where Debian, Red Hat and the official image have it.
var haproxySockets = []string{"unix:///run/haproxy/admin.sock", "unix:///var/lib/haproxy/stats", "unix:///var/run/haproxy.sock"}

// spot is a machine on which HAProxy's socket may be.
type spot struct {
	via  string // empty: this machine
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (f *initFlags) haproxy(ctx context.Context, s *session, note func(string, ...any)) (config.Balancer, bool) {
	sockets := haproxySockets
	if f.socket != "" {
		sockets = []string{f.socket}
	}
	places := []spot{{dial: (&net.Dialer{}).DialContext}}
	if f.via != "" {
		host, err := s.remote("", config.Host{SSH: f.via, Identity: f.identity, KnownHosts: f.knownHosts})
		if err != nil {
			note("%s cannot be asked for HAProxy: %v", f.via, err)
			return config.Balancer{}, false
		}
		defer host.Close()
		places = []spot{{f.via, host.DialContext}}
	} else if f.socket == "" {
		for _, side := range ops.Sides {
			places = append(places, spot{s.cfg.Pair.Addresses[side], s.hosts[side].DialContext})
		}
	}
	for _, at := range places {
		for _, socket := range sockets {
			servers, err := haproxy.Survey(ctx, haproxy.Config{Socket: socket, Via: at.via, Dial: at.dial})
			if err != nil {
				if f.socket != "" {
					note("HAProxy at %s does not answer: %v", socket, err)
				}
				continue
			}
			if b, ok := match(ctx, s, servers); ok {
				b.Socket = socket
				where := "this machine"
				if at.via != "" {
					b.Via, where = &config.Host{SSH: at.via}, at.via
				}
				note("HAProxy answers at %s of %s; it needs `level admin` for drain and put back", socket, where)
				return config.Balancer{Kind: "haproxy", HAProxy: b}, true
			}
			note("HAProxy at %s has no server with the address or the name of both sides", socket)
		}
	}
	return config.Balancer{}, false
}

// match finds the backends in which both sides are a server, by address or by name.
func match(ctx context.Context, s *session, servers []haproxy.ServerAt) (config.HAProxy, bool) {
	is := map[ops.Side]func(haproxy.ServerAt) bool{}
	for _, side := range ops.Sides {
		var own []string
		if facts, err := s.hosts[side].Net(ctx); err == nil {
			for _, p := range facts.Addresses {
				own = append(own, p.Addr().String())
			}
		}
		is[side] = func(at haproxy.ServerAt) bool {
			addr, err := netip.ParseAddr(at.Addr)
			return err == nil && !addr.IsLoopback() && slices.Contains(own, addr.String()) || at.Name == string(side)
		}
	}
	b := config.HAProxy{Servers: map[ops.Side]string{}}
	byBackend := map[string]map[ops.Side]string{}
	var order []string
	for _, at := range servers {
		if byBackend[at.Backend] == nil {
			byBackend[at.Backend] = map[ops.Side]string{}
			order = append(order, at.Backend)
		}
		for side, fits := range is {
			if fits(at) {
				byBackend[at.Backend][side] = at.Name
			}
		}
	}
	for _, name := range order {
		of := byBackend[name]
		if of[ops.Blue] == "" || of[ops.Green] == "" || of[ops.Blue] == of[ops.Green] {
			continue
		}
		if len(b.Backends) > 0 && (b.Servers[ops.Blue] != of[ops.Blue] || b.Servers[ops.Green] != of[ops.Green]) {
			continue // other names there: one config has one name for each side
		}
		b.Backends, b.Servers = append(b.Backends, name), of
	}
	return b, len(b.Backends) > 0
}

// instanceScript asks the metadata service of EC2 (IMDSv2) for the instance and its region.
// Elsewhere nothing answers on that address, so the wait is short.
const instanceScript = `at=http://169.254.169.254/latest
token=$(curl -sf -m 1 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $at/api/token) || exit 1
for what in instance-id placement/region; do curl -sf -m 1 -H "X-aws-ec2-metadata-token: $token" $at/meta-data/$what || exit 1; echo; done`

// instance is the id and the region of a host that is an EC2 instance; empty where it is none.
func instance(ctx context.Context, host *remote.Host) (id, region string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := host.Exec(ctx, ops.Command{Args: []string{"sh", "-c", instanceScript}})
	words := strings.Fields(string(out))
	if err != nil || len(words) != 2 || !strings.HasPrefix(words[0], "i-") {
		return "", ""
	}
	return words[0], words[1]
}
