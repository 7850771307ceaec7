package steps

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"tandem/ops"
)

var (
	goneNetworks = []NetworkWas{{Name: "tis_default", ID: "t1", Compose: true, AnyRange: true}, {Name: "ext", ID: "t2"}}
	netRemoval   = RemoveNetworks{Side: ops.Green, Networks: goneNetworks}
	netMaking    = MakeNetworks{Side: ops.Green, Networks: goneNetworks, From: "remove-networks"}
)

func netWorldOf(*testing.T) *netWorld { return newNetWorld() }

// netsRemoved is a world whose networks are gone and recorded, with other pools in effect.
func netsRemoved(t *testing.T) *netWorld {
	w := newNetWorld()
	if _, err := carryOut(t, netRemoval, w.envOf("remove-networks")); err != nil {
		t.Fatal(err)
	}
	w.at[ops.Green].eng.pools = newPools().Pools
	w.calls = nil
	return w
}

const (
	netsBefore = "bridge bridge [172.17.0.0/16] map[]\next bridge [172.30.5.0/24] map[team:tis]\ntis_default bridge [172.18.0.0/16] map[com.docker.compose.network:default]"
	netsAfter  = "bridge bridge [172.17.0.0/16] map[]\next bridge [172.30.5.0/24] map[team:tis]\ntis_default bridge [10.200.0.0/24] map[com.docker.compose.network:default]"
)

func wantNets(t *testing.T, w *netWorld, want string) {
	t.Helper()
	if got := w.at[ops.Green].eng.netShape(); got != want {
		t.Errorf("networks:\n%s\nwant:\n%s", got, want)
	}
}

func TestRemoveNetworks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newNetWorld()
		env := w.envOf("remove-networks")
		for i, want := range []ops.Verdict{ops.Ready, ops.AlreadyDone} {
			if verdict, err := carryOut(t, netRemoval, env); verdict != want || err != nil {
				t.Errorf("%d: %v %v", i, verdict, err)
			}
		}
		must(t, netRemoval.Do(t.Context(), env))
		wantCalls(t, w.world, "remove network tis_default", "remove network ext")
		wantNets(t, w, "bridge bridge [172.17.0.0/16] map[]")
		for range 2 {
			must(t, netRemoval.Undo(t.Context(), env))
			wantNets(t, w, netsBefore)
		}
		if err := netRemoval.Undo(t.Context(), w.envOf("another")); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undone without a record: %v", err)
		}
	})
}

func TestRemoveNetworksRefused(t *testing.T) {
	table := []struct {
		name, err string
		step      RemoveNetworks
		before    func(*netEngine)
	}{
		{"the engine's own", "the engine's own", RemoveNetworks{Side: ops.Green, Networks: []NetworkWas{{Name: "bridge", ID: "b0"}}}, func(*netEngine) {}},
		{"an endpoint", "on it: stranger", netRemoval, func(e *netEngine) { e.on["ext"] = []string{"stranger"} }},
		{"a stopped container", "on it: nightly", netRemoval, func(e *netEngine) {
			e.containers = []*ops.Container{{ID: "n1", Name: "nightly", State: "exited", Networks: []string{"ext"}}}
		}},
		{"made anew", "removed or made anew", netRemoval, func(e *netEngine) { e.networks[1].ID = "t9" }},
		{"gone", "removed or made anew", netRemoval, func(e *netEngine) { e.networks = e.networks[:2] }},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newNetWorld()
				c.before(w.at[ops.Green].eng)
				before := w.at[ops.Green].eng.netShape()
				_, err := carryOut(t, c.step, w.envOf("remove-networks"))
				wantErr(t, err, c.err)
				if p := ops.AsProblem(err, "", ""); p.Hint == "" {
					t.Error("no hint")
				}
				wantNets(t, w, before)
				if err := c.step.Undo(t.Context(), w.envOf("remove-networks")); err != nil && !errors.Is(err, ops.ErrNoUndo) {
					t.Error(err)
				}
				wantNets(t, w, before)
			})
		})
	}
}

