package plans

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/steps"
)

var update = flag.Bool("update", false, "write the goldens anew")

var at = time.Date(2025, 6, 6, 14, 3, 22, 0, time.UTC)

// order is the start order of the incident's services; reference and profile are
// independent of each other, both come after keycloak.
var order = []ops.Service{
	{Name: "keycloak"},
	{Name: "reference", After: []string{"keycloak"}},
	{Name: "profile", After: []string{"keycloak"}},
	{Name: "tcs", After: []string{"reference", "profile"}, Timeout: 2 * time.Minute},
	{Name: "generic-upload", After: []string{"tcs"}, Only: ops.Green},
	{Name: "apache", After: []string{"tcs", "generic-upload"}, Ready: ops.Readiness{Kind: ops.ReadyHTTP, URL: "http://localhost/"}},
}

// calm is a pair with nothing wrong.
func calm() ops.Snapshot {
	look := ops.Look{At: at.Add(-time.Second)}
	snap := ops.Snapshot{
		Pair: ops.Pair{Name: "tis", Services: order, Jobs: []ops.Job{{Name: "ndw-etl", Only: ops.Green}}, Limits: ops.DefaultLimits()},
		At:   at, Services: order, Order: ops.OrderConfig,
		Balancer: ops.BalancerStatus{Name: "haproxy lb1", Look: look, Minimum: 1},
	}
	for _, side := range ops.Sides {
		sessions := map[ops.Side]int{ops.Blue: 41, ops.Green: 39}[side]
		*snap.Balancer.On(side) = ops.SideTraffic{
			Traffic: ops.InService, Sessions: &sessions,
			Calls: map[string][]string{
				"drain":    {"haproxy: set server tis/" + string(side) + " state drain"},
				"cut-off":  {"haproxy: set server tis/" + string(side) + " state maint"},
				"put-back": {"haproxy: set server tis/" + string(side) + " state drain, wait for its check, then ready"},
			},
		}
		s := snap.On(side)
		*s = ops.SideState{
			Side: side, Host: look, Engine: look, Link: ops.LinkUp, Canary: &ops.CanaryResult{At: at.Add(-2 * time.Minute), OK: true},
			Networks: []ops.Network{{ID: "n1", Name: "tis_default", Driver: "bridge"}},
			Images: []ops.Image{
				{ID: "sha256:aaaaaaaaaaaaaaaa", Tags: []string{"tcs:a41f0c9"}, Created: at.Add(-time.Hour)},
				{ID: "sha256:bbbbbbbbbbbbbbbb", Tags: []string{"tcs:77b01ff"}, Created: at.Add(-48 * time.Hour)},
			},
		}
		for i, svc := range order {
			state := ops.ServiceState{Name: svc.Name, Here: svc.On(side), Ready: svc.On(side), State: "not here"}
			if state.Here {
				state.State = "healthy"
				state.Containers = []ops.Container{{
					ID: fmt.Sprintf("%s%d", side, i), Name: "tis-" + svc.Name + "-1", State: "running", Health: "healthy",
					Image: svc.Name + ":a41f0c9", ImageID: "sha256:aaaaaaaaaaaaaaaa", StartedAt: at.Add(-12 * 24 * time.Hour), Networks: []string{"tis_default"},
					Labels: map[string]string{"com.docker.compose.container-number": "1"},
				}}
			}
			s.Services = append(s.Services, state)
		}
	}
	snap.Green.OnlyHere = []string{"generic-upload", "ndw-etl"}
	snap.Green.Jobs = []ops.JobState{{Name: "ndw-etl", Here: true}}
	return snap
}

