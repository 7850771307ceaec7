package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// cause is why, without what was being done.
func cause(p *ops.Problem) string {
	if p.Err == nil {
		return p.Doing
	}
	return p.Err.Error()
}

func hint(p *ops.Problem, otherwise string) string {
	if p.Hint != "" {
		return p.Hint
	}
	return otherwise
}

// clock is a time as on the screen: the day only where it is not today's.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04Z")
	}
	return t.Format("2006-01-02 15:04Z")
}

func lastSeen(l ops.Look) string {
	if l.At.IsZero() {
		return "never seen since the start"
	}
	return "last seen " + second(l.At)
}

// second is a time to the second. Findings name times, not ages: an age would make the
// same finding look new at every look.
func second(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// span is a duration to the second: 26h, 1h30m.
func span(d time.Duration) string {
	text := d.Round(time.Second).String()
	for _, nothing := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, nothing) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// names lists the first few.
func names(list []string) string {
	const most = 4
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sentence joins what is said of one thing.
func sentence(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}
