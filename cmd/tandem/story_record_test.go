package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/hinshun/vt10x"
)

// played FILE: waits until the recording has every byte that the terminal got, and no other, and
// shows the same screen where it is played.
func (s *story) played(args []string) {
	var why string
	if !eventually(func() bool {
		text, err := os.ReadFile(s.ts.MkAbs(args[0]))
		s.ts.Check(err)
		bytes, screen, err := playCast(text)
		s.ts.Check(err)
		shown, _ := s.term.text()
		switch got := s.term.recorded(); {
		case bytes != got:
			why = fmt.Sprintf("%d bytes are recorded, the terminal got %d", len(bytes), len(got))
		case screen != shown:
			why = fmt.Sprintf("played:\n%s\non the terminal:\n%s", screen, shown)
		default:
			return true
		}
		return false
	}) {
		s.ts.Fatalf("%s is not what was shown: %s", args[0], why)
	}
}

// playCast reads an asciicast v2, strictly, and plays it on an emulator: its output and the last
// screen.
func playCast(text []byte) (output, screen string, err error) {
	lines := strings.SplitAfter(string(text), "\n")
	var header struct{ Version, Width, Height int }
	if err := json.Unmarshal([]byte(lines[0]), &header); err != nil || header.Version != 2 {
		return "", "", fmt.Errorf("no header of an asciicast v2: %q: %w", lines[0], err)
	}
	term := vt10x.New(vt10x.WithSize(header.Width, header.Height))
	var all strings.Builder
	for _, line := range lines[1:] {
		if line == "" { // after the last
			continue
		}
		var at float64
		var kind, data string
		if err := json.Unmarshal([]byte(line), &[]any{&at, &kind, &data}); err != nil || !strings.HasSuffix(line, "\n") {
			return "", "", fmt.Errorf("no whole event: %q: %w", line, err)
		}
		switch kind {
		case "o":
			all.WriteString(data)
			if _, err := term.Write([]byte(data)); err != nil {
				return "", "", err
			}
		case "r":
			var cols, rows int
			if _, err := fmt.Sscanf(data, "%dx%d", &cols, &rows); err != nil {
				return "", "", fmt.Errorf("no size: %q: %w", line, err)
			}
			term.Resize(cols, rows)
		default:
			return "", "", fmt.Errorf("event of kind %q", kind)
		}
	}
	return all.String(), term.String(), nil
}