func TestRemoveNetworksCutShort(t *testing.T) {
	eachCut(t, netWorldOf, "remove-networks", netRemoval.Do, func(t *testing.T, w *netWorld) {
		if _, err := carryOut(t, netRemoval, w.envOf("remove-networks")); err != nil {
			t.Fatal(err)
		}
		wantNets(t, w, "bridge bridge [172.17.0.0/16] map[]")
	})
	eachCut(t, netWorldOf, "remove-networks", netRemoval.Do, func(t *testing.T, w *netWorld) {
		if err := netRemoval.Undo(t.Context(), w.envOf("remove-networks")); err != nil && !errors.Is(err, ops.ErrNoUndo) {
			t.Fatal(err)
		}
		wantNets(t, w, netsBefore)
	})
	eachCut(t, netsRemoved, "remove-networks", netRemoval.Undo, func(t *testing.T, w *netWorld) {
		must(t, netRemoval.Undo(t.Context(), w.envOf("remove-networks")))
		wantNets(t, w, netsBefore)
	})
}

// Compose has made its network meanwhile, with a range from the new pools; another network
// has taken the range of ext.
func TestRemoveNetworksUndoneOverOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := netsRemoved(t)
		e := w.at[ops.Green].eng
		e.networks = append(e.networks,
			&ops.Network{ID: "c1", Name: "tis_default", Driver: "bridge", Subnets: []string{"10.200.0.0/24"}, Labels: map[string]string{"com.docker.compose.network": "default"}},
			&ops.Network{ID: "x1", Name: "other", Driver: "bridge", Subnets: []string{"172.30.0.0/16"}})
		must(t, netRemoval.Undo(t.Context(), w.envOf("remove-networks")))
		wantNets(t, w, strings.Replace(netsBefore, "172.30.5.0/24", "10.200.0.0/24", 1)[:strings.Index(netsBefore, "\ntis")]+
			"\nother bridge [172.30.0.0/16] map[]\ntis_default bridge [172.18.0.0/16] map[com.docker.compose.network:default]")
		if !slices.Contains(w.said, "the range of the network ext is that of other now: it gets another") {
			t.Errorf("said %q", w.said)
		}
	})
	bubble(t, func(t *testing.T) {
		w := netsRemoved(t)
		e := w.at[ops.Green].eng
		e.networks = append(e.networks, &ops.Network{ID: "c1", Name: "tis_default", Driver: "bridge", Subnets: []string{"10.200.0.0/24"}})
		e.on["tis_default"] = []string{"stranger"}
		must(t, netRemoval.Undo(t.Context(), w.envOf("remove-networks")))
		if said := strings.Join(w.said, "\n"); !strings.Contains(said, "the network tis_default stays though its labels are not those that it had: stranger on it") {
			t.Errorf("said %q", said)
		}
	})
}

func TestMakeNetworks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := netsRemoved(t)
		env := w.envOf("make-networks")
		for i, want := range []ops.Verdict{ops.Ready, ops.AlreadyDone} {
			if verdict, err := carryOut(t, netMaking, env); verdict != want || err != nil {
				t.Errorf("%d: %v %v", i, verdict, err)
			}
		}
		must(t, netMaking.Do(t.Context(), env))
		must(t, netMaking.Verify(t.Context(), env))
		wantCalls(t, w.world, "create network tis_default [10.200.0.0/24]", "create network ext [172.30.5.0/24]")
		wantNets(t, w, netsAfter)
		for range 2 {
			must(t, netMaking.Undo(t.Context(), env))
			wantNets(t, w, "bridge bridge [172.17.0.0/16] map[]")
		}
		must(t, netRemoval.Undo(t.Context(), w.envOf("remove-networks")))
		wantNets(t, w, netsBefore)
	})
}

