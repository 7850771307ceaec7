package tui

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/ops"
)

const savedName = "tis-prod-tcs-20240517T140322Z.log"

// TestSave saves what is on the screen, under the name that is proposed.
func TestSave(t *testing.T) {
	t.Chdir(t.TempDir())
	a, v := logScreen(120, 40)
	v.sides[0].stream.add(logLine(1, "\x1b[31mred\x1b]0;title\a on 10.0.1.11\r"))
	l := logLine(0, "é first")
	l.Stderr = true
	v.sides[1].stream.add(l)
	v.sides[1].stream.add(LogLine{LogLine: ops.LogLine{Text: "timeless"}, Container: "c"})
	press(a, "S", "enter")
	wants(t, a, "3 lines saved to /", savedName)
	want := "- green c out timeless\n2024-05-17T14:00:00Z green tis_tcs_1 err é first\n2024-05-17T14:00:01Z blue tis_tcs_1 out red on 10.0.1.11 \n"
	if got, _ := os.ReadFile(savedName); string(got) != want {
		t.Errorf("saved:\n%q, want\n%q", got, want)
	}
	if info, err := os.Stat(savedName); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	press(a, "S", "enter")
	wants(t, a, "such a file already", "give another name")
	press(a, "esc")
	if got, _ := os.ReadFile(savedName); string(got) != want {
		t.Error("the file was written over")
	}

	// Another name, before an audience, only what is searched for, of one side.
	v.wish = layoutOne
	press(a, append(append([]string{"ctrl+p", "/"}, typing("red")...), "enter", "&", "S")...)
	press(a, append(typing("2"), "enter")...)
	wants(t, a, "1 line saved to")
	if got, _ := os.ReadFile(savedName + "2"); string(got) != "2024-05-17T14:00:01Z blue tis_tcs_1 out red on blue-host \n" {
		t.Errorf("saved: %q", got)
	}
}

func TestSaveThatCannot(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "full.log")
	for _, test := range []struct {
		path  string
		write func(io.Writer) error
		want  string
	}{
		{path: filepath.Join(dir, "no", "such", "folder.log"), want: "no such folder"},
		{path: full, write: func(w io.Writer) error {
			io.WriteString(w, strings.Repeat("x", 1<<20))
			return errors.New("no space left on device")
		}, want: "no space left"},
	} {
		_, err := saveFile("the log", test.path, test.write)
		var problem *ops.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), test.want) || problem.Hint == "" {
			t.Errorf("%s: %v", test.path, err)
		}
	}
	if _, err := os.Stat(full); !errors.Is(err, fs.ErrNotExist) {
		t.Error("half a log was left")
	}
	if err := os.Symlink(full, filepath.Join(dir, "link.log")); err != nil {
		t.Fatal(err)
	}
	if _, err := saveFile("the log", filepath.Join(dir, "link.log"), func(io.Writer) error { return nil }); err == nil {
		t.Error("a link was followed")
	}
}

// TestProposedNames are good names for a file whatever a host calls its services.
func TestProposedNames(t *testing.T) {
	for name, want := range map[string]string{"tcs": savedName, "../../etc/x y$": "tis-prod-..-..-etc-x-y--20240517T140322Z.log"} {
		_, v := logScreen(120, 40)
		v.name = name
		if got := v.fileName(v.name, ".log"); got != want {
			t.Errorf("%q is proposed, want %q", got, want)
		}
	}
	a, v := logScreen(120, 40)
	a.opt.Redact = []string{"tcs"}
	press(a, "ctrl+p")
	if got := v.fileName(v.name, ".log"); strings.Contains(got, "tcs") || !strings.HasSuffix(got, noon.UTC().Format("-20060102T150405Z")+".log") {
		t.Errorf("%q is proposed before an audience", got)
	}
}
