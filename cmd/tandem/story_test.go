package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/ops/rig"
)

// TestMain lets the test binary act as tandem where it is started under that name: by
// stories, in terminals, and by tandem itself when it starts a runner.
func TestMain(m *testing.M) {
	testscript.Main(patientM{m}, map[string]func(){"tandem": func() { os.Exit(run()) }})
}

// patientM runs more stories at a time than there are processors: they mostly wait. In the
// end it removes the rig, if end-to-end tests have booted one.
type patientM struct{ *testing.M }

func (m patientM) Run() int {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	return rig.Main(m.M)
}

// TestStories runs testdata/*.txtar: the program on the lab, told as a user would. Beyond
// the usual commands of testscript there are those of story, each with its own comment.
func TestStories(t *testing.T) { play(t, "testdata") }

// TestLongStories are those of minutes: recoveries, patches, crashes. .ci/run plays them.
func TestLongStories(t *testing.T) {
	if !everything() {
		t.Log("not played: TANDEM_ALL=1 plays them, as .ci/run does")
		return
	}
	play(t, "testdata/long")
}

// everything tells whether the tests that take long are wanted, too.
func everything() bool { return os.Getenv("TANDEM_ALL") == "1" }

func play(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", env.WorkDir+"/config")
			env.Setenv("XDG_STATE_HOME", env.WorkDir+"/desk1")
			env.Setenv("TANDEM_OPERATOR", "ada@desk1")
			env.Setenv("TERM", "xterm-256color")
			// A story that fails must not leave a run behind that goes on.
			env.Defer(func() {
				states, _ := filepath.Glob(env.WorkDir + "/desk*")
				for _, state := range states {
					desk{state, "tis"}.killRunner()
				}
			})
			env.Values[storyKey{}] = &story{terms: map[string]*terminal{}}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"lab": tell((*story).lab), "edit": tell((*story).edit), "fault": tell((*story).fault), "balancer": tell((*story).balancer),
			"exits": tell((*story).exits), "until": tell((*story).until), "says": tell((*story).says), "valid": tell((*story).valid),
			"as": tell((*story).as), "console": tell((*story).console), "press": tell((*story).press), "insist": tell((*story).insist),
			"leave": tell((*story).leave), "spell": tell((*story).spell), "see": tell((*story).see), "gone": tell((*story).gone), "resize": tell((*story).resize),
			"exited": tell((*story).exited), "colours": tell((*story).colours), "silent": tell((*story).silent),
			"crash": tell((*story).crash), "signal": tell((*story).signal),
			"slack": tell((*story).slack), "posted": tell((*story).posted), "secret": tell((*story).secret),
			"mark": tell((*story).setMark), "quiet": tell((*story).quiet), "sent": tell((*story).sent), "arrives": tell((*story).arrives),
			"ask": tell((*story).ask), "played": tell((*story).played), "latest": tell((*story).latest), "reached": tell((*story).reached), "kill-runner": tell((*story).killRunner),
		},
	})
}

// story is the lab and the terminals of one script.
type story struct {
	ts    *testscript.TestScript
	world *lab.Lab
	from  int // requests on the lab's wires before the mark
	term  *terminal
	terms map[string]*terminal // by operator
	posts *posts
}

type storyKey struct{}

func tell(cmd func(s *story, args []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! has no meaning here")
		}
		s := ts.Value(storyKey{}).(*story)
		s.ts = ts
		cmd(s, args)
	}
}

func (s *story) Helper()                           {}
func (s *story) Fatalf(format string, args ...any) { s.ts.Fatalf(format, args...) }
func (s *story) Cleanup(f func())                  { s.ts.Defer(f) }

// lab SCENARIO [balancer=elbv2] [speed=20] [drain=1s]: starts a lab; $TANDEM_CONFIG is its
// config, with short limits.
func (s *story) lab(args []string) {
	opt, drain := lab.Options{Scenario: args[0], Dir: s.ts.MkAbs("lab"), Speed: 20}, "1s"
	for _, arg := range args[1:] {
		switch key, value, _ := strings.Cut(arg, "="); key {
		case "balancer":
			opt.Balancer = value
		case "speed":
			opt.Speed = float64(s.number(value))
		case "drain":
			drain = value
		default:
			s.ts.Fatalf("lab knows no %q", key)
		}
	}
	s.ts.Check(os.MkdirAll(opt.Dir, 0o700))
	l, err := lab.Start(opt)
	s.ts.Check(err)
	s.ts.Defer(func() { l.Close() })
	s.world = l
	s.ts.Check(quicken(l, drain))
	s.ts.Setenv("TANDEM_CONFIG", l.ConfigPath())
}

// quicken shortens the waits in a lab's config that its speed does not shorten.
func quicken(l *lab.Lab, drain string) error {
	text, err := os.ReadFile(l.ConfigPath())
	if err != nil {
		return err
	}
	quick := strings.NewReplacer("drain: 30s", "drain: "+drain, "soak: 5s", "soak: 1s")
	return os.WriteFile(l.ConfigPath(), []byte(quick.Replace(string(text))), 0o600)
}

