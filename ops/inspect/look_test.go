package inspect

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

func TestLook(t *testing.T) {
	s := newScene()
	s.pair.Services = []ops.Service{
		{Name: "tcs"},
		{Name: "web", Ready: ops.Readiness{Kind: ops.ReadyHTTP, URL: "http://web"}},
		{Name: "api", Ready: ops.Readiness{Kind: ops.ReadyExec, Exec: []string{"probe"}}},
		{Name: "upload", Only: ops.Green},
	}
	for _, h := range []*fakeHost{s.blue, s.green} {
		h.engine.containers["web"], h.engine.containers["api"] = running("web"), running("api")
	}
	s.green.engine.containers["upload"] = running("upload")
	s.blue.statuses["http://web"], s.green.statuses["http://web"] = 302, 503
	s.green.execErr = &ops.ExitError{Args: []string{"probe"}, Status: 2}

	snap := s.inspector().Look(context.Background())
	type row struct {
		State, Why string
		Ready      bool
	}
	got := map[ops.Side]map[string]row{}
	for _, side := range ops.Sides {
		got[side] = map[string]row{}
		for _, st := range snap.On(side).Services {
			got[side][st.Name] = row{st.State, st.Why, st.Ready}
		}
	}
	want := map[ops.Side]map[string]row{
		ops.Blue: {"tcs": {"healthy", "", true}, "web": {"healthy", "", true}, "api": {"healthy", "", true}, "upload": {"not here", "", false}},
		ops.Green: {
			"tcs": {"healthy", "", true}, "web": {"unhealthy", "GET http://web: status 503", false},
			"api": {"unhealthy", "probe: exit status 2", false}, "upload": {"healthy", "", true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if ready, of := snap.Green.Ready(); ready != 2 || of != 4 {
		t.Errorf("green has %d of %d ready, expected 2 of 4", ready, of)
	}
	if ready, of := snap.Blue.Ready(); ready != 3 || of != 3 {
		t.Errorf("blue has %d of %d ready, expected 3 of 3", ready, of)
	}
	if diff := cmp.Diff([]string{"upload"}, snap.Green.OnlyHere); diff != "" {
		t.Error(diff)
	}
	if snap.Blue.OnlyHere != nil {
		t.Errorf("only on blue: %v, expected nothing", snap.Blue.OnlyHere)
	}
	if diff := cmp.Diff([]string{"drain green"}, snap.Balancer.Green.Calls["drain"]); diff != "" {
		t.Error(diff)
	}
	if snap.Balancer.Green.Traffic != ops.InService || snap.Balancer.Name != "fake" || snap.Order != ops.OrderConfig {
		t.Errorf("balancer %+v, order %q", snap.Balancer, snap.Order)
	}
}

// TestLookWhole: images and host networks are read for plans alone, and what could not be
// read of the networks is unknown without making the host look dead.
func TestLookWhole(t *testing.T) {
	s := newScene()
	s.green.netErr = errors.New("the daemon.json cannot be read")
	i := s.inspector()
	s.blue.upkeep.Manager, s.green.careErr = "apt", errors.New("the answer broke off")
	if snap := i.Look(t.Context()); snap.Blue.Images != nil || snap.Blue.Net != nil || !snap.Blue.Care.At.IsZero() {
		t.Errorf("read for nobody: %v, %v, %v", snap.Blue.Images, snap.Blue.Net, snap.Blue.Care)
	}
	i.opts.Whole, i.opts.Care = true, true
	snap := i.Look(t.Context())
	if diff := cmp.Diff([]ops.Image{{ID: "sha256:0123"}}, snap.Blue.Images); diff != "" {
		t.Error(diff)
	}
	if snap.Blue.Net == nil || snap.Blue.Net.Daemon != "{}" {
		t.Errorf("blue's networks: %+v", snap.Blue.Net)
	}
	if snap.Blue.Upkeep.Manager != "apt" || !snap.Blue.Care.Fresh(time.Now(), time.Minute) {
		t.Errorf("blue's package manager: %+v, %+v", snap.Blue.Care, snap.Blue.Upkeep)
	}
	if snap.Green.Care.Err == nil || !snap.Green.Care.At.IsZero() {
		t.Errorf("green's package manager: %+v", snap.Green.Care)
	}
	if snap.Green.Net != nil || snap.Green.Host.Err != nil || snap.Green.Engine.Err != nil || !snap.Green.Service("tcs").Ready {
		t.Errorf("green: %+v", snap.Green)
	}
}

// TestLookErrors: what could not be read is an error in its place, never an empty host.
func TestLookErrors(t *testing.T) {
	s := newScene()
	cut := errors.New("no route to host")
	s.green.link, s.green.err = ops.LinkDown, cut
	s.blue.engine.err = errors.New("permission denied")
	s.lb.err = ops.ErrThrottled

	snap := s.inspector().Look(context.Background())
	for what, look := range map[string]ops.Look{"green's host": snap.Green.Host, "green's engine": snap.Green.Engine, "blue's engine": snap.Blue.Engine, "the balancer": snap.Balancer.Look} {
		if look.Err == nil || !look.At.IsZero() {
			t.Errorf("%s: %+v, expected an error and no time", what, look)
		}
	}
	if !errors.Is(snap.Green.Host.Err, cut) || snap.Green.Host.Err.Side != ops.Green || !errors.Is(snap.Balancer.Look.Err, ops.ErrThrottled) {
		t.Errorf("got %v and %v", snap.Green.Host.Err, snap.Balancer.Look.Err)
	}
	if snap.Blue.Host.Err != nil || snap.Blue.Host.At.IsZero() {
		t.Errorf("blue's host: %+v, expected it read", snap.Blue.Host)
	}
	for _, side := range ops.Sides {
		if st := snap.On(side).Service("tcs"); st.Ready || st.State != "unknown" || snap.Balancer.On(side).Traffic != ops.Unknown {
			t.Errorf("%s: %+v, traffic %s: expected unknown", side, st, snap.Balancer.On(side).Traffic)
		}
	}
	if snap.Green.Link != ops.LinkDown {
		t.Errorf("the link is %q", snap.Green.Link)
	}
}

// TestLookHangs: a host that accepts and never answers costs one timeout, not more.
func TestLookHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.green.hang = true
		start := time.Now()
		snap := s.inspector().Look(t.Context())
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %s", took)
		}
		if !errors.Is(snap.Green.Engine.Err, context.DeadlineExceeded) || snap.Blue.Engine.Err != nil {
			t.Errorf("green %v, blue %v", snap.Green.Engine.Err, snap.Blue.Engine.Err)
		}
	})
}