func dump(p ops.Plan) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s   (%s, %s)", p.Title, p.Request.Op, p.Risk())
	for _, h := range p.Headline {
		line("  %s", h)
	}
	line("checks")
	for _, c := range p.Checks {
		extra := ""
		if c.Accepted {
			extra = " [accepted]"
		}
		line("  %-7s %-22s %s%s", c.State, c.Guard, c.Text, extra)
		if !c.Allows() {
			line("  %-7s %-22s hint: %s", "", "", c.Hint)
		}
	}
	line("steps")
	for _, s := range p.Steps {
		title := s.Step.Title()
		if s.Skip != "" {
			title += "   (skipped: " + s.Skip + ")"
		}
		if len(s.Needs) > 0 {
			title += "   after " + strings.Join(s.Needs, " ")
		}
		if s.Pause != "" {
			line("  -- %s", s.Pause)
		}
		line("  %-20s %s", s.ID, title)
		for _, e := range s.Step.Effects() {
			line("  %-20s   %s", "", e)
		}
	}
	line("undo: %s", p.UndoText)
	if r := p.Refusal(); r != nil {
		line("refused: %v", r)
	}
	return b.String()
}

func golden(t *testing.T, got string) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(strings.TrimPrefix(t.Name(), "Test"), "/", "-")+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("plan differs from %s (-want +got):\n%s", path, diff)
	}
}

// etl asks for the job of green, which etlIs brings into a state.
var etl = ops.Request{Op: ops.OpJob, Side: ops.Green, Services: []string{"ndw-etl"}}

func etlIs(s *ops.Snapshot, state string) {
	c := ops.Container{
		ID: "e", Name: "tis-ndw-etl-1", State: state, Image: "ndw-etl:latest", ImageID: "sha256:cccccccccccccccc",
		StartedAt: at.Add(-12 * time.Hour), FinishedAt: at.Add(-12*time.Hour + 25*time.Minute),
	}
	s.Green.Jobs = []ops.JobState{{Name: "ndw-etl", Here: true, Running: state == "running", Last: &c, Container: []ops.Container{c}}}
}