func TestMakeNetworksCutShort(t *testing.T) {
	eachCut(t, netsRemoved, "make-networks", netMaking.Do, func(t *testing.T, w *netWorld) {
		if _, err := carryOut(t, netMaking, w.envOf("make-networks")); err != nil {
			t.Fatal(err)
		}
		wantNets(t, w, netsAfter)
	})
	eachCut(t, netsRemoved, "make-networks", netMaking.Do, func(t *testing.T, w *netWorld) {
		if err := netMaking.Undo(t.Context(), w.envOf("make-networks")); err != nil && !errors.Is(err, ops.ErrNoUndo) {
			t.Fatal(err)
		}
		must(t, netRemoval.Undo(t.Context(), w.envOf("remove-networks")))
		wantNets(t, w, netsBefore)
	})
	made := func(t *testing.T) *netWorld {
		w := netsRemoved(t)
		must(t, netMaking.Do(t.Context(), w.envOf("make-networks")))
		return w
	}
	eachCut(t, made, "make-networks", netMaking.Undo, func(t *testing.T, w *netWorld) {
		must(t, netMaking.Undo(t.Context(), w.envOf("make-networks")))
		wantNets(t, w, "bridge bridge [172.17.0.0/16] map[]")
	})
}

// What this step did not make is not its to remove; what is in use stays.
func TestMakeNetworksUndoLeavesOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := netsRemoved(t)
		e := w.at[ops.Green].eng
		env := w.envOf("make-networks")
		e.networks = append(e.networks, &ops.Network{ID: "x", Name: "ext", Driver: "bridge", Subnets: []string{"172.30.5.0/24"}, Labels: map[string]string{"team": "tis"}})
		must(t, netMaking.Do(t.Context(), env))
		e.containers = []*ops.Container{{ID: "c", Name: "new", State: "created", Networks: []string{"tis_default"}}}
		must(t, netMaking.Undo(t.Context(), env))
		wantNets(t, w, netsAfter)
		if !slices.Contains(w.said, "the network tis_default stays: new on it") {
			t.Errorf("said %q", w.said)
		}
	})
}

func TestMakeNetworksNotAsTheyWere(t *testing.T) {
	table := []struct {
		name, err string
		step      MakeNetworks
		before    func(*netEngine)
	}{
		{"labels lost", "its labels", netMaking, func(e *netEngine) {
			e.networks = append(e.networks, &ops.Network{ID: "x", Name: "ext", Driver: "bridge", Subnets: []string{"172.30.5.0/24"}})
		}},
		{"another driver", "its driver is macvlan", netMaking, func(e *netEngine) {
			e.networks = append(e.networks, &ops.Network{ID: "x", Name: "ext", Driver: "macvlan", Subnets: []string{"172.30.5.0/24"}, Labels: map[string]string{"team": "tis"}})
		}},
		{"another range", "its range is [172.31.5.0/24], it was [172.30.5.0/24]", netMaking, func(e *netEngine) {
			e.networks = append(e.networks, &ops.Network{ID: "x", Name: "ext", Driver: "bridge", Subnets: []string{"172.31.5.0/24"}, Labels: map[string]string{"team": "tis"}})
		}},
		{"not of the pools", "is not of the pools 10.200.0.0/16 in /24", netMaking, func(e *netEngine) {
			e.networks = append(e.networks, &ops.Network{ID: "x", Name: "tis_default", Driver: "bridge", Subnets: []string{"172.18.0.0/16"}, Labels: map[string]string{"com.docker.compose.network": "default"}})
		}},
		{"no record", "no record", MakeNetworks{Side: ops.Green, Networks: goneNetworks, From: "other"}, func(*netEngine) {}},
		{"cannot be made", "making the network tis_default", netMaking, func(e *netEngine) { e.cannot = errors.New("all predefined address pools have been fully subnetted") }},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := netsRemoved(t)
				c.before(w.at[ops.Green].eng)
				_, err := carryOut(t, c.step, w.envOf("make-networks"))
				wantErr(t, err, c.err)
			})
		})
	}
}

func TestMakeNetworksSaysWhatIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := netsRemoved(t)
		w.at[ops.Green].eng.lossy = "its scope"
		must(t, netMaking.Do(context.Background(), w.envOf("make-networks")))
		if !slices.Contains(w.said, "the network ext could not keep its scope") {
			t.Errorf("said %q", w.said)
		}
	})
}