// edit OLD NEW: replaces a text in the lab's config; \n in NEW is the end of a line.
func (s *story) edit(args []string) {
	text := s.ts.ReadFile(s.world.ConfigPath())
	if !strings.Contains(text, args[0]) {
		s.ts.Fatalf("%q is not in the config:\n%s", args[0], text)
	}
	s.ts.Check(os.WriteFile(s.world.ConfigPath(), []byte(strings.ReplaceAll(text, args[0], strings.ReplaceAll(args[1], `\n`, "\n"))), 0o600))
}

func (s *story) number(text string) int {
	n, err := strconv.Atoi(text)
	s.ts.Check(err)
	return n
}

// exits CODE COMMAND...: runs a command that must end with this exit code.
func (s *story) exits(args []string) {
	if code := s.code(args[1:]); code != s.number(args[0]) {
		s.ts.Fatalf("%s ended with %d", strings.Join(args[1:], " "), code)
	}
}

// until CODE COMMAND...: runs a command until it ends with this exit code.
func (s *story) until(args []string) {
	if !eventually(func() bool { return s.code(args[1:]) == s.number(args[0]) }) {
		s.ts.Fatalf("%s never ended with %s", strings.Join(args[1:], " "), args[0])
	}
}

// says TEXT COMMAND...: runs a command until it prints the text.
func (s *story) says(args []string) {
	if !eventually(func() bool { s.code(args[1:]); return strings.Contains(s.ts.ReadFile("stdout"), args[0]) }) {
		s.ts.Fatalf("%s never says %q", strings.Join(args[1:], " "), args[0])
	}
}

func (s *story) code(command []string) int {
	err := s.ts.Exec(command[0], command[1:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.ts.Fatalf("%v", err)
	}
	if exit != nil {
		return exit.ExitCode()
	}
	return 0
}

// valid SHAPE: the last output is one JSON document of this shape, a file of ours.
func (s *story) valid(args []string) {
	s.ts.Check(validate(args[0], s.ts.ReadFile("stdout")))
}

// eventually tells whether a state comes about within the patience of a test.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return true
		}
	}
	return false
}

// mark: quiet and sent look at what comes after it.
func (s *story) setMark([]string) { s.from = s.changes() }

func (s *story) changes() int { return len(changing(s.world.Requests())) }

// changing are the requests that changed something, in the order of time.
func changing(requests []lab.Request) []lab.Request {
	requests = slices.DeleteFunc(slices.Clone(requests), func(r lab.Request) bool { return !r.Mutating })
	slices.SortStableFunc(requests, func(a, b lab.Request) int { return a.At.Compare(b.At) })
	return requests
}

// quiet: since the mark, the lab's wires carried nothing that changes something.
func (s *story) quiet([]string) {
	requests := s.world.Requests()
	if len(requests) == 0 {
		s.ts.Fatalf("the lab's wires carried no request at all")
	}
	if news := changing(requests)[s.from:]; len(news) > 0 {
		s.ts.Fatalf("the lab's wires carried %+v", news[0])
	}
}

// arrives SIDE PATTERN: waits until a request that changes something has come to the side since
// the mark.
func (s *story) arrives(args []string) {
	pattern, err := regexp.Compile(args[1])
	s.ts.Check(err)
	if !eventually(func() bool {
		return slices.ContainsFunc(changing(s.world.Requests())[s.from:], func(r lab.Request) bool { return r.Side == args[0] && pattern.MatchString(r.What) })
	}) {
		s.ts.Fatalf("no request to %s matched %s", args[0], args[1])
	}
}

// sent COUNT SIDE PATTERN: since the mark, so many requests that changed something went
// to the side, or to the balancer when SIDE is -.
func (s *story) sent(args []string) {
	pattern, err := regexp.Compile(args[2])
	s.ts.Check(err)
	n, news := 0, changing(s.world.Requests())[s.from:]
	for _, r := range news {
		if (r.Side == args[1] || r.Side == "" && args[1] == "-") && pattern.MatchString(r.What) {
			n++
		}
	}
	if n != s.number(args[0]) {
		s.ts.Fatalf("%d requests match; the lab's wires carried %+v", n, news)
	}
}

// ask pause|continue|stop|roll-back: asks it of the run under way on this machine.
func (s *story) ask(args []string) { s.ts.Check(s.desk().ask(ops.Ask(args[0]))) }

// reached KIND [TITLE]: waits until the latest run on this machine has such an event, of a
// step whose title has the text.
func (s *story) reached(args []string) {
	title := strings.Join(args[1:], " ")
	s.ts.Check(s.desk().reached(func(run *ops.Run, e ops.Event) bool {
		step := run.Step(e.Step)
		return string(e.Kind) == args[0] && (title == "" || step != nil && strings.Contains(step.Doc.Title, title))
	}))
}

// latest NAME: $NAME is the id of the latest run on this machine.
func (s *story) latest(args []string) {
	run, _, err := s.desk().latest()
	s.ts.Check(err)
	s.ts.Setenv(args[0], run.ID)
}

// kill-runner: kill -9 of the process that carries out the run.
func (s *story) killRunner([]string) { s.ts.Check(s.desk().killRunner()) }

func (s *story) desk() desk { return desk{state: s.ts.Getenv("XDG_STATE_HOME"), pair: "tis"} }