func TestPlan(t *testing.T) {
	green := func(op ops.Op) ops.Request { return ops.Request{Op: op, Side: ops.Green} }
	table := []struct {
		name   string
		change func(*ops.Snapshot)
		req    ops.Request
	}{
		{"drain", nil, green(ops.OpDrain)},
		{"drain-peer-out", func(s *ops.Snapshot) { s.Green.OnlyHere = nil; s.Balancer.Green.Traffic = ops.Out }, ops.Request{Op: ops.OpDrain, Side: ops.Blue}},
		{"drain-already-out", func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }, green(ops.OpDrain)},
		{"drain-already-out-locked", func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic = ops.Out
			s.Blue.Lock = &ops.LockInfo{Run: "other", Op: ops.OpRestart, Side: ops.Green, By: "sam", From: "desk", Since: at.Add(-time.Minute)}
		}, green(ops.OpDrain)},
		{"drain-both-down", func(s *ops.Snapshot) {
			none := 0.0
			for _, side := range ops.Sides {
				s.Balancer.On(side).Traffic, s.Balancer.On(side).Share = ops.Down, &none
			}
		}, green(ops.OpDrain)},
		{"drain-job-running", func(s *ops.Snapshot) { s.Green.Jobs[0].Running = true }, green(ops.OpDrain)},
		{"drain-side-unreachable-accepted", func(s *ops.Snapshot) {
			s.Green.Link = ops.LinkDown
			s.Green.Host.Err = &ops.Problem{Doing: "connecting", Side: ops.Green, Err: ops.ErrUnreachable}
			s.Green.Engine.Err = s.Green.Host.Err
		}, ops.Request{Op: ops.OpDrain, Side: ops.Green, Accept: []ops.Risk{{Guard: "side-fresh", Reason: "the host is dead"}}}},
		{"drain-locked", func(s *ops.Snapshot) {
			s.Blue.Lock = &ops.LockInfo{Run: "other", Op: ops.OpRestart, Side: ops.Green, By: "sam", From: "desk", Since: at.Add(-time.Minute)}
		}, green(ops.OpDrain)},
		{"put-back", func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }, ops.Request{Op: ops.OpPutBack, Side: ops.Green, Prior: json.RawMessage(`{"weight":50}`)}},
		{"put-back-not-ready", func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic = ops.Out
			s.Green.Services[3].Ready, s.Green.Services[3].State = false, "exited 1"
		}, green(ops.OpPutBack)},
		{"put-back-not-ready-accepted", func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic = ops.Out
			s.Green.Services[3].Ready, s.Green.Services[3].State = false, "exited 1"
		}, ops.Request{Op: ops.OpPutBack, Side: ops.Green, Reason: "blue burns", Accept: []ops.Risk{{Guard: "services-ready"}, {Guard: "side-canary"}}}},
		{"put-back-peer-unreachable", func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic, s.Balancer.Blue.Traffic = ops.Out, ops.Down
			s.Blue.Link = ops.LinkDown
		}, green(ops.OpPutBack)},
		{"put-back-already-in", nil, green(ops.OpPutBack)},
		{"restart-all", nil, green(ops.OpRestart)},
		{"restart-all-of-an-out-side-peer-down", func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic, s.Balancer.Blue.Traffic = ops.Out, ops.Down
			s.Green.Services[1].Ready, s.Green.Services[1].State = false, "unhealthy"
		}, green(ops.OpRestart)},
		{"restart-subset", nil, ops.Request{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"apache", "keycloak", "reference", "profile"}}},
		{"restart-one-no-drain", nil, ops.Request{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"tcs"}, NoDrain: true}},
		{"restart-one-other-broken", func(s *ops.Snapshot) { s.Green.Services[1].Ready, s.Green.Services[1].State = false, "exited 1" },
			ops.Request{Op: ops.OpRestart, Side: ops.Green, Services: []string{"tcs"}}},
		{"restart-order-unknown", func(s *ops.Snapshot) { s.Order = ops.OrderUnknown }, green(ops.OpRestart)},
		{"restart-missing-container", func(s *ops.Snapshot) {
			s.Blue.Services[1] = ops.ServiceState{Name: "reference", Here: true, State: "missing"}
		}, ops.Request{Op: ops.OpRestart, Side: ops.Blue}},
		{"restart-job-running-balancer-silent", func(s *ops.Snapshot) {
			s.Green.Jobs[0].Running = true
			s.Balancer.Look.At = at.Add(-time.Minute)
		}, green(ops.OpRestart)},
		{"rollback", nil, ops.Request{Op: ops.OpRollback, Side: ops.Green, Images: map[string]string{"tcs": "tcs:77b01ff", "profile": "sha256:aaaaaaaaaaaaaaaa"}}},
		{"rollback-image-absent", nil, ops.Request{Op: ops.OpRollback, Side: ops.Green, Images: map[string]string{"tcs": "tcs:gone"}}},
		{"canary", func(s *ops.Snapshot) { s.Blue.Link = ops.LinkDown }, green(ops.OpCanary)},
		{"job", func(s *ops.Snapshot) { etlIs(s, "exited") }, etl},
		{"job-newer-image", func(s *ops.Snapshot) {
			etlIs(s, "exited")
			s.Green.Images = append(s.Green.Images, ops.Image{ID: "sha256:dddddddddddddddd", Tags: []string{"ndw-etl:latest"}})
		}, etl},
		{"job-made-by-compose", func(s *ops.Snapshot) {
			s.Green.Facts.ComposeHow, s.Pair.Jobs[0].Service = "docker-compose", "ndw-etl"
			s.Green.Services[0].Containers[0].Labels = map[string]string{
				labelProject: "tis", labelService: "keycloak", labelDirectory: "/opt/tis", labelFiles: "docker-compose.yml",
			}
		}, etl},
		{"job-runs-here", func(s *ops.Snapshot) { etlIs(s, "running") }, etl},
		{"job-runs-on-the-peer", func(s *ops.Snapshot) {
			etlIs(s, "exited")
			s.Blue.Jobs = []ops.JobState{{Name: "ndw-etl", Here: true, Running: true, Container: []ops.Container{{ID: "b", State: "running", StartedAt: at.Add(-time.Minute)}}}}
		}, etl},
		{"job-peer-not-known", func(s *ops.Snapshot) {
			etlIs(s, "exited")
			s.Blue.Engine.Err = &ops.Problem{Doing: "connecting", Side: ops.Blue, Err: ops.ErrUnreachable}
		}, etl},
		{"canary-compose", func(s *ops.Snapshot) { s.Green.Facts.ComposeHow = "docker compose" }, green(ops.OpCanary)},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			snap := calm()
			if test.change != nil {
				test.change(&snap)
			}
			plan, err := Make(snap, test.req, "r1")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, dump(plan))
			wellFormed(t, plan)
		})
	}
}

