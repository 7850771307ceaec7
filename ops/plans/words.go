package plans

import (
	"fmt"
	"slices"
	"strings"
)

// and joins names as a sentence does.
func and(names []string) string {
	switch len(names) {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// count writes "1 service", "14 services".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// closest names what may have been meant: the nearest known names, else all of them.
func closest(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	near := slices.DeleteFunc(slices.Clone(known), func(k string) bool {
		return distance(name, k) > max(2, len(name)/3) && !(len(name) >= 3 && strings.Contains(k, name))
	})
	slices.SortStableFunc(near, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if len(near) == 0 {
		return ": there are " + and(known)
	}
	return ": did you mean " + strings.Join(near[:min(3, len(near))], " or ") + "?"
}

// distance is Levenshtein's: how many letters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