func TestContainerState(t *testing.T) {
	http := ops.Readiness{Kind: ops.ReadyHTTP, URL: "u"}
	for _, c := range []struct {
		name  string
		c     ops.Container
		r     ops.Readiness
		test  tested
		ready bool
		state string
	}{
		{"healthy", ops.Container{State: "running", Health: "healthy"}, ops.Readiness{}, tested{}, true, "healthy"},
		{"starting", ops.Container{State: "running", Health: "starting"}, ops.Readiness{}, tested{}, false, "starting"},
		{"unhealthy", ops.Container{State: "running", Health: "unhealthy"}, ops.Readiness{}, tested{}, false, "unhealthy"},
		{"no check", ops.Container{State: "running"}, ops.Readiness{}, tested{}, true, "running"},
		{"no check, none", ops.Container{State: "running", Health: "none"}, ops.Readiness{}, tested{}, true, "running"},
		{"no check, healthy asked", ops.Container{State: "running"}, ops.Readiness{Kind: ops.ReadyHealthy}, tested{}, false, "running"},
		{"unhealthy, running asked", ops.Container{State: "running", Health: "unhealthy"}, ops.Readiness{Kind: ops.ReadyRunning}, tested{}, true, "running"},
		{"exited", ops.Container{State: "exited", ExitCode: 1}, ops.Readiness{}, tested{}, false, "exited 1"},
		{"exited, running asked", ops.Container{State: "exited"}, ops.Readiness{Kind: ops.ReadyRunning}, tested{}, false, "exited 0"},
		{"restarting", ops.Container{State: "restarting"}, ops.Readiness{}, tested{}, false, "restarting"},
		{"paused", ops.Container{State: "paused", Health: "healthy"}, ops.Readiness{}, tested{}, false, "paused"},
		{"created", ops.Container{State: "created"}, ops.Readiness{}, tested{}, false, "created"},
		{"no state", ops.Container{}, ops.Readiness{}, tested{}, false, "unknown"},
		{"test passed", ops.Container{State: "running"}, http, tested{passed: true, known: true}, true, "healthy"},
		{"test failed", ops.Container{State: "running", Health: "healthy"}, http, tested{known: true}, false, "unhealthy"},
		{"not tested", ops.Container{State: "running", Health: "healthy"}, http, tested{}, false, "unknown"},
		{"test passed, exited", ops.Container{State: "exited", ExitCode: 3}, http, tested{passed: true, known: true}, false, "exited 3"},
	} {
		ready, state, why := containerState(c.c, c.r, c.test)
		if ready != c.ready || state != c.state {
			t.Errorf("%s: got %v, %q (%s), expected %v, %q", c.name, ready, state, why, c.ready, c.state)
		}
	}
}

