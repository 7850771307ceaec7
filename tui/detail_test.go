package tui

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"tandem/ops"
	"tandem/tui/style"
)

// detailsIn are the details of the containers of a snapshot. Of tcs, green has another password,
// a variable more, and no limit.
func detailsIn(snap *ops.Snapshot) func(ops.Side, string) ([]ops.Detail, error) {
	return func(side ops.Side, service string) ([]ops.Detail, error) {
		var list []ops.Detail
		for i, c := range snap.On(side).Containers(service) {
			d := ops.Detail{
				Container: c, Digests: []string{"tis/" + service + "@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
				Program: "java", Args: 3, Command: ops.Print{1}, Caps: ops.Caps{Memory: 1 << 30},
				Env:    []ops.Variable{{Name: "DB_HOST", Value: ops.Print{1}}, {Name: "DB_PASSWORD", Value: ops.Print{2}}, {Name: "JAVA_VERSION", Value: ops.Print{3}}},
				Mounts: []ops.Mount{{Kind: "bind", Source: "/opt/tis/" + service, Place: "/config", ReadOnly: true}, {Kind: "volume", Source: service + "-data", Place: "/data"}},
				Ends:   []ops.Endpoint{{Network: "tis", Address: fmt.Sprintf("172.18.0.%d", 2+i)}},
				Checks: []ops.HealthCheck{{At: ago(4 * time.Second), Output: "{\"status\":\"UP\"}"}, {At: ago(14 * time.Second), Exit: 1, Output: "% Total\ncurl: (7) Failed to connect\n"}},
			}
			if side == ops.Green && service == "tcs" {
				d.Env[1].Value, d.Caps.Memory = ops.Print{9}, 0
				d.Env = append(d.Env, ops.Variable{Name: "TCS_BATCH", Value: ops.Print{4}})
				d.Digests = nil
			}
			list = append(list, d)
		}
		return list, nil
	}
}

// working are readings that go on by a step each time they are asked for.
func working() func(ops.Side, []string) ([]ops.Sample, error) {
	n := map[string]int{}
	at := map[string]ops.Sample{}
	return func(side ops.Side, ids []string) ([]ops.Sample, error) {
		var list []ops.Sample
		for _, id := range ids {
			k := string(side) + id
			s := at[k]
			n[k]++
			s.ID, s.At = id, noon.Add(time.Duration(n[k])*usageBeat)
			s.CPU += time.Duration(float64(usageBeat) * (0.12 + 0.1*math.Sin(float64(n[k])/2)))
			s.Memory, s.Limit = uint64(400+10*n[k])<<20, 1<<30
			at[k] = s
			list = append(list, s)
		}
		return list, nil
	}
}

// polls lets n readings come.
func polls(a *App, n int) {
	for range n {
		for _, side := range ops.Sides {
			a.usage.sides[side].asked = time.Time{}
		}
		settle(a, a.poll())
	}
}

// detailConsole has the details of tcs open, with ten readings of each container.
func detailConsole(f *fake, w, h int) *App {
	a := newConsole(f, w, h)
	press(a, "j", "j", "j", "j", "enter")
	polls(a, 10)
	return a
}

// known gives a fake all that the details need.
func known(f *fake) *fake {
	f.details, f.samples = detailsIn(&f.snap), working()
	return f
}

func TestDetailFrames(t *testing.T) {
	noAnswer := errors.New("no answer within 10s")
	situations := map[string]func() *App{
		"differs": nil,
		"pinned": func() *App {
			a := newConsole(known(newFake(incident())), 120, 40)
			press(a, "*", "j", "*", "j", "j", "j", "*", "enter")
			polls(a, 10)
			return a
		},
		"one side only": func() *App {
			a := newConsole(known(newFake(incident())), 120, 40)
			press(a, "G", "k", "k", "k", "enter")
			polls(a, 3)
			return a
		},
		"exited": func() *App {
			a := newConsole(known(newFake(incident())), 120, 40)
			press(a, "j", "j", "j", "j", "j", "j", "j", "j", "enter")
			polls(a, 3)
			return a
		},
		"loading": func() *App {
			a := newConsole(known(newFake(incident())), 120, 40)
			a.Update(openMsg{newDetail(&a.env, "tcs")})
			return a
		},
		"not read": func() *App {
			a := newConsole(newFake(incident()), 120, 40)
			press(a, "enter")
			return a
		},
		"unreachable": func() *App {
			f := known(newFake(oneDown()))
			a := newConsole(f, 120, 40)
			a.snap.Green.Link = ops.LinkUp
			press(a, "j", "enter")
			polls(a, 4)
			change(a)
			now := noon.Add(40 * time.Second)
			a.now = func() time.Time { return now }
			a.drawn = false
			return a
		},
		"old": func() *App {
			f := known(newFake(calm()))
			a := detailConsole(f, 120, 40)
			f.details, f.samples = func(ops.Side, string) ([]ops.Detail, error) { return nil, noAnswer }, func(ops.Side, []string) ([]ops.Sample, error) { return nil, noAnswer }
			now := noon.Add(70 * time.Second)
			a.now = func() time.Time { return now }
			settle(a, a.tell(tickMsg{}))
			polls(a, 1)
			a.drawn = false
			return a
		},
	}
	for name, open := range situations {
		for _, size := range append(sizes, Size{60, 40}) {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", name, size.W, size.H), " ", "-"), func(t *testing.T) {
				if open == nil {
					open = func() *App { return detailConsole(known(newFake(incident())), 120, 40) }
				}
				a := open()
				a.Update(tea.WindowSizeMsg{Width: size.W, Height: size.H})
				keepFrame(t, a, size)
			})
		}
	}
}

