package main

import (
	"os"
	"regexp"
	"strings"
	"syscall"
)

// as NAME@MACHINE: from now on this operator acts, on a machine with journals of its own
// and a terminal of its own.
func (s *story) as(args []string) {
	_, machine, _ := strings.Cut(args[0], "@")
	s.ts.Setenv("TANDEM_OPERATOR", args[0])
	s.ts.Setenv("XDG_STATE_HOME", s.ts.Getenv("WORK")+"/"+machine)
	s.term = s.terms[args[0]]
}

// console COLS ROWS [ARGS...]: opens the console in a terminal.
func (s *story) console(args []string) {
	var env []string
	for _, name := range []string{"XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME", "TANDEM_OPERATOR", "TANDEM_CONFIG", "NO_COLOR", "TERM"} {
		if value := s.ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	s.term = openTerminal(s, s.number(args[0]), s.number(args[1]), env, args[2:]...)
	s.terms[s.ts.Getenv("TANDEM_OPERATOR")] = s.term
}

// press KEY...: types keys, by name or as text.
func (s *story) press(args []string) { s.term.press(args...) }

// insist KEY TEXT...: types a key until all the texts are on the screen. Dialogs swallow
// the keys of their first moments.
func (s *story) insist(args []string) { s.term.insist(args[0], true, args[1:]...) }

// leave KEY TEXT...: types a key until none of the texts is on the screen.
func (s *story) leave(args []string) { s.term.insist(args[0], false, args[1:]...) }

// spell WORD TEXT...: types a word into an empty field until none of the texts is on the
// screen; what a dialog's first moments left of it is taken away first (ctrl+u).
func (s *story) spell(args []string) { s.term.insist("\x15"+args[0], false, args[1:]...) }

// see TEXT...: waits until all the texts are on the screen.
func (s *story) see(args []string) { s.term.see(args...) }

// gone TEXT...: waits until none of the texts is on the screen.
func (s *story) gone(args []string) {
	for _, text := range args {
		s.term.gone(text)
	}
}

// resize COLS ROWS
func (s *story) resize(args []string) { s.term.resize(s.number(args[0]), s.number(args[1])) }

// exited CODE: waits until the console has ended.
func (s *story) exited(args []string) {
	if code := s.term.exited(); code != s.number(args[0]) {
		s.ts.Fatalf("tandem ended with %d", code)
	}
}

// crash: kill -9 of the console.
func (s *story) crash([]string) { s.term.kill() }

// signal TERM|HUP: sends it to the program in the terminal.
func (s *story) signal(args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	s.ts.Check(s.term.cmd.Process.Signal(signals[args[0]]))
}

// silent TEXT: the console has never sent the terminal this sequence; \e is ESC, \a is BEL.
func (s *story) silent(args []string) {
	text := controls.Replace(args[0])
	if strings.Contains(string(s.term.output()), text) {
		s.ts.Fatalf("the console sent %q", text)
	}
}

// controls are how stories write control characters.
var controls = strings.NewReplacer(`\e`, "\x1b", `\a`, "\a")

// colours none: the console has asked the terminal for no colour up to now.
func (s *story) colours(args []string) {
	if args[0] != "none" {
		s.ts.Fatalf("colours knows no %q", args[0])
	}
	if at := colour.Find(s.term.output()); at != nil {
		s.ts.Fatalf("the console sent %q", at)
	}
}

// colour is the sequence that sets a colour (ECMA-48 SGR 30 to 49 and their bright
// relatives), alone or after other attributes.
var colour = regexp.MustCompile(`\x1b\[(?:[0-9:]*;)*(?:[349][0-8]|10[0-7])(?:[;:][0-9:;]*)?m`)
