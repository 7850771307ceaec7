package style

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRowsLoseNothing(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,300}`), rapid.SampledFrom([]string{"", "日本語サービス", "ééééééé", "x日", strings.Repeat("é日x", 500)}))
	rapid.Check(t, func(t *rapid.T) {
		text, width := Safe(text.Draw(t, "text")), rapid.IntRange(0, 40).Draw(t, "width")
		rows := Rows(text, width)
		if len(rows) == 0 || strings.Join(rows, "") != text {
			t.Fatalf("%q in rows of %d: %q", text, width, rows)
		}
		for _, row := range rows {
			if Width(row) > max(width, 2) {
				t.Fatalf("%q has %d cells, want at most %d", row, Width(row), width)
			}
		}
	})
}

func TestHead(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{{"hello", 3, "hel"}, {"hello", 9, "hello"}, {"hello", 0, ""}, {"hello", -1, ""}, {"日本", 3, "日"}, {"héllo", 2, "hé"}, {"e\u0301a", 1, "e\u0301"}, {"", 3, ""}} {
		if got := Head(test.text, test.width); got != test.want {
			t.Errorf("Head(%q, %d) = %q, want %q", test.text, test.width, got, test.want)
		}
	}
}
