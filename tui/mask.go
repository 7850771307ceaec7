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
// address, and the words that the config names. The words "hosts" and "addresses" in
// redact stand for what is always hidden.
func Mask(pair ops.Pair, redact []string) func(string) string {
	var pairs []string
	add := func(secret, shown string) {
		if len(secret) > 1 && !slices.Contains(pairs, secret) {
			pairs = append(pairs, secret, shown)
		}
	}
	for _, word := range redact {
		if word != "hosts" && word != "addresses" {
			add(word, "•••")
		}
	}
	for _, side := range ops.Sides {
		address := pair.Addresses[side]
		_, host, ok := strings.Cut(address, "@")
		if !ok {
			host = address
		}
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		add(address, string(side)+"-host")
		add(host, string(side)+"-host")
		if name, _, ok := strings.Cut(host, "."); ok && net.ParseIP(host) == nil {
			add(name, string(side)+"-host")
		}
	}
	words := strings.NewReplacer(pairs...)
	return func(text string) string {
		text = words.Replace(text)
		if strings.ContainsAny(text, ".:") {
			text = ipv4.ReplaceAllString(text, "•.•.•.•")
			text = ipv6.ReplaceAllString(text, "•:•")
		}
		return text
	}
}
