package timeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"tandem/ops"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func seen(after time.Duration, text string) ops.Moment {
	return ops.Moment{At: noon.Add(after), Kind: ops.MomentEngine, Side: ops.Green, Text: text}
}

func note(after time.Duration, text string) ops.Moment {
	return ops.Moment{At: noon.Add(after), Kind: ops.MomentNote, Who: "ada@desk1", Text: text}
}

func add(t *testing.T, l *Log, list ...ops.Moment) {
	t.Helper()
	if err := l.Add(list...); err != nil {
		t.Fatal(err)
	}
}

func texts(t *testing.T, l *Log) string {
	t.Helper()
	list, err := l.Read()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range list {
		out = append(out, m.Text)
	}
	return strings.Join(out, "|")
}

func TestARestartKeepsWhatWasAdded(t *testing.T) {
	state := t.TempDir()
	l := Open(state, "tis")
	if got := texts(t, l); got != "" {
		t.Errorf("before anything: %q", got)
	}
	finding := seen(time.Second, "block: it is broken")
	finding.Kind, finding.Finding = ops.MomentFinding, &ops.FindingMoment{ID: "broken", Severity: ops.Block, Title: "it is broken", Was: "it creaks"}
	add(t, l, finding, seen(0, "tcs healthy"))
	if got := texts(t, l); got != "tcs healthy|block: it is broken" {
		t.Errorf("it is not in the order of time: %q", got)
	}
	again, err := Open(state, "tis").Read()
	if err != nil || len(again) != 2 || again[1].Finding == nil || *again[1].Finding != *finding.Finding || !again[1].At.Equal(finding.At) || again[1].Side != ops.Green {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
	if got := texts(t, Open(state, "other")); got != "" {
		t.Errorf("another pair has %q", got)
	}
	info, err := os.Stat(l.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it is not private: %v, %v", info.Mode(), err)
	}
}

// What one process has written the others read, while they are open.
func TestOthersAreRead(t *testing.T) {
	state := t.TempDir()
	a, b := Open(state, "tis"), Open(state, "tis")
	add(t, a, note(0, "one"))
	if got := texts(t, b); got != "one" {
		t.Errorf("b reads %q", got)
	}
	add(t, b, note(time.Minute, "two"))
	first, _ := a.Read()
	second, _ := a.Read()
	if got := texts(t, a); got != "one|two" || &first[0] != &second[0] {
		t.Errorf("a reads %q, anew where nothing has changed: %v", got, &first[0] != &second[0])
	}
}

// Whatever is left of a line that was being written, all others are read, and the next is whole.
func TestATornLine(t *testing.T) {
	state := t.TempDir()
	add(t, Open(state, "tis"), note(0, "one"), note(time.Second, "two"))
	path := Open(state, "tis").path
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := slices.Index(whole, '\n') + 1
	for cut := first; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l := Open(state, "tis")
		if got := texts(t, l); got != "one" {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		add(t, l, note(time.Minute, "three"))
		want := "one|three"
		if cut == len(whole)-1 { // only its end was missing
			want = "one|two|three"
		}
		if got := texts(t, Open(state, "tis")); got != want {
			t.Fatalf("cut at %d, then added: %q", cut, got)
		}
	}
	for _, junk := range []string{"\n\n", "{}\n", "null\n", "\x00\x00\x00\n", `{"at":"yesterday"}` + "\n", "[1]\n"} {
		if err := os.WriteFile(path, append([]byte(junk), whole...), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := texts(t, Open(state, "tis")); got != "one|two" {
			t.Errorf("after %q: %q", junk, got)
		}
	}
}

// Two consoles see the same thing, each a little later: it is one moment. What happens again is
// another, and what is typed always counts.
func TestTheSameThingSeenTwice(t *testing.T) {
	state := t.TempDir()
	a, b := Open(state, "tis"), Open(state, "tis")
	add(t, a, seen(0, "tcs restarted"))
	add(t, b, seen(3*time.Second, "tcs restarted"), seen(4*time.Second, "tcs healthy"))
	add(t, a, seen(5*time.Second, "tcs healthy"), seen(9*time.Second, "tcs restarted"))
	add(t, b, seen(10*time.Second, "tcs restarted"), seen(2*time.Minute, "tcs healthy"))
	if got := texts(t, a); got != "tcs restarted|tcs healthy|tcs restarted|tcs healthy" {
		t.Errorf("got %q", got)
	}
	for i, l := range []*Log{a, b} {
		m := seen(0, fmt.Sprint("block: it is broken, by ", i))
		m.Kind, m.Finding = ops.MomentFinding, &ops.FindingMoment{ID: "broken", Title: "it is broken"}
		m.At = m.At.Add(time.Duration(i) * time.Second)
		add(t, l, m)
	}
	if got := texts(t, a); strings.Count(got, "it is broken") != 1 {
		t.Errorf("got %q", got)
	}
	other := seen(0, "tcs restarted")
	other.Side = ops.Blue
	add(t, b, other)
	add(t, a, note(time.Hour, "here"))
	add(t, b, note(time.Hour+time.Second, "here"))
	if got := texts(t, a); strings.Count(got, "here") != 2 || strings.Count(got, "tcs restarted") != 3 {
		t.Errorf("got %q", got)
	}
}

// What has a time of its own, such as the act of a package manager, is added at every start and
// kept once.
func TestTheSameMomentAddedAgain(t *testing.T) {
	state := t.TempDir()
	for range 3 {
		add(t, Open(state, "tis"), seen(-24*time.Hour, "packages changed"), seen(0, "x"))
	}
	if got := texts(t, Open(state, "tis")); got != "packages changed|x" {
		t.Errorf("got %q", got)
	}
}

func TestManyWriteAtOnce(t *testing.T) {
	state := t.TempDir()
	var all sync.WaitGroup
	for writer := range 6 {
		all.Go(func() {
			l := Open(state, "tis")
			for i := range 20 {
				if err := l.Add(note(time.Duration(i)*time.Second, fmt.Sprintf("%d-%d", writer, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	list, err := Open(state, "tis").Read()
	if err != nil || len(list) != 120 {
		t.Errorf("%d moments, %v", len(list), err)
	}
}

// It never takes more than two files of their size, and what came last is always there, for those
// that have it open, too.
func TestItIsBounded(t *testing.T) {
	state := t.TempDir()
	a, b := Open(state, "tis"), Open(state, "tis")
	a.most, b.most = 2000, 2000
	for i := range 100 {
		add(t, []*Log{a, b}[i%2], note(time.Duration(i)*time.Minute, fmt.Sprintf("note %03d", i)))
		if got := texts(t, b); !strings.HasSuffix(got, fmt.Sprintf("note %03d", i)) {
			t.Fatalf("after %d: %q", i, got)
		}
	}
	files, err := os.ReadDir(filepath.Dir(a.path))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Size() > 2000 {
			t.Errorf("%s: %v, %v", file.Name(), info.Size(), err)
		}
	}
	got := texts(t, Open(state, "tis"))
	if n := strings.Count(got, "note"); n < 15 || n > 40 || got != texts(t, a) || got != texts(t, b) {
		t.Errorf("%d are left: %q; a has %q; b has %q", n, got, texts(t, a), texts(t, b))
	}
}

// What cannot be written is not lost while the process lives, and is written once it can be.
func TestWhatCannotBeWrittenWaits(t *testing.T) {
	state := t.TempDir()
	l := Open(state, "tis")
	if err := os.WriteFile(filepath.Dir(l.path), nil, 0o600); err != nil { // in the way of the folder
		t.Fatal(err)
	}
	if err := l.Add(note(0, "one")); err == nil {
		t.Fatal("no error")
	}
	if list, err := l.Read(); err == nil || len(list) != 1 || list[0].Text != "one" {
		t.Errorf("meanwhile: %+v, %v", list, err)
	}
	if err := os.Remove(filepath.Dir(l.path)); err != nil {
		t.Fatal(err)
	}
	add(t, l, note(time.Second, "two"))
	if got := texts(t, Open(state, "tis")); got != "one|two" {
		t.Errorf("got %q", got)
	}
}

func TestWatched(t *testing.T) {
	state := t.TempDir()
	for i, want := range []time.Time{{}, noon, noon.Add(time.Minute)} {
		got, err := Open(state, "tis").Watched(noon.Add(time.Duration(i) * time.Minute))
		if err != nil || !got.Equal(want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
}

func TestALongTextIsCut(t *testing.T) {
	l := Open(t.TempDir(), "tis")
	add(t, l, note(0, "x"+strings.Repeat("é", 5000)))
	if got := texts(t, l); len(got) > textMost+10 || !utf8.ValidString(got) || !strings.HasSuffix(got, "é …") {
		t.Errorf("%d bytes: %q", len(got), got[len(got)-20:])
	}
}