func labelled(name, service string, more ...string) ops.Container {
	c := running(name)
	c.Labels = map[string]string{labelProject: "tis", labelService: service}
	for i := 0; i < len(more); i += 2 {
		c.Labels[more[i]] = more[i+1]
	}
	return c
}

func TestMatching(t *testing.T) {
	pair := ops.Pair{
		Compose:  ops.Compose{Project: "tis"},
		Services: []ops.Service{{Name: "tcs"}, {Name: "web"}},
		Jobs:     []ops.Job{{Name: "nightly", Service: "etl"}},
	}
	second, first := labelled("tis-tcs-2", "tcs", labelNumber, "2"), labelled("tis-tcs-1", "tcs", labelNumber, "1")
	exited := labelled("tis-etl-1", "etl")
	exited.State, exited.CreatedAt, exited.StartedAt = "exited", time.Unix(10, 0), time.Time{}
	later := labelled("tis-etl-run-1", "etl", labelOneoff, "True")
	later.State, later.ExitCode, later.CreatedAt, later.StartedAt = "exited", 4, time.Unix(20, 0), time.Time{}
	w := &world{}
	w.blue.engine.At = time.Unix(1, 0)
	w.blue.list = []ops.Container{
		second, first, exited, later, running("tis_web_1"),
		labelled("tcs-shell", "tcs", labelOneoff, "True"),
		labelled("tis-tcs-1.before-0a1b2c3d", "tcs", labelNumber, "1"),
		labelled("other-tcs-1", "tcs", labelProject, "other"),
		running("tis-web-x"), running("tis-other-1"), running("cadvisor"),
	}
	w.green.list = []ops.Container{running("web"), running("etl")}
	snap := assemble(pair, w, time.Unix(30, 0))

	var tcs, others []string
	for _, c := range snap.Blue.Service("tcs").Containers {
		tcs = append(tcs, c.Name)
	}
	for _, c := range snap.Blue.Others {
		others = append(others, c.Name)
	}
	if diff := cmp.Diff([]string{"tis-tcs-1", "tis-tcs-2"}, tcs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"tcs-shell", "tis-tcs-1.before-0a1b2c3d", "other-tcs-1", "tis-web-x", "tis-other-1", "cadvisor"}, others); diff != "" {
		t.Error(diff)
	}
	if n := len(snap.Blue.Service("web").Containers) + len(snap.Green.Service("web").Containers); n != 2 {
		t.Errorf("web has %d containers, expected one on each side", n)
	}
	job := snap.Blue.Jobs[0]
	if len(job.Container) != 2 || job.Running || job.Last.Name != "tis-etl-run-1" {
		t.Errorf("the job is %+v", job)
	}
	if !snap.Green.Jobs[0].Running {
		t.Error("green's job does not run")
	}
}

