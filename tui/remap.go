package tui

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// KeyTable is the key table of a console, made by Remap.
type KeyTable []Binding

// KeyChange gives an act another key.
type KeyChange struct{ Act, Key string }

// keyName is a key as it is named in the config: one character, a function key, or either of
// the two with ctrl or alt.
var keyName = regexp.MustCompile(`^(ctrl\+[a-z]|alt\+[a-z0-9]|f([1-9]|1[0-2])|[^\s\x00-\x1f])$`)

// keptKeys mean the same on every screen and in every console: what leads out of a dialog, what
// confirms, and what leads out of the console.
var keptKeys = []string{"y", "ctrl+c", ":", "?"}

// Remap is the key table with some acts on other keys. A change that cannot be made is an error,
// with its index: an act that there is not, a key that there is not, one that means something
// else on the same screen.
func Remap(changes []KeyChange) (KeyTable, int, error) {
	keys := slices.Clone(table)
	changed := map[Action]bool{}
	for i, c := range changes {
		act := Action(strings.ReplaceAll(c.Act, "-", " "))
		switch {
		case !slices.Contains(remappable(), string(act)):
			return nil, i, fmt.Errorf("%q is no act with a key of its own; there are %s", c.Act, strings.Join(remappable(), ", "))
		case !keyName.MatchString(c.Key):
			return nil, i, fmt.Errorf("%q is no key: use one character, f1 to f12, ctrl+ or alt+ with a letter", c.Key)
		case slices.Contains(keptKeys, c.Key):
			return nil, i, fmt.Errorf("%s stays what it is: it means the same everywhere", c.Key)
		case changed[act]:
			return nil, i, fmt.Errorf("%s has two keys", act)
		}
		changed[act] = true
		for j := range keys {
			if keys[j].Action == act {
				keys[j].Keys, keys[j].Show = []string{c.Key}, strings.Replace(c.Key, "ctrl+", "^", 1)
			}
		}
	}
	for i, c := range changes {
		if other := clash(keys, Action(strings.ReplaceAll(c.Act, "-", " ")), c.Key); other != "" {
			return nil, i, fmt.Errorf("%s means %s already: give that another key, too", c.Key, other)
		}
	}
	return keys, 0, nil
}

// remappable are the acts whose keys can be changed: not what moves, nor what dialogs use.
func remappable() []string {
	var acts []string
	for i := range table {
		b := &table[i]
		if b.Group != "" && b.Group != moving && b.Group != dialogs && len(b.Keys) == 1 && len(b.Keys[0]) > 0 &&
			!slices.Contains([]Action{actBack, actAccept, actLeave, actQuit, actHelp, actPalette}, b.Action) && !slices.Contains(acts, string(b.Action)) {
			acts = append(acts, string(b.Action))
		}
	}
	return acts
}

// clash is what else the key means on a screen where the act has it, empty where nothing. Acts
// that share a key from the beginning are never possible at the same time.
func clash(keys []Binding, act Action, key string) string {
	for i := range keys {
		if keys[i].Action != act {
			continue
		}
		for j := range keys {
			together := keys[i].Action == keys[j].Action || slices.Equal(table[i].Keys, table[j].Keys)
			if together || !keys[j].has(key) {
				continue
			}
			for _, scope := range append(keys[i].Scopes, keys[j].Scopes...) {
				if keys[i].In(scope) && keys[j].In(scope) {
					return string(keys[j].Action)
				}
			}
		}
	}
	return ""
}
