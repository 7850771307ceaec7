package inspect

import (
	"testing"
	"testing/synctest"
	"time"
)

// The first look is over when the slowest part has answered, or will not.
func TestLiveLooked(t *testing.T) {
	s := newScene()
	s.green.hang = true
	synctest.Test(t, func(t *testing.T) {
		l := s.inspector().Live(t.Context())
		t.Cleanup(l.Wait)
		looked := func() bool {
			select {
			case <-l.Looked():
				return true
			default:
				return false
			}
		}
		pass(9 * time.Second)
		if looked() {
			t.Error("the first look is over, though green has not answered yet")
		}
		pass(22 * time.Second) // its package manager has the longest deadline
		snap := l.Snapshot()
		if !looked() || snap.Blue.Engine.At.IsZero() || snap.Balancer.Look.At.IsZero() || snap.Green.Host.Err == nil || snap.Green.Engine.Err == nil {
			t.Errorf("the first look is over: %t; %+v", looked(), snap)
		}
	})
}