// wellFormed: unique ids, needs that come before, and a plan that survives the journal.
func wellFormed(t interface{ Errorf(string, ...any) }, plan ops.Plan) {
	seen := map[string]bool{}
	for _, s := range plan.Steps {
		if seen[s.ID] {
			t.Errorf("id %s is there twice", s.ID)
		}
		if s.Side == "" {
			t.Errorf("%s is about no side", s.ID)
		}
		for _, n := range s.Needs {
			if !seen[n] {
				t.Errorf("%s needs %s, which does not come before it", s.ID, n)
			}
		}
		seen[s.ID] = true
	}
	asked := map[ops.Risk]bool{}
	for _, c := range plan.Checks {
		of := ops.Risk{Guard: c.Guard, Side: c.Side}
		if asked[of] {
			t.Errorf("guard %s is asked twice", of)
		}
		asked[of] = true
	}
	doc, err := plan.Doc()
	if err != nil {
		t.Errorf("turning the plan into data: %v", err)
		return
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Errorf("marshalling the plan: %v", err)
		return
	}
	var again ops.PlanDoc
	if err := json.Unmarshal(data, &again); err != nil {
		t.Errorf("reading the plan: %v", err)
		return
	}
	back, err := again.Plan(steps.Decode)
	if err != nil {
		t.Errorf("decoding the plan: %v", err)
		return
	}
	if a, b := dump(plan), dump(back); a != b {
		t.Errorf("plan changed on its way through the journal:\n%s", cmp.Diff(a, b))
	}
}