func TestOnlyHereAndMissing(t *testing.T) {
	pair := ops.Pair{Services: []ops.Service{{Name: "a"}, {Name: "b", Only: ops.Blue}}, Jobs: []ops.Job{{Name: "j", Service: "j", Only: ops.Green}}}
	w := &world{}
	w.blue.engine.At, w.green.engine.At = time.Unix(1, 0), time.Unix(1, 0)
	w.green.list = []ops.Container{running("a"), running("b")}
	snap := assemble(pair, w, time.Unix(2, 0))
	if diff := cmp.Diff([]string{"b"}, snap.Blue.OnlyHere); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "j"}, snap.Green.OnlyHere); diff != "" {
		t.Error(diff)
	}
	if a := snap.Blue.Service("a"); a.State != "missing" || !a.Here || a.Ready {
		t.Errorf("blue's a is %+v", a)
	}
	if b := snap.Green.Service("b"); !b.Here || b.State != "healthy" {
		t.Errorf("green's b is %+v: it has a container here all the same", b)
	}
	if snap.Blue.Jobs[0].Here || !snap.Green.Jobs[0].Here {
		t.Error("the job belongs on green alone")
	}
}

func TestOrderFromLabels(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []ops.Container
		want []ops.Service
		from ops.OrderSource
	}{
		{"nothing", nil, nil, ops.OrderUnknown},
		{
			"conditions, plain names, jobs and others", []ops.Container{
				labelled("1", "web", labelDepends, "tcs:service_healthy:false,keycloak:service_started:true"),
				labelled("2", "tcs", labelDepends, "keycloak,etl"), labelled("3", "keycloak", labelDepends, ""),
				labelled("4", "etl", labelDepends, ""), labelled("5", "shell", labelOneoff, "True"), running("6"),
			},
			[]ops.Service{{Name: "keycloak", After: []string{}}, {Name: "tcs", After: []string{"keycloak"}}, {Name: "web", After: []string{"keycloak", "tcs"}}},
			ops.OrderLabels,
		},
		{
			"compose v1 writes no dependencies", []ops.Container{labelled("1", "web"), labelled("2", "app")},
			[]ops.Service{{Name: "app", After: []string{}}, {Name: "web", After: []string{}}}, ops.OrderUnknown,
		},
		{
			"one without the label", []ops.Container{labelled("1", "web", labelDepends, "app"), labelled("2", "app")},
			[]ops.Service{{Name: "app", After: []string{}}, {Name: "web", After: []string{}}}, ops.OrderUnknown,
		},
		{
			"no dependency at all", []ops.Container{labelled("1", "web", labelDepends, ""), labelled("2", "app", labelDepends, "")},
			[]ops.Service{{Name: "app", After: []string{}}, {Name: "web", After: []string{}}}, ops.OrderUnknown,
		},
		{
			"contradiction", []ops.Container{labelled("1", "web", labelDepends, "app"), labelled("2", "app", labelDepends, "web")},
			[]ops.Service{{Name: "app", After: []string{}}, {Name: "web", After: []string{}}}, ops.OrderUnknown,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, from := fromLabels(ops.Pair{Compose: ops.Compose{Project: "tis"}, Jobs: []ops.Job{{Name: "etl", Service: "etl"}}}, c.all)
			if diff := cmp.Diff(c.want, got); diff != "" || from != c.from {
				t.Errorf("order %q, expected %q; %s", from, c.from, diff)
			}
		})
	}
}

// Without a project in the config, a restart of "db" must not take another project's db along.
func TestServicesOfTwoProjectsAreNotMixed(t *testing.T) {
	w := &world{}
	w.blue.engine.At, w.green.engine.At = time.Unix(1, 0), time.Unix(1, 0)
	w.blue.list = []ops.Container{labelled("tis-db-1", "db"), labelled("wiki-db-1", "db", labelProject, "wiki"), labelled("tis-web-1", "web")}
	snap := assemble(ops.Pair{Services: []ops.Service{{Name: "db"}, {Name: "web"}}}, w, time.Unix(2, 0))
	db := snap.Blue.Service("db")
	if db.Ready || db.State != "unknown" || len(db.Containers) > 0 || len(snap.Blue.Others) != 2 {
		t.Errorf("db is %+v, others %v", db, snap.Blue.Others)
	}
	if want := "the compose projects tis and wiki both have it: set compose.project in the config"; db.Why != want {
		t.Errorf("it says %q, want %q", db.Why, want)
	}
	if web := snap.Blue.Service("web"); !web.Ready || len(web.Containers) != 1 {
		t.Errorf("web is %+v", web)
	}
}
