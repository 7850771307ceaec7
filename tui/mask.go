package tui

import (
	"net"
	"regexp"
	"slices"
	"strings"

	"tandem/ops"
)

// Addresses as they appear in texts: IPv4 with four parts (a version has three), IPv6
// with at least two groups before and after, both with a port or prefix left standing.
var (
	ipv4 = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)
	ipv6 = regexp.MustCompile(`(?i)\b[0-9a-f]{1,4}(:[0-9a-f]{0,4}){3,7}\b`)
)

// Mask makes the function that hides, in every text on the screen, the hosts, any
// address, the words that the config names, and names of machines and of people, which are
// hidden where they stand as words. The words "hosts" and "addresses" in redact stand for
// what is always hidden.
func Mask(pair ops.Pair, redact []string, names ...string) func(string) string {
	var pairs []string
	add := func(secret, shown string) {
		if len(secret) > 1 && !slices.Contains(pairs, secret) {
			pairs = append(pairs, secret, shown)
		}
	}
	for _, word := range redact {
		if word != "hosts" && word != "addresses" {
			add(word, hidden)
		}
	}
	// The longest first: the hosts of a lab differ in their ports alone.
	for _, side := range ops.Sides {
		address := pair.Addresses[side]
		add(address, string(side)+"-host")
		if user, host, ok := strings.Cut(address, "@"); ok {
			add(host, string(side)+"-host")
			names = append(names, user)
		}
	}
	for _, side := range ops.Sides {
		_, host, ok := strings.Cut(pair.Addresses[side], "@")
		if !ok {
			host = pair.Addresses[side]
		}
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		add(host, string(side)+"-host")
		if name, _, ok := strings.Cut(host, "."); ok && net.ParseIP(host) == nil {
			add(name, string(side)+"-host")
		}
	}
	words, named := strings.NewReplacer(pairs...), wordsOf(names)
	return func(text string) string {
		text = words.Replace(text)
		if named != nil {
			text = named.ReplaceAllString(text, hidden)
		}
		if strings.ContainsAny(text, ".:") {
			text = ipv4.ReplaceAllString(text, "•.•.•.•")
			text = ipv6.ReplaceAllString(text, "•:•")
		}
		return text
	}
}

// hidden stands where something was.
const hidden = "•••"

// wordsOf finds the names where they are words of their own; nil: there are none.
func wordsOf(names []string) *regexp.Regexp {
	var list []string
	for _, name := range names {
		// root is on every host and tells nothing; its name is in paths.
		if len(name) > 1 && name != "root" && !slices.Contains(list, regexp.QuoteMeta(name)) {
			list = append(list, regexp.QuoteMeta(name))
		}
	}
	if list == nil {
		return nil
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) }) // the longest first: one may begin another
	return regexp.MustCompile(`(^|\b)(?:` + strings.Join(list, "|") + `)\b`)
}

// PeopleOf are the people, and their machines, who have had to do with a run.
func PeopleOf(r *ops.Run) []string {
	list := Names(r.By)
	for _, l := range r.Lines {
		switch l.Kind {
		case ops.EvResumed, ops.EvRollback, ops.EvContinued: // by whom, among other words
			for _, word := range strings.Fields(l.Text) {
				if strings.Contains(word, "@") {
					list = append(list, Names(strings.Trim(word, ".,:;()"))...)
				}
			}
		}
	}
	return list
}

// Names are the user and the machine of user@machine, of one or of several.
func Names(who string) []string {
	return strings.FieldsFunc(who, func(r rune) bool { return r == '@' || r == ' ' })
}

// people are those whose names the console shows: who runs, holds the lock, drained or
// changed packages, and the machines that they did it from.
func (e *env) people() []string {
	var list []string
	add := func(names ...string) {
		for _, name := range names {
			list = append(list, Names(name)...)
		}
	}
	if e.run != nil {
		list = append(list, PeopleOf(e.run)...)
	}
	known := map[string]bool{}
	for i := range e.timeline {
		if who := e.timeline[i].Who; who != "" && !known[who] {
			known[who] = true
			add(who)
		}
	}
	for _, side := range ops.Sides {
		at := e.snap.On(side)
		if at.Lock != nil {
			add(at.Lock.By, at.Lock.From)
		}
		for _, c := range at.Upkeep.Changes {
			add(c.By)
		}
	}
	return list
}
