package steps

import (
	"errors"
	"testing"
	"time"

	"tandem/ops"
)

func swapOf(w *world) Swap {
	svc, was := two(w, "healthy")
	return Swap{
		Side: ops.Green, Service: svc, Image: "tcs:1", ImageID: "sha256:new000000000", Containers: was,
		Stop: 10 * time.Second, Within: time.Minute, Out: true,
	}
}

const (
	swapped   = "tcs-1 tcs:1 running always\ntcs-2 tcs:1 running always"
	unswapped = "tcs-1 tcs:2 running always\ntcs-2 tcs:2 running always"
)

func TestSwap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s, e := swapOf(w), w.hosts[ops.Green].engine
		if err := s.Undo(t.Context(), w.env()); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo before do: %v", err)
		}
		verdict, err := carryOut(t, s, w.env())
		must(t, err)
		if verdict != ops.Ready || e.shape() != swapped {
			t.Errorf("verdict %s, containers\n%s", verdict, e.shape())
		}
		wantCalls(t, w,
			"policy no tcs-1", "stop tcs-1", "rename tcs-1", "create tcs-1 tcs:1", "start tcs-1", "remove tcs-1.before-idtcs-1x",
			"policy no tcs-2", "stop tcs-2", "rename tcs-2", "create tcs-2 tcs:1", "start tcs-2", "remove tcs-2.before-idtcs-2x")
		must(t, s.Do(t.Context(), w.env()))
		if verdict, err := carryOut(t, s, w.env()); verdict != ops.AlreadyDone || err != nil || w.acts != 12 {
			t.Errorf("again: %s, %v, %d acts", verdict, err, w.acts)
		}
		must(t, s.Undo(t.Context(), w.env()))
		if e.shape() != unswapped {
			t.Errorf("after undo\n%s", e.shape())
		}
		must(t, s.Undo(t.Context(), w.env()))
		if e.shape() != unswapped {
			t.Errorf("after undoing twice\n%s", e.shape())
		}
	})
}

// At every act, before it happens and after it has happened unanswered, the runner may
// die: doing it again ends well, and so does taking it back.
func TestSwapSurvivesACrashAnywhere(t *testing.T) {
	const acts = 12
	for n := 1; n <= acts; n++ {
		for _, answered := range []bool{false, true} {
			for _, way := range []string{"again", "back", "back, crashing too"} {
				bubble(t, func(t *testing.T) {
					w := newWorld()
					s, e := swapOf(w), w.hosts[ops.Green].engine
					if answered {
						w.crashAfter = n
					} else {
						w.crashAt = n
					}
					if err := s.Do(t.Context(), w.env()); !errors.Is(err, errCrash) {
						t.Fatalf("act %d: %v", n, err)
					}
					want := swapped
					switch way {
					case "again":
						must(t, s.Do(t.Context(), w.env()))
						must(t, s.Verify(t.Context(), w.env()))
					case "back":
						want = unswapped
						must(t, s.Undo(t.Context(), w.env()))
					default:
						// Each further try dies one act later than the one before.
						want = unswapped
						for k := 1; ; k++ {
							w.crashAt, w.crashAfter = 0, w.acts+k
							err := s.Undo(t.Context(), w.env())
							if err == nil {
								break
							}
							if !errors.Is(err, errCrash) {
								t.Fatalf("act %d, undo %d: %v", n, k, err)
							}
						}
					}
					if e.shape() != want {
						t.Errorf("act %d (answered %v), %s:\n%s", n, answered, way, e.shape())
					}
				})
			}
		}
	}
}

func TestSwapRefusals(t *testing.T) {
	table := []struct {
		name   string
		before func(*engine)
		err    string
		after  string
	}{
		{"image gone", func(e *engine) { e.images = e.images[:1] }, "it is not on the host any more", unswapped},
		{"container replaced since the plan", func(e *engine) { e.byName("tcs-1").ID = "other" }, "was replaced or renamed since the plan was made", unswapped},
		{"new one never gets ready", func(e *engine) { e.sick["sha256:new000000000"] = true }, "deadline passed",
			"tcs-1 tcs:1 running always\ntcs-1.before-idtcs-1x tcs:2 exited no\ntcs-2 tcs:2 running always"},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				s, e := swapOf(w), w.hosts[ops.Green].engine
				test.before(e)
				_, err := carryOut(t, s, w.env())
				wantErr(t, err, test.err)
				if e.shape() != test.after {
					t.Errorf("containers\n%s", e.shape())
				}
				if err := s.Undo(t.Context(), w.env()); err != nil && !errors.Is(err, ops.ErrNoUndo) {
					t.Errorf("undo: %v", err)
				}
				if e.shape() != unswapped {
					t.Errorf("after undo\n%s", e.shape())
				}
			})
		})
	}
}

// A tag that has moved to another image since is not trusted to bring the old one back.
func TestSwapBackByIDWhenTheTagMoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s, e := swapOf(w), w.hosts[ops.Green].engine
		must(t, s.Do(t.Context(), w.env()))
		e.images[0].Tags, e.images[1].Tags = nil, []string{"tcs:1", "tcs:2"}
		must(t, s.Undo(t.Context(), w.env()))
		if c := e.byName("tcs-1"); c.ImageID != "sha256:old000000000" {
			t.Errorf("back on %s", c.ImageID)
		}
	})
}

// A runner that dies while the engine makes a container may leave one without all its
// networks: it is made anew, not started.
func TestSwapMakesAnUnfinishedContainerAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s, e := swapOf(w), w.hosts[ops.Green].engine
		w.crashAfter = 4 // policy, stop, rename, create
		if err := s.Do(t.Context(), w.env()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		unfinished := e.byName("tcs-1").ID
		must(t, s.Do(t.Context(), w.env()))
		if e.byName("tcs-1").ID == unfinished || e.shape() != swapped {
			t.Errorf("the unfinished container was started:\n%s", e.shape())
		}
	})
}