func TestBadRequests(t *testing.T) {
	table := []struct {
		name   string
		req    ops.Request
		change func(*ops.Snapshot)
		want   string
	}{
		{"operation", ops.Request{Op: "reboot", Side: ops.Blue}, nil, `there is no operation "reboot": use one of canary, drain, job, patch, put-back, recover, restart, rollback`},
		{"no side", ops.Request{Op: ops.OpDrain}, nil, "drain of which side? use blue or green"},
		{"misspelt service", ops.Request{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"keyclaok"}}, nil, `there is no service "keyclaok": did you mean keycloak?`},
		{"part of a name", ops.Request{Op: ops.OpRestart, Side: ops.Green, Services: []string{"upload"}}, nil, `there is no service "upload": did you mean generic-upload?`},
		{"nothing near", ops.Request{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"zzzzzzzz"}}, nil, `there is no service "zzzzzzzz": there are keycloak, reference, profile, tcs and apache`},
		{"other side", ops.Request{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"generic-upload"}}, nil, "generic-upload does not exist on BLUE, only on GREEN"},
		{"job", ops.Request{Op: ops.OpRestart, Side: ops.Green, Services: []string{"ndw-etl"}}, nil, "ndw-etl is a job, not a service"},
		{"no container", ops.Request{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"tcs"}}, func(s *ops.Snapshot) { s.Blue.Services[3].Containers = nil }, "tcs has no container on BLUE: there is nothing to restart"},
		{"circle", ops.Request{Op: ops.OpRestart, Side: ops.Blue}, func(s *ops.Snapshot) {
			s.Services = slices.Clone(s.Services)
			s.Services[0].After = []string{"tcs"}
		}, "the start order goes in a circle: keycloak, tcs, reference and keycloak"},
		{"no services", ops.Request{Op: ops.OpRestart, Side: ops.Blue}, func(s *ops.Snapshot) { s.Services = nil }, "no service of BLUE is known: name them in the config, in start order"},
		{"no images", ops.Request{Op: ops.OpRollback, Side: ops.Blue}, nil, "roll back which service to which image? give at least one"},
		{"image missing for one", ops.Request{Op: ops.OpRollback, Side: ops.Blue, Services: []string{"tcs", "profile"}, Images: map[string]string{"tcs": "tcs:77b01ff"}}, nil, "roll back profile to which image? none was given for it"},
		{"same image", ops.Request{Op: ops.OpRollback, Side: ops.Blue, Images: map[string]string{"tcs": "tcs:a41f0c9"}}, nil, "tcs runs that image already on BLUE"},
		{"which job", ops.Request{Op: ops.OpJob, Side: ops.Green}, nil, "run which job? name one: ndw-etl"},
		{"misspelt job", ops.Request{Op: ops.OpJob, Side: ops.Green, Services: []string{"ndw-elt"}}, nil, `there is no job "ndw-elt": did you mean ndw-etl?`},
		{"job of the other side", ops.Request{Op: ops.OpJob, Side: ops.Blue, Services: []string{"ndw-etl"}}, nil, "ndw-etl belongs on GREEN alone, by the config: run it there"},
		{"job without a container", etl, nil, "ndw-etl has no container on GREEN to start again, and compose cannot make one (tis-keycloak-1 was not made by compose): make it there, then look again"},
		{"risk misspelt", ops.Request{Op: ops.OpDrain, Side: ops.Blue, Accept: []ops.Risk{{Guard: "peer-redy", Reason: "x"}}}, nil, `there is no risk "peer-redy": did you mean peer-ready?`},
		{"risk absolute", ops.Request{Op: ops.OpDrain, Side: ops.Blue, Accept: []ops.Risk{{Guard: "not-locked", Reason: "x"}}}, nil, "not-locked cannot be accepted as a risk: it always holds"},
		{"risk without reason", ops.Request{Op: ops.OpDrain, Side: ops.Blue, Accept: []ops.Risk{{Guard: "peer-ready"}}}, nil, "accepting peer-ready needs a reason, for the record"},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			snap := calm()
			if test.change != nil {
				test.change(&snap)
			}
			_, err := Make(snap, test.req, "r1")
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// TestAnUnreadSideIsNotEmpty: with its engine stopped a side shows no containers; that is no
// reason to say that there are none.
func TestAnUnreadSideIsNotEmpty(t *testing.T) {
	for _, req := range []ops.Request{
		{Op: ops.OpRestart, Side: ops.Green},
		{Op: ops.OpRollback, Side: ops.Green, Images: map[string]string{"tcs": "tcs:77b01ff"}},
	} {
		snap := calm()
		snap.Green.Engine.Err = &ops.Problem{Doing: "listing containers", Side: ops.Green, Err: ops.ErrUnreachable}
		for i := range snap.Green.Services {
			snap.Green.Services[i].Containers = nil
		}
		_, err := Make(snap, req, "r1")
		var refusal *ops.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "the engine of GREEN cannot be read") || refusal.Hint == "" {
			t.Errorf("%s: %v", req.Op, err)
		}
	}
}

// ran is a run of the plan whose steps are in the given phases, the rest as last given.
func ran(t *testing.T, plan ops.Plan, phase func(id, kind string) ops.StepPhase) ops.Run {
	t.Helper()
	doc, err := plan.Doc()
	if err != nil {
		t.Fatal(err)
	}
	run := ops.Run{ID: plan.ID, Plan: doc, Started: at}
	for _, s := range doc.Steps {
		run.Steps = append(run.Steps, ops.RunStep{Doc: s, Phase: phase(s.ID, s.Kind)})
	}
	return run
}

