package cast

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// disk is a file on a disk with little room, and of a speed that the test sets.
type disk struct {
	text []byte
	room int
	gate chan struct{} // nil: fast; else each write waits for it
}

func (d *disk) Write(p []byte) (int, error) {
	if d.gate != nil {
		<-d.gate
	}
	if free := d.room - len(d.text); len(p) > free {
		d.text = append(d.text, p[:free]...)
		return free, &fs.PathError{Op: "write", Path: "/home/ada/walk.cast", Err: syscall.ENOSPC}
	}
	d.text = append(d.text, p...)
	return len(p), nil
}
func (d *disk) Truncate(n int64) error { d.text = d.text[:n]; return nil }
func (d *disk) Close() error           { return nil }

func noSize() (int, int) { return 80, 24 }

// events reads a cast strictly: a whole header, then whole events in the order of time.
func events(t interface{ Fatalf(string, ...any) }, text []byte) (header map[string]any, list [][3]any) {
	lines := strings.Split(string(text), "\n")
	if lines[len(lines)-1] != "" {
		t.Fatalf("the last line is not whole: %q", lines[len(lines)-1])
	}
	if err := json.Unmarshal([]byte(lines[0]), &header); err != nil || header["version"] != 2.0 {
		t.Fatalf("header %q: %v", lines[0], err)
	}
	last := 0.0
	for _, line := range lines[1 : len(lines)-1] {
		var e [3]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("event %q: %v", line, err)
		}
		at, ok := e[0].(float64)
		if !ok || at < last {
			t.Fatalf("event %q is out of time", line)
		}
		last = at
		list = append(list, e)
	}
	return header, list
}

func TestRecording(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("USER", "ada")
	at := time.Date(2026, 11, 26, 14, 3, 22, 0, time.UTC)
	cols := 120
	d := &disk{room: 1 << 20}
	r := New(d, func() time.Time { return at }, func() (int, int) { return cols, 40 })
	r.add([]byte("\x1b[2Jtandem <&>\r\n"))
	at, cols = at.Add(1500*time.Millisecond), 80
	r.add([]byte("● in"))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.add([]byte("late")) // by whoever still holds the terminal
	header, list := events(t, d.text)
	if header["width"] != 120.0 || header["height"] != 40.0 || header["timestamp"] != float64(at.Add(-1500*time.Millisecond).Unix()) || header["env"].(map[string]any)["TERM"] != "xterm-256color" {
		t.Errorf("header %v", header)
	}
	want := [][3]any{{0.0, "o", "\x1b[2Jtandem <&>\r\n"}, {1.5, "r", "80x40"}, {1.5, "o", "● in"}}
	if !slices.Equal(list, want) {
		t.Errorf("events %q, want %q", list, want)
	}
	if strings.Contains(string(d.text), "ada") {
		t.Errorf("the recording names the operator: %s", d.text)
	}
}

// TestCutAnywhere: however the output is cut into writes, no event has half a character, and
// together they are the output.
func TestCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("a\x1b┃●é界🂡\u2028"))).Draw(t, "text")
		d := &disk{room: 1 << 20}
		r := New(d, time.Now, noSize)
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			r.add(rest[:n])
			rest = rest[n:]
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		_, list := events(t, d.text)
		var all strings.Builder
		for _, e := range list {
			part := e[2].(string)
			if strings.ContainsRune(part, utf8.RuneError) {
				t.Fatalf("event %q has half a character", part)
			}
			all.WriteString(part)
		}
		if all.String() != text {
			t.Fatalf("recorded %q of %q", all.String(), text)
		}
	})
}

// TestDiskFull: what fits stays, in whole lines; it is told once, and without the path.
func TestDiskFull(t *testing.T) {
	d := &disk{room: 500}
	r := New(d, time.Now, noSize)
	for i := range 100 {
		r.add(fmt.Appendf(nil, "a frame, number %d", i))
	}
	err := <-r.Failed()
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "ada") {
		t.Errorf("told %v", err)
	}
	if again, more := <-r.Failed(); more {
		t.Errorf("told again: %v", again)
	}
	r.add([]byte("the console goes on"))
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, list := events(t, d.text); len(d.text) > 500 || len(list) == 100 {
		t.Errorf("%d events in %d bytes", len(list), len(d.text))
	}
}

// TestSlowDisk: the terminal does not wait for the disk; what waits is bounded.
func TestSlowDisk(t *testing.T) {
	d := &disk{room: 1 << 30, gate: make(chan struct{})}
	r := New(d, time.Now, noSize)
	for range most>>20 + 3 {
		r.add(make([]byte, 1<<20))
	}
	if err := <-r.Failed(); err == nil || !strings.Contains(err.Error(), "keep up") {
		t.Errorf("told %v", err)
	}
	close(d.gate)
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "walk.cast")
	r, err := Create(path, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v: %v", info, err)
	}
	before, _ := os.ReadFile(path)
	if _, err := Create(path, os.Stdout); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second recording: %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) || len(before) == 0 {
		t.Errorf("the file had %q, now %q", before, after)
	}
}

// BenchmarkWrite is what recording adds to the write of a whole frame.
func BenchmarkWrite(b *testing.B) {
	r := New(&disk{room: 1 << 40}, time.Now, noSize)
	frame := []byte(strings.Repeat("\x1b[38;5;252m│ ✓ healthy  9b1d4e2 \x1b[m", 400))
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		r.add(frame)
	}
}