// TestDetailsAreRead checks when the details are asked for: at once, when the listing changes, on
// a slow beat, and sooner after an error; never twice at a time.
func TestDetailsAreRead(t *testing.T) {
	f := newFake(calm())
	asked := 0
	fails := false
	f.details = func(side ops.Side, service string) ([]ops.Detail, error) {
		asked++
		if fails {
			return nil, errors.New("gone")
		}
		return detailsIn(&f.snap)(side, service)
	}
	a := newConsole(f, 120, 40)
	now := noon
	a.now = func() time.Time { return now }
	expect := func(what string, want int) {
		t.Helper()
		if asked != want {
			t.Fatalf("%s: asked %d times, want %d", what, asked, want)
		}
	}
	after := func(d time.Duration) {
		now = now.Add(d)
		f.snap.Blue.Engine.At, f.snap.Green.Engine.At = now, now
		change(a)
		settle(a, a.tell(tickMsg{}))
	}
	press(a, "enter")
	expect("opened", 2)
	after(time.Second)
	expect("nothing is new", 2)
	f.snap.Green.Services[0].Containers[0].State = "exited"
	change(a)
	expect("one has changed", 3)
	after(inspectBeat)
	expect("the beat", 5)
	fails = true
	after(inspectBeat)
	expect("with an error", 7)
	after(time.Second)
	expect("not at once again", 7)
	after(inspectAgain)
	expect("after an error", 9)
	if text := trimmed(a.View().Content); !strings.Contains(text, "DB_HOST") || !strings.Contains(text, "30s ago, then: gone") {
		t.Errorf("what was known is gone, or without its age:\n%s", text)
	}
	press(a, "esc")
	after(time.Hour)
	expect("closed", 9)
}

