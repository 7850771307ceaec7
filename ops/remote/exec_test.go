package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

var awkward = []string{"", "plain", "two words", "it's", `"$HOME" \ * ? ~ # ; & | < > ( ) { } !`, "-n", "a=b", "line\nbreak", "\x1b[31m", "ünï", "`id`", "$(id)", "'", "''", `\'`}

func TestExecArgumentsArriveAsTheyAre(t *testing.T) {
	h, _ := connect(t)
	out, err := h.Exec(t.Context(), ops.Command{Args: append([]string{"printf", `%s\0`}, awkward...)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), strings.Join(awkward, "\x00")+"\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := h.Exec(t.Context(), ops.Command{Args: []string{"echo", "a\x00b"}}); err == nil {
		t.Error("a NUL was sent")
	}
}

func FuzzQuote(f *testing.F) {
	for _, a := range awkward {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		line, err := commandLine([]string{"printf", "%s", arg})
		if strings.ContainsRune(arg, 0) {
			if err == nil {
				t.Fatal("a NUL passed")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := osexec.Command("sh", "-c", line).Output()
		if err != nil || string(out) != arg {
			t.Fatalf("%q arrived as %q (%v)", arg, out, err)
		}
	})
}

func TestExecExitStatus(t *testing.T) {
	h, _ := connect(t)
	_, err := h.Exec(t.Context(), ops.Command{Args: []string{"sh", "-c", "echo no such thing >&2; exit 3"}})
	var exit *ops.ExitError
	if !errors.As(err, &exit) || exit.Status != 3 || exit.Stderr != "no such thing\n" {
		t.Fatalf("got %#v", err)
	}
	problem(t, err, nil, "sh -c (script): exit status 3: no such thing", "")
}

func TestExecStreams(t *testing.T) {
	h, _ := connect(t)
	var out bytes.Buffer
	rest, err := h.Exec(t.Context(), ops.Command{Args: []string{"sh", "-c", "cat; echo wrong >&2; exit 1"}, Stdin: strings.NewReader("hello"), Stdout: &out})
	if out.String() != "hello" || string(rest) != "wrong\n" || err == nil {
		t.Errorf("got %q, %q, %v", out.String(), rest, err)
	}
}

// A command that does not read its input ends all the same.
func TestExecUnreadInput(t *testing.T) {
	h, _ := connect(t)
	r, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := h.Exec(t.Context(), ops.Command{Args: []string{"true"}, Stdin: r}); err != nil {
		t.Fatal(err)
	}
}

// TestExecInputAfterTheCommand: an end of input that reached OpenSSH's sshd before the
// command was lost now and then, and the command never ended.
func TestExecInputAfterTheCommand(t *testing.T) {
	h, s := connect(t)
	s.early = new(bool)
	if _, err := h.Exec(t.Context(), ops.Command{Args: []string{"true"}, Stdin: strings.NewReader("")}); err != nil || *s.early {
		t.Fatalf("the end of input came first: %t, %v", *s.early, err)
	}
}

func TestExecOutputIsCapped(t *testing.T) {
	h, _ := connect(t)
	_, err := h.Exec(t.Context(), ops.Command{Args: []string{"head", "-c", fmt.Sprint(maxOutput + 1), "/dev/zero"}})
	problem(t, err, nil, "the output is larger than 8 MiB", "")
	out, err := h.Exec(t.Context(), ops.Command{Args: []string{"head", "-c", fmt.Sprint(maxOutput), "/dev/zero"}})
	if err != nil || len(out) != maxOutput {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

func TestExecDeadline(t *testing.T) {
	s := newServer(t)
	h := newHost(t, target(t, s), Options{CommandTimeout: 300 * time.Millisecond})
	_, err := h.Exec(t.Context(), ops.Command{Args: []string{"sleep", "60"}})
	problem(t, err, ops.ErrUnreachable, "no end within the deadline", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Exec(ctx, ops.Command{Args: []string{"sleep", "60"}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// More calls than sessions: they wait for each other.
func TestExecAtMostThreeAtOnce(t *testing.T) {
	h, s := connect(t)
	dir := t.TempDir()
	errs := make(chan error)
	for range 10 {
		go func() {
			_, err := h.Exec(t.Context(), ops.Command{Args: []string{"sh", "-c", `
				f=$(mktemp "$1/XXXXXX"); n=$(ls "$1" | wc -l); rm "$f"; [ "$n" -le 3 ]`, "sh", dir}})
			errs <- err
		}()
	}
	for range 10 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if s.handshakes != 1 {
		t.Errorf("%d connections", s.handshakes)
	}
}

func TestSudo(t *testing.T) {
	yes := true
	setup := func(t *testing.T, sudo string) (*Host, *server) {
		s := newServer(t)
		to := target(t, s)
		to.Sudo = &yes
		s.program("sudo", sudo)
		return newHost(t, to, Options{}), s
	}
	whoami := ops.Command{Args: []string{"echo", "x y"}, Privileged: true}
	t.Run("allowed", func(t *testing.T) {
		h, s := setup(t, "shift 2; exec \"$@\"\n")
		out, err := h.Exec(t.Context(), whoami)
		if err != nil || string(out) != "x y\n" {
			t.Fatalf("%q, %v", out, err)
		}
		if got := s.ran()[0]; got != "sudo -n -- echo 'x y'" {
			t.Error(got)
		}
	})
	t.Run("password", func(t *testing.T) {
		h, _ := setup(t, "echo 'sudo: a password is required' >&2; exit 1\n")
		_, err := h.Exec(t.Context(), whoami)
		problem(t, err, ops.ErrNotPermitted, "a password is required", "echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/tandem")
	})
	t.Run("not allowed", func(t *testing.T) {
		h, _ := setup(t, "echo 'Sorry, user ops is not allowed to execute this.' >&2; exit 1\n")
		_, err := h.Exec(t.Context(), whoami)
		problem(t, err, ops.ErrNotPermitted, "not allowed to execute", "sudoers.d")
	})
	t.Run("the command's own failure", func(t *testing.T) {
		h, _ := setup(t, "echo 'cat: x: Permission denied' >&2; exit 1\n")
		_, err := h.Exec(t.Context(), whoami)
		if errors.Is(err, ops.ErrNotPermitted) {
			t.Error(err)
		}
	})
	for uid, want := range map[string]bool{"0": false, "1000": true} {
		t.Run("by uid "+uid, func(t *testing.T) {
			s := newServer(t)
			to := target(t, s)
			to.Sudo = nil
			s.program("id", "echo "+uid+"\n")
			s.program("sudo", "shift 2; exec \"$@\"\n")
			h := newHost(t, to, Options{})
			for range 2 {
				if _, err := h.Exec(t.Context(), ops.Command{Args: []string{"true"}, Privileged: true}); err != nil {
					t.Fatal(err)
				}
			}
			ran := strings.Join(s.ran(), "; ")
			if want && ran != "id -u; sudo -n -- true; sudo -n -- true" || !want && ran != "id -u; true; true" {
				t.Error(ran)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	h, _ := connect(t)
	ctx := t.Context()
	name := filepath.Join(t.TempDir(), "it's a file")

	_, err := h.ReadFile(ctx, name, false)
	problem(t, err, fs.ErrNotExist, "reading "+name+": no such file", "")

	for i, text := range []string{"one\x00\xff\n", "two", ""} {
		if err := h.WriteFile(ctx, name, []byte(text), 0o640, false); err != nil {
			t.Fatal(err)
		}
		got, err := h.ReadFile(ctx, name, false)
		if err != nil || string(got) != text {
			t.Errorf("%d: got %q, %v", i, got, err)
		}
	}
	if backup, err := os.ReadFile(name + ".tandem-backup"); err != nil || string(backup) != "two" {
		t.Errorf("backup %q, %v", backup, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(name), ".tandem*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := h.ReadFile(ctx, filepath.Dir(name), false); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a directory: %v", err)
	}
	problem(t, h.WriteFile(ctx, "relative", nil, 0o600, false), nil, "not an absolute path", "")
	problem(t, h.WriteFile(ctx, "/nonexistent/x", nil, 0o600, false), nil, "writing /nonexistent/x", "")
}

// Input that breaks off must not become the file.
func TestWriteFileBrokenOff(t *testing.T) {
	h, _ := connect(t)
	name := write(t, "f", "old")
	_, err := h.Exec(t.Context(), ops.Command{Args: []string{"sh", "-c", replaceFile, "sh", name, "0600", "10"}, Stdin: strings.NewReader("new")})
	problem(t, err, nil, "3 of 10 bytes came", "")
	if got, _ := os.ReadFile(name); string(got) != "old" {
		t.Errorf("the file is now %q", got)
	}
}

func TestReadOnlyHost(t *testing.T) {
	s := newServer(t)
	h := newHost(t, target(t, s), Options{ReadOnly: func() bool { return true }})
	name := filepath.Join(t.TempDir(), "f")
	_, err := h.Exec(t.Context(), ops.Command{Args: []string{"touch", name}, Mutates: true})
	problem(t, err, ops.ErrReadOnly, "running touch", "")
	problem(t, h.WriteFile(t.Context(), name, nil, 0o600, false), ops.ErrReadOnly, "writing "+name, "")
	if len(s.ran()) > 0 {
		t.Errorf("ran %q", s.ran())
	}
	if err := ping(h); err != nil {
		t.Error(err)
	}
}

func TestGet(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
		case "/sick":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer web.Close()
	for _, forwarding := range []bool{true, false} {
		t.Run(fmt.Sprintf("forwarding %v", forwarding), func(t *testing.T) {
			h, s := connect(t)
			s.set(func() { s.noTCP = !forwarding })
			for path, want := range map[string]int{"/": 200, "/moved": 302, "/sick": 503} {
				code, err := h.Get(t.Context(), web.URL+path)
				if err != nil || code != want {
					t.Errorf("%s: %d, %v", path, code, err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := h.Get(ctx, web.URL+"/slow"); err == nil {
				t.Error("a silent server answered")
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			_, err = h.Get(t.Context(), "http://"+l.Addr().String())
			problem(t, err, nil, "asking http://"+l.Addr().String(), "")
		})
	}
}
