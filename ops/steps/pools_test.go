package steps

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

func newPools() Pools {
	return Pools{
		Side: ops.Green, Pools: []ops.Pool{{Base: netip.MustParsePrefix("10.200.0.0/16"), Size: 24}},
		Revert: 90 * time.Second, Within: time.Minute, File: daemonFile,
	}
}

const (
	oldFile = "{\n  \"log-driver\": \"local\",\n  \"mtu\": 1450\n}\n"
	newFile = "{\n  \"log-driver\": \"local\",\n  \"mtu\": 1450,\n  \"default-address-pools\": [{\"base\":\"10.200.0.0/16\",\"size\":24}]\n}\n"
)

func poolsWorld(*testing.T) *netWorld {
	w := newNetWorld()
	w.at[ops.Green].files[daemonFile], w.at[ops.Green].modes[daemonFile] = oldFile, 0o600
	return w
}

func wantHost(t *testing.T, w *netWorld, file string) {
	t.Helper()
	h := w.at[ops.Green]
	if w.file() != file {
		t.Errorf("the file is\n%s\nwant\n%s", w.file(), file)
	}
	if file != "-" {
		if want, err := poolsIn([]byte(file)); err != nil || !slices.Equal(h.eng.pools, want) {
			t.Errorf("pools in effect: %v, want %v (%v)", h.eng.pools, want, err)
		}
	} else if h.eng.pools != nil {
		t.Errorf("pools in effect: %v, want none", h.eng.pools)
	}
	if want := map[bool]string{true: "10.200.0.0/24", false: "172.17.0.0/16"}[h.eng.pools != nil]; h.docker0 != want {
		t.Errorf("docker0 is %s, want %s", h.docker0, want)
	}
	if h.active(revertTimer) || h.active(revertService) || h.gone || h.eng.down {
		t.Errorf("timer %v, revert %v, gone %v, engine down %v", h.active(revertTimer), h.active(revertService), h.gone, h.eng.down)
	}
	if _, left := h.files[newPools().armed()]; left {
		t.Error("the copy for the timer is left")
	}
}

func TestPools(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		verdict, err := carryOut(t, newPools(), w.envOf("pools"))
		if verdict != ops.Ready || err != nil {
			t.Fatalf("%v %v", verdict, err)
		}
		wantHost(t, w, newFile)
		if mode := w.at[ops.Green].modes[daemonFile]; mode != 0o600 {
			t.Errorf("mode %o", mode)
		}
		if kept := w.at[ops.Green].files[daemonFile+".tandem-original"]; kept != oldFile {
			t.Errorf("kept beside it: %q", kept)
		}
		wantCalls(t, w.world,
			"write "+daemonFile+".tandem-check", "rm -f "+daemonFile+".tandem-check "+daemonFile+".tandem-check.tandem-backup",
			"write "+daemonFile+".tandem-between", "write "+daemonFile+".tandem-revert.sh", "write "+bootFile, "write "+daemonFile+".tandem-revert",
			"systemctl enable "+bootService, "systemctl reset-failed "+revertService,
			"systemd-run --unit=tandem-revert-pools --on-active=90s --timer-property=AccuracySec=1s sh "+
				strings.Join([]string{daemonFile + ".tandem-revert.sh", daemonFile, daemonFile + ".tandem-revert", daemonFile + ".tandem-between"}, " "),
			"write "+daemonFile, "systemctl reset-failed docker.service", "systemctl restart docker.service",
			"mv -T "+daemonFile+".tandem-revert "+daemonFile+".tandem-original", "systemctl stop "+revertTimer,
			"systemctl disable "+bootService,
			"rm -f "+withBackups(daemonFile+".tandem-revert-taken", daemonFile+".tandem-between", daemonFile+".tandem-revert.sh", bootFile),
		)
		calls := len(w.calls)
		if verdict, err := carryOut(t, newPools(), w.envOf("pools")); verdict != ops.AlreadyDone || err != nil {
			t.Errorf("again: %v %v", verdict, err)
		}
		must(t, newPools().Do(t.Context(), w.envOf("pools")))
		if len(w.calls) != calls {
			t.Errorf("done twice: %v", w.calls[calls:])
		}
		for range 2 {
			must(t, newPools().Undo(t.Context(), w.envOf("pools")))
			wantHost(t, w, oldFile)
		}
		if starts := w.at[ops.Green].starts; starts != 3 { // docker0 goes back by way of pools of its own

			t.Errorf("the engine started %d times", starts)
		}
	})
}

func withBackups(files ...string) string {
	var all []string
	for _, f := range files {
		all = append(all, f, f+".tandem-backup")
	}
	return strings.Join(all, " ")
}

func TestPoolsWithoutAFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newNetWorld()
		if _, err := carryOut(t, newPools(), w.envOf("pools")); err != nil {
			t.Fatal(err)
		}
		wantHost(t, w, "{\n  \"default-address-pools\": [{\"base\":\"10.200.0.0/16\",\"size\":24}]\n}\n")
		must(t, newPools().Undo(t.Context(), w.envOf("pools")))
		wantHost(t, w, "-")
		if err := newPools().Undo(t.Context(), w.envOf("other")); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undone without a record: %v", err)
		}
	})
}

// An engine before API 1.41 does not name its pools.
func TestPoolsOfAnOldEngine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		w.at[ops.Green].eng.api, w.at[ops.Green].net.Validates = "1.40", false
		if _, err := carryOut(t, newPools(), w.envOf("pools")); err != nil {
			t.Fatal(err)
		}
		wantHost(t, w, newFile)
		must(t, newPools().Undo(t.Context(), w.envOf("pools")))
		wantHost(t, w, oldFile)
	})
}

func TestPoolsRefused(t *testing.T) {
	table := []struct {
		name, err string
		before    func(*netHost)
	}{
		{"no object", "not a JSON object", func(h *netHost) { h.files[daemonFile] = "[]" }},
		{"cut short", "reading its JSON", func(h *netHost) { h.files[daemonFile] = `{"a": 1` }},
		{"a key twice", "twice", func(h *netHost) { h.files[daemonFile] = `{"a": 1, "a": 2}` }},
		{"two objects", "something follows", func(h *netHost) { h.files[daemonFile] = `{}{}` }},
		{"flag of the pools", "--default-address-pool on the engine's command line", func(h *netHost) {
			h.net.Flags = []string{"dockerd", "--default-address-pool=base=10.1.0.0/16,size=24"}
		}},
		{"hosts by letter", "hosts would be set twice", func(h *netHost) {
			h.files[daemonFile], h.net.Flags = `{"hosts": ["fd://"]}`, []string{"/usr/bin/dockerd", "-H", "fd://"}
		}},
		{"another file", "the engine reads /etc/other.json", func(h *netHost) { h.net.Flags = []string{"dockerd", "--config-file", "/etc/other.json"} }},
		{"not valid", "unable to configure", func(h *netHost) { h.invalid = "unable to configure the Docker daemon" }},
		{"unknown setting, old engine", `"new-thing" is no setting`, func(h *netHost) {
			h.net.Validates, h.files[daemonFile] = false, `{"new-thing": 1}`
		}},
		{"live-restore", "live-restore is on and tcs runs", func(h *netHost) {
			h.files[daemonFile] = `{"live-restore": true}`
			h.eng.containers = []*ops.Container{{ID: "c1", Name: "tcs", State: "running"}}
		}},
		{"revert of an earlier run", "timed revert of an earlier run", func(h *netHost) { h.fires = time.Now().Add(time.Minute) }},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := poolsWorld(t)
				h := w.at[ops.Green]
				c.before(h)
				file := w.file()
				_, err := carryOut(t, newPools(), w.envOf("pools"))
				wantErr(t, err, c.err)
				if p := ops.AsProblem(err, "", ""); p.Hint == "" {
					t.Error("no hint")
				}
				if w.file() != file || h.starts != 0 {
					t.Errorf("changed: %s, %d starts", w.file(), h.starts)
				}
				if err := newPools().Undo(t.Context(), w.envOf("pools")); !errors.Is(err, ops.ErrNoUndo) {
					t.Errorf("undo: %v", err)
				}
			})
		})
	}
}

// live-restore with nothing running is no reason to refuse.
func TestPoolsLiveRestoreAtRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		w.at[ops.Green].files[daemonFile] = `{"live-restore": true}`
		w.at[ops.Green].eng.containers = []*ops.Container{{ID: "c1", Name: "tcs", State: "exited"}}
		if _, err := carryOut(t, newPools(), w.envOf("pools")); err != nil {
			t.Error(err)
		}
	})
}

// The host is cut off by the change, comes back by itself, and the run says so once.
func TestPoolsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		h := w.at[ops.Green]
		h.cuts = "10.200"
		_, err := carryOut(t, newPools(), w.envOf("pools"))
		if !errors.Is(err, ops.ErrUnreachable) {
			t.Fatalf("cut off: %v", err)
		}
		time.Sleep(2 * time.Minute)
		wantHost(t, w, oldFile)
		_, err = carryOut(t, newPools(), w.envOf("pools"))
		wantErr(t, err, "has its earlier file back by itself")
		if p := ops.AsProblem(err, "", ""); !strings.Contains(p.Hint, "networks.pools") {
			t.Errorf("hint %q", p.Hint)
		}
		wantHost(t, w, oldFile)
		h.cuts = ""
		if _, err := carryOut(t, newPools(), w.envOf("pools")); err != nil {
			t.Fatalf("tried again: %v", err)
		}
		wantHost(t, w, newFile)
	})
}

func TestPoolsUndoneAfterCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		w.at[ops.Green].cuts = "10.200"
		if _, err := carryOut(t, newPools(), w.envOf("pools")); !errors.Is(err, ops.ErrUnreachable) {
			t.Fatalf("cut off: %v", err)
		}
		if err := newPools().Undo(t.Context(), w.envOf("pools")); !errors.Is(err, ops.ErrUnreachable) {
			t.Fatalf("undone while cut off: %v", err)
		}
		time.Sleep(2 * time.Minute)
		must(t, newPools().Undo(t.Context(), w.envOf("pools")))
		wantHost(t, w, oldFile)
	})
}

// A host that is back before the timer acts keeps the change, in the same try or the next.
func TestPoolsShortCut(t *testing.T) {
	for _, long := range []time.Duration{20 * time.Second, 70 * time.Second} {
		bubble(t, func(t *testing.T) {
			w := poolsWorld(t)
			w.at[ops.Green].reachTakes = time.Second
			w.at[ops.Green].cut(time.Second/2, long)
			_, err := carryOut(t, newPools(), w.envOf("pools"))
			if long > newPools().Within {
				if !errors.Is(err, ops.ErrUnreachable) {
					t.Fatalf("cut off: %v", err)
				}
				time.Sleep(long - newPools().Within)
				_, err = carryOut(t, newPools(), w.envOf("pools"))
			}
			if err != nil {
				t.Fatal(err)
			}
			wantHost(t, w, newFile)
			time.Sleep(5 * time.Minute)
			wantHost(t, w, newFile)
		})
	}
}

// What does not come up is taken back at once, while the host can be reached.
func TestPoolsTakenBack(t *testing.T) {
	table := []struct {
		name, err string
		before    func(*netWorld)
	}{
		{"the engine does not start", "docker.service failed", func(w *netWorld) { w.at[ops.Green].breaks = "10.200" }},
		{"the peer cannot be reached", "reaching blue anew", func(w *netWorld) {
			w.at[ops.Green].onStart = func() { w.at[ops.Blue].gone = true }
		}},
		{"the host does not reach its peer any more", "GREEN itself does not reach BLUE any more: 10.0.1.12:22: no route to host", func(w *netWorld) { w.at[ops.Green].hides = "10.200" }},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := poolsWorld(t)
				c.before(w)
				_, err := carryOut(t, newPools(), w.envOf("pools"))
				wantErr(t, err, c.err)
				wantErr(t, err, "the earlier pools are back")
				wantHost(t, w, oldFile)
				must(t, newPools().Undo(t.Context(), w.envOf("pools")))
				wantHost(t, w, oldFile)
			})
		})
	}
}

// The proof comes so late that the timer was faster.
func TestPoolsTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		w.at[ops.Blue].reachTakes = 89 * time.Second
		w.at[ops.Green].reachTakes = 2 * time.Second
		_, err := carryOut(t, newPools(), w.envOf("pools"))
		wantErr(t, err, "the proof came after 1 min 30 s")
		wantHost(t, w, oldFile)
	})
}

func TestPoolsChangedByOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		w.at[ops.Green].breaks = "10.200"
		if _, err := carryOut(t, newPools(), w.envOf("pools")); err == nil {
			t.Fatal("it started")
		}
		w.at[ops.Green].files[daemonFile] = `{"mtu": 1400}`
		_, err := carryOut(t, newPools(), w.envOf("pools"))
		wantErr(t, err, "somebody has changed it")
		must(t, newPools().Undo(t.Context(), w.envOf("pools")))
		wantHost(t, w, oldFile)
		if w.at[ops.Green].files[daemonFile+".tandem-backup"] != `{"mtu": 1400}` {
			t.Error("what somebody wrote is lost")
		}
	})
}