func TestUndo(t *testing.T) {
	done := func(string, string) ops.StepPhase { return ops.Done }
	until := func(last string) func(id, kind string) ops.StepPhase {
		over := false
		return func(_, kind string) ops.StepPhase {
			if over {
				return ops.Waiting
			}
			if kind == last {
				over = true
				return ops.Failed
			}
			return ops.Done
		}
	}
	swap := ops.Request{Op: ops.OpRollback, Side: ops.Green, Images: map[string]string{"tcs": "tcs:77b01ff"}}
	out := func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }
	table := []struct {
		name  string
		req   ops.Request
		phase func(id, kind string) ops.StepPhase
		now   func(*ops.Snapshot)
	}{
		{"drain-done", ops.Request{Op: ops.OpDrain, Side: ops.Green}, done, out},
		{"restart-stopped-half-way", ops.Request{Op: ops.OpRestart, Side: ops.Green}, until("restart"), out},
		{"restart-soak-failed", ops.Request{Op: ops.OpRestart, Side: ops.Green}, until("soak"), nil},
		{"rollback-done", swap, done, nil},
		{"rollback-done-peer-out", swap, done, func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = ops.Out }},
		{"lock-only", swap, until("lock"), nil},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			plan, err := Make(calm(), test.req, "r1")
			if err != nil {
				t.Fatal(err)
			}
			now := calm()
			if test.now != nil {
				test.now(&now)
			}
			back, err := Undo(ran(t, plan, test.phase), plan, now)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, dump(back))
		})
	}

	t.Run("plain restart of a done run", func(t *testing.T) {
		plan, err := Make(calm(), ops.Request{Op: ops.OpRestart, Side: ops.Green}, "r1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Undo(ran(t, plan, done), plan, calm()); !errors.Is(err, ErrNothing) {
			t.Errorf("error %v, want %v", err, ErrNothing)
		}
	})
	t.Run("run refused before anything", func(t *testing.T) {
		plan, err := Make(calm(), ops.Request{Op: ops.OpDrain, Side: ops.Green}, "r1")
		if err != nil {
			t.Fatal(err)
		}
		phase := func(string, string) ops.StepPhase { return ops.Refused }
		if _, err := Undo(ran(t, plan, phase), plan, calm()); !errors.Is(err, ErrNothing) {
			t.Errorf("error %v, want %v", err, ErrNothing)
		}
	})
}

// The basis stays for what only ages or counts, and changes with what the plan relies on.
func TestBasis(t *testing.T) {
	req := ops.Request{Op: ops.OpRestart, Side: ops.Green}
	made := func(change func(*ops.Snapshot)) string {
		snap := calm()
		if change != nil {
			change(&snap)
		}
		plan, err := Make(snap, req, "r1")
		if err != nil {
			t.Fatal(err)
		}
		return plan.Basis
	}
	first := made(nil)
	same := map[string]func(*ops.Snapshot){
		"time":     func(s *ops.Snapshot) { s.At = at.Add(3 * time.Second) },
		"sessions": func(s *ops.Snapshot) { n := 7; s.Balancer.Green.Sessions = &n },
		"load":     func(s *ops.Snapshot) { s.Green.Facts.Load1 = 3 },
	}
	for name, change := range same {
		if made(change) != first {
			t.Errorf("%s changed the basis", name)
		}
	}
	other := map[string]func(*ops.Snapshot){
		"traffic":   func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = ops.Down },
		"readiness": func(s *ops.Snapshot) { s.Blue.Services[0].Ready = false },
		"container": func(s *ops.Snapshot) { s.Green.Services[0].Containers[0].ID = "new" },
		"started":   func(s *ops.Snapshot) { s.Green.Services[0].Containers[0].StartedAt = at },
		"lock":      func(s *ops.Snapshot) { s.Green.Lock = &ops.LockInfo{Run: "x"} },
		"link":      func(s *ops.Snapshot) { s.Blue.Link = ops.LinkDown },
		"job":       func(s *ops.Snapshot) { s.Green.Jobs[0].Running = true },
	}
	for name, change := range other {
		if made(change) == first {
			t.Errorf("%s did not change the basis", name)
		}
	}
}
