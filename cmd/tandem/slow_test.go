package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowLine lies between a terminal and the one who types: so many bytes a second come through,
// and each takes half a round trip. What has not come through waits in the pty, as it would.
type slowLine struct {
	tty       io.ReadWriter
	roundTrip time.Duration
	rate      int // bytes a second
	come      *io.PipeReader
	typed     chan typed

	mu      sync.Mutex
	arrived []arrival
}

// arrival is how many bytes have come through by then.
type arrival struct {
	at    time.Time
	total int
}

type typed struct {
	at   time.Time
	text []byte
}

func newSlowLine(tty io.ReadWriter, roundTrip time.Duration, rate int) *slowLine {
	come, out := io.Pipe()
	l := &slowLine{tty: tty, roundTrip: roundTrip, rate: rate, come: come, typed: make(chan typed, 1000)}
	under := make(chan typed, 1000)
	go func() {
		defer close(under)
		buf := make([]byte, rate/50)
		for free := time.Now(); ; {
			n, err := tty.Read(buf)
			if err != nil {
				return
			}
			if now := time.Now(); free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(n) * time.Second / time.Duration(rate))
			<-time.After(time.Until(free))
			under <- typed{free.Add(roundTrip / 2), slices.Clone(buf[:n])}
		}
	}()
	go func() {
		total := 0
		for t := range under {
			<-time.After(time.Until(t.at))
			total += len(t.text)
			l.mu.Lock()
			l.arrived = append(l.arrived, arrival{time.Now(), total})
			l.mu.Unlock()
			_, _ = out.Write(t.text)
		}
		_ = out.Close()
	}()
	go func() {
		for t := range l.typed {
			<-time.After(time.Until(t.at))
			_, _ = tty.Write(t.text)
		}
	}()
	return l
}

func (l *slowLine) Read(p []byte) (int, error) { return l.come.Read(p) }

func (l *slowLine) Write(p []byte) (int, error) {
	l.typed <- typed{time.Now().Add(l.roundTrip / 2), slices.Clone(p)}
	return len(p), nil
}

// by is how many bytes had come through at a moment.
func (l *slowLine) by(at time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.arrived, at, func(a arrival, at time.Time) int { return a.at.Compare(at) })
	if i == 0 {
		return 0
	}
	return l.arrived[i-1].total
}

// timeOfDay is that of the title bar.
var timeOfDay = regexp.MustCompile(`\d\d:\d\d:\d\dZ?`)

// TestLongSlowLine is the console over 9,600 baud and a round trip of 300 ms. What a key does
// begins to show a round trip and as many bytes later as come through in 100 ms; while a run
// writes more than the line takes, no later than two frames. It is bytes that are counted: they
// are the same however busy the machine is.
func TestLongSlowLine(t *testing.T) {
	if !everything() {
		t.Log("not played: TANDEM_ALL=1 plays it, as .ci/run does")
		return
	}
	const rate, roundTrip = 960, 300 * time.Millisecond
	temp := t.TempDir()
	cmd := self("demo")
	var line *slowLine
	c := runTerminal(t, 120, 40, cmd, []string{"TMPDIR=" + temp, "XDG_CONFIG_HOME=" + temp, "TANDEM_CONFIG="}, func(tty io.ReadWriter) io.ReadWriter {
		line = newSlowLine(tty, roundTrip, rate)
		return line
	})
	c.see("2 of 2 in service", "13/13", "14/14")
	// took presses a key and tells how many bytes came after the round trip before the place had
	// changed that shows its effect.
	took := func(key string, place func(screen string) string) (int, time.Duration) {
		screen, _ := c.text()
		was := place(screen)
		at := time.Now()
		c.press(key)
		c.until("what "+key+" does", func(screen string) bool { return place(screen) != was })
		effect := time.Now()
		before := line.by(at.Add(roundTrip))
		// The next second of the clock comes when all that the key does is through.
		screen, _ = c.text()
		after := timeOfDay.FindString(screen)
		c.until("the clock to go on", func(screen string) bool { now := timeOfDay.FindString(screen); return now != "" && now != after })
		return max(0, line.by(effect)-before), effect.Sub(at)
	}
	// measure presses keys; most of them show within usual bytes, each within most.
	measure := func(what string, place func(string) string, usual, most int, keys ...string) {
		within := 0
		for _, key := range keys {
			n, d := took(key, place)
			t.Logf("%s: %s after %d bytes, %s", what, key, n, d.Round(time.Millisecond))
			if n <= usual {
				within++
			}
			if n > most {
				t.Errorf("%s: what %s does begins to show after %d bytes, want %d at most", what, key, n, most)
			}
		}
		if within <= len(keys)/2 {
			t.Errorf("%s: what %d of %d keys do begins to show within %d bytes, want more than half", what, within, len(keys), usual)
		}
	}
	cursor := func(screen string) string {
		return strconv.Itoa(slices.IndexFunc(strings.Split(screen, "\n"), func(l string) bool { return strings.Contains(l, "›") }))
	}
	took("down", cursor) // what was drawn first is through
	const second = 200   // bytes of a second in which nothing happens: one may be ahead
	measure("calm", cursor, rate/10, rate/10+second, "down", "down", "down", "up", "up", "down", "down", "up", "up", "up")

	c.press("tab", "r")
	c.see("Restart", "press y")
	c.insist("y", false, "press y to go on")
	c.see("requests since")
	c.press("up")
	c.see("G follows")
	panel := regexp.MustCompile(`(?m)^\s*╭─ ([a-z ]+).* G follows`)
	step := func(screen string) string { return fmt.Sprint(panel.FindStringSubmatch(screen)) }
	measure("a run under way", step, 2000, 4000, "down", "up", "down", "up", "down", "up", "down", "up")
}