// Cut short at every call: while the new file stands unproven a timer runs; done again, now
// or after the timer, it comes to its end; taken back, also in two tries, all is as it was.
func TestPoolsCutShort(t *testing.T) {
	p := newPools()
	armed := func(t *testing.T, w *netWorld) {
		t.Helper()
		h := w.at[ops.Green]
		if _, proven := h.files[p.kept()]; w.file() == newFile && !proven && !h.active(revertTimer) {
			t.Error("the new file stands and nothing would take it back")
		}
	}
	again := func(t *testing.T, w *netWorld) {
		t.Helper()
		if _, err := carryOut(t, p, w.envOf("pools")); err != nil {
			t.Fatal(err)
		}
		wantHost(t, w, newFile)
	}
	t.Run("done again", func(t *testing.T) {
		eachCut(t, poolsWorld, "pools", p.Do, func(t *testing.T, w *netWorld) {
			armed(t, w)
			again(t, w)
		})
	})
	t.Run("done again later", func(t *testing.T) {
		eachCut(t, poolsWorld, "pools", p.Do, func(t *testing.T, w *netWorld) {
			time.Sleep(3 * time.Minute)
			if h := w.at[ops.Green]; w.file() != newFile && h.eng.pools != nil {
				t.Errorf("old file, new pools: %v", h.eng.pools)
			}
			again(t, w)
		})
	})
	t.Run("done again twice", func(t *testing.T) {
		half := func(t *testing.T) *netWorld {
			var w *netWorld
			for n := 1; w == nil || w.file() != newFile; n++ {
				w = poolsWorld(t)
				if died, _ := w.dieIn(t.Context(), n, func(ctx context.Context) error { return p.Do(ctx, w.envOf("pools")) }); !died {
					t.Fatal("never died with the new file")
				}
			}
			return w
		}
		eachCut(t, half, "pools", p.Do, func(t *testing.T, w *netWorld) {
			armed(t, w)
			again(t, w)
		})
	})
	t.Run("undone", func(t *testing.T) {
		eachCut(t, poolsWorld, "pools", p.Do, func(t *testing.T, w *netWorld) {
			if err := p.Undo(t.Context(), w.envOf("pools")); err != nil && !errors.Is(err, ops.ErrNoUndo) {
				t.Fatal(err)
			}
			wantHost(t, w, oldFile)
		})
	})
	t.Run("undone in two tries", func(t *testing.T) {
		moved := func(t *testing.T) *netWorld {
			w := poolsWorld(t)
			if err := p.Do(t.Context(), w.envOf("pools")); err != nil {
				t.Fatal(err)
			}
			return w
		}
		eachCut(t, moved, "pools", p.Undo, func(t *testing.T, w *netWorld) {
			must(t, p.Undo(t.Context(), w.envOf("pools")))
			wantHost(t, w, oldFile)
		})
	})
	t.Run("power lost", func(t *testing.T) {
		eachCut(t, poolsWorld, "pools", p.Do, func(t *testing.T, w *netWorld) {
			_, proven := w.at[ops.Green].files[p.kept()]
			w.at[ops.Green].boot()
			if w.file() == newFile && !proven {
				t.Error("the new file stands after a boot and was not proven")
			}
			again(t, w)
		})
	})
	t.Run("power lost, without a file before", func(t *testing.T) {
		eachCut(t, func(*testing.T) *netWorld { return newNetWorld() }, "pools", p.Do, func(t *testing.T, w *netWorld) {
			h := w.at[ops.Green]
			_, armed := h.files[p.armed()]
			h.boot()
			if armed && h.enabled && w.file() != "-" {
				t.Errorf("the new file stands after a boot and was not proven: %s", w.file())
			}
			if _, err := carryOut(t, p, w.envOf("pools")); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// A host that is cut off and loses its power before its timer fires is there again when it
// comes back: the timer is gone by then.
func TestPoolsCutOffAndPowerLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := poolsWorld(t)
		h := w.at[ops.Green]
		h.cuts = "10.200"
		if _, err := carryOut(t, newPools(), w.envOf("pools")); err == nil || !h.gone {
			t.Fatalf("not cut off: %v", err)
		}
		h.boot()
		_, err := carryOut(t, newPools(), w.envOf("pools"))
		wantErr(t, err, "has its earlier file back by itself")
		wantHost(t, w, oldFile)
		if _, left := h.files[bootFile]; left || h.enabled {
			t.Error("the unit of the boot is left")
		}
	})
}

func TestPoolsFile(t *testing.T) {
	pool := newPools().Pools
	table := []struct{ name, before, after string }{
		{"empty", "", "{\n  \"default-address-pools\": [{\"base\":\"10.200.0.0/16\",\"size\":24}]\n}\n"},
		{"no member", "{}", `{  "default-address-pools": [{"base":"10.200.0.0/16","size":24}]` + "\n}"},
		{"one line", `{"mtu": 1400}`, `{"mtu": 1400,"default-address-pools": [{"base":"10.200.0.0/16","size":24}]}`},
		{"all else stays", oldFile, newFile},
		{"others replaced, order kept", `{"a": 1, "default-address-pools": [ ], "z": {"k": [1,2]}}`, `{"a": 1, "default-address-pools": [{"base":"10.200.0.0/16","size":24}], "z": {"k": [1,2]}}`},
		{"the same already", newFile, newFile},
	}
	for _, c := range table {
		got, err := withPools([]byte(c.before), pool)
		if err != nil || string(got) != c.after {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.after)
		}
		if in, err := poolsIn(got); err != nil || !slices.Equal(in, pool) || !json.Valid(got) {
			t.Errorf("%s: reads as %v, %v", c.name, in, err)
		}
	}
}
