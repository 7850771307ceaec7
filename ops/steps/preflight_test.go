package steps

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"tandem/ops"
)

func preflightOf(w *world) (Preflight, *tool) {
	h := w.hosts[ops.Green]
	c := newTool(h)
	h.engine.version, h.facts = "20.10.24+dfsg1", ops.Facts{Compose: "1.29.2", Installed: "20.10.24"}
	asCompose := h.program
	h.program = func(cmd ops.Command) ([]byte, bool, error) {
		switch {
		case slices.Equal(cmd.Args, []string{"id", "-u"}) && cmd.Privileged:
			return []byte("0\n"), true, nil
		case cmd.Args[0] == "test":
			return nil, true, nil
		}
		return asCompose(cmd)
	}
	return Preflight{
		Side: ops.Green, Run: "20261122T1123.R1", How: ops.StartCompose, Reboot: true, Pools: true,
		Compose: Compose{Command: []string{"docker-compose"}, Project: "p", Directory: "/opt/p", Files: []string{"docker-compose.yml"}},
	}, c
}

func TestPreflight(t *testing.T) {
	refuse := func(first string, out string, err error) func(*world, *Preflight, *tool) {
		return func(w *world, _ *Preflight, _ *tool) {
			h := w.hosts[ops.Green]
			otherwise := h.program
			h.program = func(c ops.Command) ([]byte, bool, error) {
				if c.Args[0] == first {
					return []byte(out), true, err
				}
				return otherwise(c)
			}
		}
	}
	table := []struct {
		name   string
		before func(*world, *Preflight, *tool)
		err    string
		hint   string
		tries  int // of compose
	}{
		{"all well", nil, "", "", 4},
		{"through the engine", func(_ *world, p *Preflight, _ *tool) { p.How = ops.StartAPI }, "", "", 0},
		{"not root", refuse("id", "1000\n", nil), "they run as user 1000", "sudo: true", 0},
		{"sudo refused", refuse("id", "", ops.ErrNotPermitted), "proving that commands can be run as root", "", 0},
		{"no systemd", refuse("test", "", &ops.ExitError{Status: 1}), "the host was not booted with it", "--without reboot,pools", 0},
		{"no systemd, not needed", func(w *world, p *Preflight, c *tool) {
			p.Reboot, p.Pools = false, false
			refuse("test", "", &ops.ExitError{Status: 1})(w, p, c)
		}, "", "", 4},
		{"apt at work", func(w *world, _ *Preflight, _ *tool) {
			w.hosts[ops.Green].dpkg, w.hosts[ops.Green].locks = "1311\n", "1: POSIX  ADVISORY  WRITE 708 08:01:1311 0 EOF\n"
		}, "apt or dpkg is at work (process 708)", "let it come to its end", 0},
		{"compose cannot recreate", func(w *world, p *Preflight, c *tool) {
			c.breaks = true
			w.hosts[ops.Green].engine.version = "26.1.5+dfsg1"
		},
			"recreating a container, docker-compose 1.29.2 on engine 26.1.5): docker-compose ended with status 1: KeyError: 'ContainerConfig'", "--start api", 3},
		{"compose will not suit the installed engine", func(w *world, _ *Preflight, _ *tool) { w.hosts[ops.Green].facts.Installed = "26.1.5" },
			"compose 1.29.2 cannot recreate containers on engine 26.1.5 (KeyError: 'ContainerConfig'), which is installed and will run after the restart", "--start api", 1},
		{"the same, but nothing restarts the engine", func(w *world, p *Preflight, _ *tool) {
			w.hosts[ops.Green].facts.Installed, p.Reboot, p.Pools = "26.1.5", false, false
		}, "", "", 4},
		{"files cannot be read", func(_ *world, _ *Preflight, c *tool) { c.fails = "ERROR: .FileNotFoundError: './docker-compose.yml'\n" }, "reading the files of project p): docker-compose ended with status 1: ERROR: .FileNotFound", "--start api", 1},
		{"only root may use the engine", func(_ *world, _ *Preflight, c *tool) { c.rooted = true }, "", "", 8},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				p, c := preflightOf(w)
				e := w.hosts[ops.Green].engine
				if test.before != nil {
					test.before(w, &p, c)
				}
				for range 2 {
					c.asked = nil
					_, err := carryOut(t, p, w.envOf("preflight"))
					if test.err == "" {
						must(t, err)
					} else {
						wantErr(t, err, test.err)
					}
					var problem *ops.Problem
					if test.hint != "" && (!errors.As(err, &problem) || !strings.Contains(problem.Hint, test.hint)) {
						t.Errorf("hint of %+v", problem)
					}
					if len(c.asked) != test.tries {
						t.Errorf("compose was asked %q", c.asked)
					}
					if len(e.containers) != 0 || len(e.images) != 2 {
						t.Errorf("left: %d containers, images %v", len(e.containers), e.images)
					}
				}
			})
		})
	}
}

// What a killed probe left is removed by the next.
func TestPreflightCutAnywhere(t *testing.T) {
	for n, more := 1, true; more; n++ {
		bubble(t, func(t *testing.T) {
			w := newWorld()
			p, c := preflightOf(w)
			died, err := w.dieIn(t.Context(), n, func(ctx context.Context) error { return p.prove(ctx, w.envOf("preflight")) })
			if more = died; !died {
				must(t, err)
			}
			c.joint = "_"
			_, err = carryOut(t, p, w.envOf("preflight"))
			must(t, err)
			if e := w.hosts[ops.Green].engine; len(e.containers) != 0 || len(e.images) != 2 {
				t.Errorf("call %d left: %d containers, images %v", n, len(e.containers), e.images)
			}
		})
	}
}

func TestPreflightSaysWhatIsNotSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		p, c := preflightOf(w)
		c.unset = true
		_, err := carryOut(t, p, w.envOf("preflight"))
		must(t, err)
		want := []string{"WARNING: The TAG variable is not set. Defaulting to a blank string.", "docker-compose 1.29.2 on engine 20.10.24: a throw-away container was created, recreated and removed"}
		if !slices.Equal(w.said, want) {
			t.Errorf("said %q", w.said)
		}
	})
}

func TestPreflightGuards(t *testing.T) {
	ids := func(p Preflight) (ids []string) {
		for _, g := range p.Guards() {
			ids = append(ids, g.ID)
		}
		return ids
	}
	first := ids(Preflight{Side: ops.Blue})
	if want := []string{GuardSideFresh, GuardPeerReachable, GuardPeerInService, GuardPeerReady, GuardOnlyHere, GuardNoJobRunning, GuardOrderKnown}; !slices.Equal(first, want) {
		t.Errorf("guards %q", first)
	}
	if second := ids(Preflight{Side: ops.Blue, First: ops.Green}); !slices.Equal(second, append(first, GuardPeerCanary, GuardVersionsAgree)) {
		t.Errorf("guards of the second part %q", second)
	}
}

func TestVerifyAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		two(w, "healthy")
		e := w.hosts[ops.Green].engine
		e.byName("tcs-2").State, e.byName("tcs-2").ExitCode = "exited", 1
		_, err := carryOut(t, Verify{Side: ops.Green, Within: 60e9}, accepting(w.env(), GuardServicesReady))
		must(t, err)
		if last := w.said[len(w.said)-1]; last != "GREEN: 1 of 2 services ready; tcs-2 exited 1: accepted (services-ready)" {
			t.Errorf("said %q", last)
		}
	})
}
