package tui

import (
	"syscall"
	"testing"
	"time"

	"tandem/tui/cast"
)

// fullDisk has no room left.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
func (fullDisk) Truncate(int64) error      { return nil }
func (fullDisk) Close() error              { return nil }

// TestRecordingStops: it is told, and the console goes on.
func TestRecordingStops(t *testing.T) {
	rec := cast.New(fullDisk{}, time.Now, func() (int, int) { return 120, 40 })
	a := New(Options{Backend: newFake(calm()), Theme: dark(), UTC: true, Now: func() time.Time { return noon }, Record: rec})
	a.size = Size{120, 40}
	settle(a, a.awaitRecord())
	wants(t, a, "the recording has stopped", "no space left on device", "goes on without it")
	press(a, "esc")
	wants(t, a, "d drain")
}
