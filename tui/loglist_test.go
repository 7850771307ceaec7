package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tandem/ops"
)

// TestListIsWhatAWholeSortGives lets lines of several containers come late and in any
// portions, searched for and dropped meanwhile: the lists are always what sorting and
// searching all that is kept would give.
func TestListIsWhatAWholeSortGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, v := logScreen(rapid.SampledFrom([]int{80, 200}).Draw(t, "width"), 40)
		for range rapid.IntRange(1, 12).Draw(t, "portions") {
			for range rapid.IntRange(0, 2*logChunk).Draw(t, "lines") {
				l := logLine(rapid.IntRange(0, 1000).Draw(t, "second"), rapid.SampledFrom([]string{"GET /a", "put", "Wärme", "get", "GeT é"}).Draw(t, "text"))
				l.Container = rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "container")
				if rapid.IntRange(0, 20).Draw(t, "timeless") == 0 {
					l.At = time.Time{}
				}
				v.sides[rapid.IntRange(0, 1).Draw(t, "side")].stream.add(l)
			}
			switch rapid.IntRange(0, 3).Draw(t, "act") {
			case 0:
				v.input.SetText(rapid.SampledFrom([]string{"get", "É", "ä", "", "nothing"}).Draw(t, "search"))
				settle(a, v.look())
			case 1:
				s := v.sides[rapid.IntRange(0, 1).Draw(t, "full")].stream
				s.bytes += logBytesMost // as if its lines were long
				s.forget()
				s.bytes = 0
			case 2:
				press(a, "o")
			}
			v.sync()
			all := map[bool][]*logEntry{}
			for _, side := range v.sides {
				kept := side.stream.read(1).lines
				slices.SortFunc(kept, byTime)
				sameList(t, "lines", side.lines, kept)
				sameList(t, "hits", side.hits, hitsOf(v, kept))
				all[true] = append(all[true], kept...)
			}
			if m := v.merged.list; m != nil {
				slices.SortFunc(all[true], byTime)
				sameList(t, "merged lines", m.lines, all[true])
				sameList(t, "merged hits", m.hits, hitsOf(v, all[true]))
			}
		}
	})
}

func hitsOf(v *logView, lines []*logEntry) (hits []*logEntry) {
	for _, e := range lines {
		if v.search != nil && v.search.pattern.MatchString(e.Text) {
			hits = append(hits, e)
		}
	}
	return hits
}

func sameList(t *rapid.T, what string, got, want []*logEntry) {
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %d, want %d, or in another order", what, len(got), len(want))
	}
}

// TestLinesOfOneContainerKeepTheirOrder: a clock that is set back mixes nothing up.
func TestLinesOfOneContainerKeepTheirOrder(t *testing.T) {
	_, v := logScreen(120, 40)
	for i, second := range []int{10, 11, 3, 4, 20} {
		v.sides[0].stream.add(logLine(second, fmt.Sprint(i)))
	}
	v.sync()
	var got []string
	for _, e := range v.sides[0].lines {
		got = append(got, e.Text)
	}
	if want := "0 1 2 3 4"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestMomentsAsTyped(t *testing.T) {
	now := time.Date(2026, 11, 26, 14, 3, 22, 0, time.UTC)
	for text, want := range map[string]string{
		"10m": "2026-11-26 13:53:22", "2h": "2026-11-26 12:03:22", "1h30m": "2026-11-26 12:33:22", "3d": "2026-11-23 14:03:22",
		"14:03": "2026-11-26 14:03:00", "14:04": "2026-11-25 14:04:00", "14:03:21Z": "2026-11-26 14:03:21", " 09:30 ": "2026-11-26 09:30:00",
		"2026-11-25 23:59": "2026-11-25 23:59:00", "2026-11-25T23:59:01Z": "2026-11-25 23:59:01", "2026-11-25": "2026-11-25 00:00:00",
	} {
		at, err := ParseTime(text, now)
		if err != nil || at.UTC().Format(time.DateTime) != want {
			t.Errorf("%q is %s (%v), want %s", text, at, err, want)
		}
	}
	for _, text := range []string{"", "m", "25:00", "14:3x", "-5m", "0m", "yesterday", "2026-13-01", "-1d"} {
		if at, err := ParseTime(text, now); err == nil {
			t.Errorf("%q is taken for %s", text, at)
		} else if !strings.Contains(err.Error(), "2026-11-26 14:03") {
			t.Errorf("%q: %v does not say how to write it", text, err)
		}
	}
	summer := time.FixedZone("", 3600)
	if at, err := ParseTime("14:03", now.In(summer)); err != nil || at.UTC().Hour() != 13 {
		t.Errorf("14:03 an hour to the east is %s (%v)", at.UTC(), err)
	}
}

func TestSpans(t *testing.T) {
	var s LogSpan
	s, err := s.until("14:00", noon)
	if err != nil || !s.ended(noon) {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := s.since("1m", noon); err == nil {
		t.Error("since after until is taken")
	}
	if _, err := s.since("2030-01-01", noon); err == nil {
		t.Error("since tomorrow is taken")
	}
	if s, err = s.since("1h", noon); err != nil || s.All {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = s.since("all", noon); err != nil || !s.All || !s.Since.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = s.until("", noon); err != nil || s.ended(noon) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = s.since(" ", noon); err != nil || s != (LogSpan{}) {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestSinceReadsAnew types a time: what was read is put away, the streams are opened with
// it, and what is searched for stays.
func TestSinceReadsAnew(t *testing.T) {
	f := newFake(calm())
	asked := make(chan struct{}, len(ops.Sides))
	f.logs = func(ctx context.Context, _ ops.Side, _ string, _ func(LogLine)) error {
		asked <- struct{}{}
		return ctx.Err()
	}
	a := newConsole(f, 120, 40)
	v := newLogs(&a.env, ops.Blue, "tcs")
	v.cancel = func() {}
	a.Update(openMsg{v})
	fill(v, 10)
	press(a, "/", "W", "A", "R", "N", "enter")
	wants(t, a, "1 of 1", "WARN slow query")
	press(a, "s", "1", "x", "enter")
	wants(t, a, `"1x" is no time`)
	press(a, "backspace", "h", "enter")
	if text := text(a); strings.Contains(text, "WARN slow query") || !strings.Contains(text, "since 13:03:22Z") {
		t.Errorf("the log was not read anew:\n%s", text)
	}
	for range ops.Sides {
		<-asked
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, span := range f.spans {
		if !span.Since.Equal(noon.Add(-time.Hour)) {
			t.Errorf("asked for %+v", span)
		}
	}
	if v.search == nil || v.input.Text() != "WARN" {
		t.Error("the search is gone")
	}
}
