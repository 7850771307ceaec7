package ops

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MomentGroup is a moment, or several that say the same of containers of a side shortly after each
// other: then its text is "12 containers healthy", and its time that of the last.
type MomentGroup struct {
	Moment
	Names []string // of the containers, in the order of time; nil: it is one moment
}

// apart is how far apart moments may be that are one line, and spread how long a line may last.
const (
	apart  = 30 * time.Second
	spread = 5 * time.Minute
)

// Together puts moments that say the same of several containers of a side into one: what else
// happened then is not lost among them. Both lists have the oldest first.
func Together(list []Moment) []MomentGroup {
	groups := make([]MomentGroup, 0, len(list))
	sinces := make([]time.Time, 0, len(list)) // of the earliest of each
	for i := range slices.Backward(list) {
		m := &list[i]
		name, what := m.container()
		var names []string
		if what != "" {
			names = []string{name}
		}
		at := -1
		for j := len(groups) - 1; j >= 0 && what != "" && groups[j].At.Sub(m.At) <= spread; j-- {
			_, same := groups[j].container()
			if same == what && groups[j].Side == m.Side && sinces[j].Sub(m.At) <= apart {
				at = j
				break
			}
		}
		if at < 0 {
			groups, sinces = append(groups, MomentGroup{*m, names}), append(sinces, m.At)
			continue
		}
		groups[at].Names, sinces[at] = append(groups[at].Names, name), m.At
	}
	for i := range groups {
		g := &groups[i]
		if len(g.Names) < 2 {
			g.Names = nil
			continue
		}
		_, what := g.container()
		slices.Reverse(g.Names)
		g.Text = fmt.Sprintf("%d containers %s", len(g.Names), what)
	}
	slices.Reverse(groups)
	return groups
}

// Container is the service, job or container that the moment is about, as the screens name it; empty:
// none.
func (m *Moment) Container() string {
	name, _ := m.container()
	return name
}

// container is of which container a moment tells, and what; empty: of none.
func (m *Moment) container() (name, what string) {
	name, what, ok := strings.Cut(m.Text, " ")
	if !ok || m.Kind != MomentEngine || strings.HasSuffix(name, ":") {
		return "", ""
	}
	for _, word := range containerWords {
		if what == word || strings.HasPrefix(what, word+" ") || strings.HasPrefix(what, word+":") {
			return name, what
		}
	}
	return "", ""
}

// containerWords begin what is said of containers: their states, and what becomes of them.
var containerWords = []string{
	"appeared", "replaced", "removed", "restarted", "running", "healthy", "starting", "unhealthy", "exited", "created", "paused", "restarting", "removing", "dead",
}
