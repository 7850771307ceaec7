package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

var at = time.Date(2026, 3, 5, 14, 3, 22, 123456789, time.UTC)

func started(t *testing.T, id string, when time.Time) ops.Event {
	t.Helper()
	doc, err := ops.Plan{ID: id, Pair: "tis", Request: ops.Request{Op: ops.OpDrain, Side: ops.Green}}.Doc()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return ops.Event{At: when, Kind: ops.EvStarted, Text: "ana@laptop", Data: data}
}

// begin makes a journal with four events.
func begin(t *testing.T) (*Journal, string) {
	t.Helper()
	state := t.TempDir()
	j, err := Create(state, "tis", "r1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	put(t, j, started(t, "r1", at), ops.Event{At: at, Kind: ops.EvIntent, Step: "01-lock"},
		ops.Event{At: at, Kind: ops.EvRecord, Step: "01-lock", Text: "prior", Data: json.RawMessage(`{ "weight": 7, "note": "<&>` + "\u2028" + `" }`)},
		ops.Event{At: at, Kind: ops.EvDone, Step: "01-lock"})
	return j, state
}

func put(t *testing.T, j *Journal, events ...ops.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatWasAppendedIsRead(t *testing.T) {
	j, state := begin(t)
	put(t, j, ops.Event{Kind: ops.EvSay, Step: "01-lock", Text: "bad bytes \xff\xfe, \x1b[31m and \u2028"})
	want := j.Events()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(Dir(state, "tis", "r1"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read differs (-appended +read):\n%s", diff)
	}
	if last := got[len(got)-1]; last.Seq != 5 || last.Prev != got[3].Hash || last.At.IsZero() {
		t.Errorf("the last event is not in its place: %+v", last)
	}
	again, err := Open(j.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	put(t, again, ops.Event{Kind: ops.EvEnded, Text: string(ops.OutcomeDone)})
	if got, err = Read(j.Dir()); err != nil || len(got) != 6 {
		t.Errorf("after going on: %d events, %v", len(got), err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	j, _ := begin(t)
	for name, want := range map[string]fs.FileMode{"": 0o700, fileName: 0o600, pidName: 0o600, asksName: 0o700} {
		info, err := os.Stat(filepath.Join(j.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", name, got, want)
		}
	}
}

func TestNamesThatAreNoDirectories(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "../x"} {
		if j, err := Create(t.TempDir(), "tis", name); err == nil {
			j.Close()
			t.Errorf("a journal was made for run %q", name)
		}
	}
}

func TestARunIsCreatedOnce(t *testing.T) {
	j, state := begin(t)
	j.Close()
	if _, err := Create(state, "tis", "r1"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating again: %v, want %v", err, fs.ErrExist)
	}
}

// Every possible torn end is cut off; what had been synced stays; and going on gives a sound journal.
func TestTornEnd(t *testing.T) {
	j, _ := begin(t)
	want := j.Events()
	path := filepath.Join(j.Dir(), fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, j, ops.Event{At: at, Kind: ops.EvSay, Text: "one"}, ops.Event{At: at, Kind: ops.EvSay, Text: "two"})
	j.Close()
	longer, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tail := longer[len(whole):]
	hole := bytes.Clone(tail)
	clear(hole[:bytes.IndexByte(hole, '\n')-3])
	for name, torn := range map[string][]byte{
		"one byte": tail[:1], "half a line": tail[:20], "all but the line end": tail[:bytes.IndexByte(tail, '\n')],
		"zeros": make([]byte, 512), "zeros and a line end": append(make([]byte, 64), '\n'),
		"a hole before a line of progress": hole, "a lost line of progress": tail[bytes.IndexByte(tail, '\n')+1:],
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, append(bytes.Clone(whole), torn...), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Read(j.Dir())
			if err != nil || !cmp.Equal(got, want) {
				t.Fatalf("reading gave %d events and %v, want %d", len(got), err, len(want))
			}
			again, err := Open(j.Dir())
			if err != nil {
				t.Fatal(err)
			}
			put(t, again, ops.Event{Kind: ops.EvEnded})
			again.Close()
			got, err = Read(j.Dir())
			if err != nil || len(got) != len(want)+2 || got[len(want)].Kind != ops.EvNote || !cmp.Equal(got[:len(want)], want) {
				t.Errorf("after going on: %d events, %v", len(got), err)
			}
		})
	}
}

func TestBrokenChain(t *testing.T) {
	j, _ := begin(t)
	j.Close()
	path := filepath.Join(j.Dir(), fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))[:4]
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, broken := range map[string]struct {
		data []byte
		line int
	}{
		"changed":           {bytes.Replace(whole, []byte(`"weight":7`), []byte(`"weight":8`), 1), 3},
		"last line changed": {bytes.Replace(whole, []byte(`"done"`), []byte(`"failed"`), 1), 4},
		"taken out":         {join(lines[0], lines[2], lines[3]), 2},
		"put in":            {join(lines[0], lines[1], lines[1], lines[2], lines[3]), 3},
		"swapped":           {join(lines[0], lines[2], lines[1], lines[3]), 2},
		"unreadable":        {join(lines[0], []byte("{garbage\n"), lines[1], lines[2], lines[3]), 2},
		"beginning lost":    {join(lines[1:]...), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, broken.data, 0o600); err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{"Read": second(Read(j.Dir())), "Open": second(Open(j.Dir()))} {
				var b *BrokenError
				if !errors.As(err, &b) || b.Line != broken.line {
					t.Errorf("%s: %v, want a broken chain at line %d", what, err, broken.line)
				}
			}
			if got, _ := os.ReadFile(path); !bytes.Equal(got, broken.data) {
				t.Error("a broken journal was changed")
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestOneProcessAppends(t *testing.T) {
	j, _ := begin(t)
	_, err := Open(j.Dir())
	var busy *BusyError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() {
		t.Fatalf("opening a busy journal: %v, want a BusyError with pid %d", err, os.Getpid())
	}
	if pid, live := Owner(j.Dir()); !live || pid != os.Getpid() {
		t.Errorf("owner is %d, %v", pid, live)
	}
	j.Close()
	if _, live := Owner(j.Dir()); live {
		t.Error("a closed journal has an owner")
	}
	again, err := Open(j.Dir())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// A process that is killed lets go of the journal, with all that Append returned for.
func TestKilledProcess(t *testing.T) {
	if dir := os.Getenv("TANDEM_JOURNAL_CHILD"); dir != "" {
		j, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		put(t, j, ops.Event{Kind: ops.EvIntent, Step: "02-drain"})
		defer j.Close() // a journal that nothing refers to any more is closed by the collector
		os.Stdout.WriteString("ready\n")
		select {}
	}
	j, _ := begin(t)
	j.Close()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	child.Env = append(os.Environ(), "TANDEM_JOURNAL_CHILD="+j.Dir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if pid, live := Owner(j.Dir()); !live || pid != child.Process.Pid {
		t.Errorf("owner is %d, %v; want %d", pid, live, child.Process.Pid)
	}
	child.Process.Kill()
	child.Wait()
	again, err := Open(j.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if events := again.Events(); len(events) != 5 || events[4].Kind != ops.EvIntent {
		t.Errorf("after the kill: %d events", len(events))
	}
}

func TestNothingIsAppendedAfterAWriteError(t *testing.T) {
	j, _ := begin(t)
	j.file.Close() // as a disk that is gone
	if _, err := j.Append(ops.Event{Kind: ops.EvIntent}); err == nil {
		t.Fatal("appended to a closed file")
	}
	if _, err := j.Append(ops.Event{Kind: ops.EvSay}); !errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), "writing the journal") {
		t.Errorf("the second error is %v", err)
	}
	if n := len(j.Events()); n != 4 {
		t.Errorf("%d events, want 4", n)
	}
}

func TestFollow(t *testing.T) {
	state := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	batches := make(chan []ops.Event, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- Follow(ctx, Dir(state, "tis", "r1"), func(e []ops.Event) error { batches <- e; return nil })
	}()
	j, err := Create(state, "tis", "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var got []ops.Event
	for i := range 5 {
		e, err := j.Append(ops.Event{At: at, Kind: ops.EvSay, Text: strings.Repeat("x", i)})
		if err != nil {
			t.Fatal(err)
		}
		for len(got) <= i {
			select {
			case batch := <-batches:
				got = append(got, batch...)
			case err := <-ended:
				t.Fatalf("Follow ended: %v", err)
			}
		}
		if got[i].Hash != e.Hash {
			t.Fatalf("event %d is %+v", i, got[i])
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended with %v", err)
	}
}

func TestRequests(t *testing.T) {
	j, _ := begin(t)
	if err := Note(j.Dir(), "seen 503s", "bo@desk"); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []ops.Ask{ops.AskPause, ops.AskContinue, ops.AskStop} {
		if err := Ask(j.Dir(), ask, "ana@laptop"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	requests := j.Requests(ctx)
	var got []Request
	for range 4 {
		got = append(got, <-requests)
	}
	if err := Ask(j.Dir(), ops.AskRollback, ""); err != nil {
		t.Fatal(err)
	}
	got = append(got, <-requests)
	want := []Request{
		{Note: "seen 503s", By: "bo@desk"}, {Ask: ops.AskPause, By: "ana@laptop"}, {Ask: ops.AskContinue, By: "ana@laptop"},
		{Ask: ops.AskStop, By: "ana@laptop"}, {Ask: ops.AskRollback},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests differ:\n%s", diff)
	}
	cancel()
	if _, open := <-requests; open {
		t.Error("a request was delivered twice")
	}
}

func TestRequestsWithoutARunner(t *testing.T) {
	j, _ := begin(t)
	if err := Ask(j.Dir(), ops.AskStop, ""); err != nil {
		t.Fatal(err)
	}
	j.Close()
	if err := Ask(j.Dir(), ops.AskStop, ""); !errors.Is(err, ErrNotLive) {
		t.Errorf("asking a run that nobody carries out: %v", err)
	}
	if err := Note(j.Dir(), "it was the disk", "bo@desk"); err != nil {
		t.Fatal(err)
	}
	events, err := Read(j.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if last := events[len(events)-1]; last.Kind != ops.EvNote || last.Text != "bo@desk: it was the disk" {
		t.Errorf("the note became %+v", last)
	}
	if left, _ := os.ReadDir(filepath.Join(j.Dir(), asksName)); len(left) != 0 {
		t.Errorf("a request for the process before was kept: %v", left)
	}
}

func TestList(t *testing.T) {
	state := t.TempDir()
	if runs, err := List(state, "tis"); err != nil || runs != nil {
		t.Errorf("without a directory: %v, %v", runs, err)
	}
	for i, id := range []string{"a", "b", "c", "broken", "empty"} {
		j, err := Create(state, "tis", id)
		if err != nil {
			t.Fatal(err)
		}
		if id != "empty" {
			put(t, j, started(t, id, at.Add(time.Duration(i)*time.Minute)))
		}
		j.Close()
	}
	path := filepath.Join(Dir(state, "tis", "broken"), fileName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte("ana"), []byte("eve"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	runs, err := List(state, "tis")
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	if diff := cmp.Diff([]string{"c", "b", "a"}, ids); diff != "" {
		t.Errorf("runs differ:\n%s", diff)
	}
	if broken := (*BrokenError)(nil); !errors.As(err, &broken) {
		t.Errorf("a broken journal was passed over: %v", err)
	}
}

func TestImport(t *testing.T) {
	j, _ := begin(t)
	events := j.Events()
	other := t.TempDir()
	for _, n := range []int{2, 4, 3} { // a beginning, all of it, less than is there
		dir, err := Import(other, "tis", events[:n])
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(dir)
		if err != nil || !cmp.Equal(got, events[:max(n, len(got))]) {
			t.Errorf("after importing %d: %d events, %v", n, len(got), err)
		}
	}
	forged := j.Events()
	forged[2].Text = "something else"
	if _, err := Import(t.TempDir(), "tis", forged); err == nil {
		t.Error("a broken copy was imported")
	}
	if _, err := Import(t.TempDir(), "tis", nil); err == nil {
		t.Error("an empty copy was imported")
	}
	clash, err := Create(t.TempDir(), "tis", "r1")
	if err != nil {
		t.Fatal(err)
	}
	put(t, clash, started(t, "r1", at.Add(time.Hour)))
	clash.Close()
	if _, err := Import(filepath.Dir(filepath.Dir(filepath.Dir(clash.Dir()))), "tis", events); err == nil {
		t.Error("a copy with another story was imported")
	}
}

// A runner that is cut off still writes; the run is resumed elsewhere, from the copy beside
// the lock, and comes back to this machine.
func TestImportOfWhatPartedFromHere(t *testing.T) {
	for _, test := range []struct {
		name      string
		here      []ops.Event
		elsewhere []ops.Event
		theirs    bool
	}{
		{"cut off here", []ops.Event{say("green cannot be reached"), say("still"), say("still")}, []ops.Event{owner(at.Add(time.Minute)), say("goes on")}, true},
		{"cut off here, and who went on died at once", []ops.Event{say("green cannot be reached"), say("still"), say("still")}, []ops.Event{{At: at, Kind: ops.EvResumed, Text: "ops@desk"}, say("a")}, true},
		{"resumed here in vain, with the copy of the host that answered", []ops.Event{{At: at, Kind: ops.EvResumed, Text: "ops@here"}, say("goes on there")}, []ops.Event{say("a"), say("b"), say("c")}, true},
		{"resumed there, then here", []ops.Event{say("cut off"), owner(at.Add(time.Hour))}, []ops.Event{owner(at.Add(time.Minute)), say("a"), say("b")}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			j, state := begin(t)
			there, elsewhere := begin(t)
			put(t, j, test.here...)
			put(t, there, test.elsewhere...)
			here, theirs := j.Events(), there.Events()
			j.Close()
			want := here
			if test.theirs {
				want = theirs
			}
			for range 2 {
				dir, err := Import(state, "tis", theirs)
				if err != nil {
					t.Fatal(err)
				}
				got, err := Read(dir)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Fatalf("%v\n%s", err, diff)
				}
				kept, err := filepath.Glob(filepath.Join(dir, "parted-*.jsonl"))
				if err != nil || (len(kept) == 1) != test.theirs {
					t.Errorf("kept aside: %v, %v", kept, err)
				}
			}
			j, err := Open(Dir(state, "tis", "r1"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, j, say("and on"))
			j.Close()
			if _, err := Import(elsewhere, "tis", here[:5]); err == nil {
				t.Error("while its process appends, a journal was exchanged")
			}
		})
	}
}

func say(text string) ops.Event { return ops.Event{At: at, Kind: ops.EvSay, Text: text} }

func owner(at time.Time) ops.Event {
	return ops.Event{At: at, Kind: ops.EvRecord, Text: ops.OwnerKey, Data: json.RawMessage(`{"from":"desk","pid":7}`)}
}

// A look at the pair asks for the runs twice a second: it reads what is new, and no more
// than it needs.
func TestLatest(t *testing.T) {
	state := t.TempDir()
	var last *Journal
	for _, id := range []string{"20260305-140322-aaaa", "20260305-140323-bbbb", "20260305-140324-cccc"} {
		j, err := Create(state, "tis", id)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		put(t, j, started(t, id, at))
		last = j
	}
	for range 50 {
		put(t, last, ops.Event{At: at, Kind: ops.EvSay, Text: "waiting"})
	}
	// A runner that was killed before it made its journal has left a directory only.
	if err := os.Mkdir(Dir(state, "tis", "20260305-140325-dddd"), 0o700); err != nil {
		t.Fatal(err)
	}
	if runs, err := List(state, "tis"); err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	runs, err := Latest(state, "tis", 2)
	if err != nil || len(runs) != 1 || runs[0].ID != "20260305-140324-cccc" {
		t.Fatalf("of the two latest directories: %v, %v", runs, err)
	}
	unchanged := testing.AllocsPerRun(20, func() { Latest(state, "tis", 2) })
	if _, err := Read(last.Dir()); err != nil {
		t.Fatal(err)
	}
	if reading := testing.AllocsPerRun(20, func() { Read(last.Dir()) }); unchanged > reading {
		t.Errorf("%.0f allocations though nothing changed; reading one journal makes %.0f", unchanged, reading)
	}
	put(t, last, ops.Event{At: at, Kind: ops.EvEnded, Text: string(ops.OutcomeDone)})
	if runs, _ := Latest(state, "tis", 2); len(runs) != 1 || runs[0].Outcome != ops.OutcomeDone {
		t.Errorf("what was appended since is not seen: %+v", runs)
	}
}