// TestOnlyWhatIsSeenIsRead checks that readings are taken of containers in sight or pinned alone,
// and never twice at a time on a side.
func TestOnlyWhatIsSeenIsRead(t *testing.T) {
	f := known(newFake(calm()))
	var asked [][]string
	read := f.samples
	f.samples = func(side ops.Side, ids []string) ([]ops.Sample, error) {
		asked = append(asked, ids)
		return read(side, ids)
	}
	a := newConsole(f, 120, 40)
	now := noon
	a.now = func() time.Time { return now }
	after := func(d time.Duration) int {
		now = now.Add(d)
		asked = nil
		settle(a, a.poll())
		return len(asked)
	}
	if n := after(time.Minute); n != 0 {
		t.Errorf("nobody looks, and %d were asked for", n)
	}
	press(a, "enter")
	for step, want := range []struct {
		after time.Duration
		asks  int
	}{{usageFirst, 2}, {usageFirst, 0}, {usageBeat, 2}} {
		if n := after(want.after); n != want.asks {
			t.Errorf("step %d: asked %d times, want %d", step, n, want.asks)
		}
	}
	press(a, "?") // it hides the details
	if n := after(time.Minute); n != 0 {
		t.Errorf("hidden, and %d were asked for", n)
	}
	press(a, "esc", "*", "esc")
	if n := after(time.Minute); n != 2 {
		t.Errorf("pinned: asked %d times", n)
	}
	a.usage.sides[ops.Blue].busy = true
	if n := after(time.Minute); n != 1 {
		t.Errorf("asked again before the answer has come: %d", n)
	}
	f.snap.Green.Link = ops.LinkDown
	change(a)
	if n := after(time.Minute); n != 0 {
		t.Errorf("asked a host that is not there: %d", n)
	}
	a.usage.sides[ops.Blue].busy = false
	press(a, "*")
	after(time.Minute)
	if len(a.usage.gauges) > 0 {
		t.Error("readings of what nobody looks at are kept")
	}
}

func TestUsageTexts(t *testing.T) {
	for cpus, want := range map[float64]string{0: "0.0%", 0.124: "12.4%", 1: "100.0%", 3.999: "399.9%", 12: "1200%", 64: "6400%"} {
		if got := loadText(cpus); got != want || len(got) > loadCells-1 {
			t.Errorf("%v: %q, want %q", cpus, got, want)
		}
	}
	for bytes, want := range map[float64]string{0: "0 B", 999: "999 B", 1000: "1.0 KiB", 412 << 20: "412 MiB", 999.6 * (1 << 20): "1000 MiB", 1 << 30: "1.0 GiB", 1.5 * (1 << 40): "1.5 TiB", 15 << 30: "15 GiB"} {
		if got := sizeText(bytes); got != want || len(got) > sizeCells-1 {
			t.Errorf("%v: %q, want %q", bytes, got, want)
		}
	}
	if got := spark([]float64{0, 0.5, math.NaN(), 1, 2}, 1, 7); got != "  ▁▅ ██" {
		t.Errorf("spark %q", got)
	}
	if got := spark([]float64{0, 1, 2}, 1, 2); got != "██" {
		t.Errorf("spark %q", got)
	}
}

// TestSparkInASCII checks that every height has a stand-in of its own.
func TestSparkInASCII(t *testing.T) {
	sheet := style.New(dark(), style.Options{ASCII: true, NoColor: true})
	line := ansi.Strip(sheet.Page(8).Put(style.Text, string(style.Spark)).End().Lines()[0])
	if line != ".:-=+*%#" {
		t.Errorf("%q", line)
	}
}

// TestPinnedInTheTable checks that what is pinned has its numbers in a wide table, and that no
// column of a narrow one is lost for it.
func TestPinnedInTheTable(t *testing.T) {
	for _, size := range []Size{{200, 60}, {160, 45}, {120, 40}, {80, 24}} {
		t.Run(fmt.Sprint(size.W), func(t *testing.T) {
			a := newConsole(known(newFake(incident())), size.W, size.H)
			press(a, "j", "*", "j", "j", "j", "*")
			polls(a, 10)
			press(a, "k") // what was said goes with the next key
			keepFrame(t, a, size)
		})
	}
}
