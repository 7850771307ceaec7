package haproxy

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// Every status and mask that 2.6.12 was seen to show, and what it means.
func TestTraffic(t *testing.T) {
	for _, test := range []struct {
		status string
		admin  int
		weight int
		want   ops.Traffic
		detail string
	}{
		{"UP", 0, 1, ops.InService, ""},
		{"UP 1/2", 0, 1, ops.InService, ""}, // on trust, or failing: it gets traffic
		{"no check", 0, 1, ops.InService, ""},
		{"UP", 0x04, 1, ops.InService, ""}, // disabled in the config, made ready since
		{"UP", 0x40, 1, ops.InService, ""},
		{"UP", 0, 0, ops.Draining, "weight 0"},
		{"no check", 0, 0, ops.Draining, "weight 0"},
		{"NOLB", 0, 1, ops.Draining, "the check or the agent"},
		{"NOLB 1/2", 0, 1, ops.Draining, "the check or the agent"},
		{"DRAIN", 0x08, 1, ops.Draining, ""},
		{"DRAIN 1/3", 0x08, 1, ops.Draining, ""},
		{"DRAIN", 0x10, 1, ops.Draining, ""},
		{"DRAIN", 0x18, 1, ops.Draining, ""},
		{"DRAIN (agent)", 0x08, 1, ops.Draining, ""},
		{"DRAIN", 0x0c, 1, ops.Draining, ""},
		{"DOWN", 0x08, 1, ops.Draining, "fails its check too"}, // DOWN hides the drain
		{"DOWN 1/2", 0x08, 1, ops.Draining, "fails its check too"},
		{"DOWN", 0, 1, ops.Down, "Connection refused"},
		{"DOWN 1/2", 0, 1, ops.Down, "Connection refused"},
		{"DOWN (agent)", 0, 1, ops.Down, "Connection refused"},
		{"MAINT", 0x01, 1, ops.Out, ""},
		{"MAINT", 0x05, 1, ops.Out, ""},
		{"MAINT (via tis/blue)", 0x02, 1, ops.Out, ""},
		{"MAINT (via tis/blue)", 0x03, 1, ops.Out, ""},
		{"MAINT (resolution)", 0x20, 1, ops.Out, ""},
		{"MAINT", 0, 1, ops.Unknown, "haproxy says MAINT"}, // changed between the two tables
		{"DRAIN", 0, 1, ops.Unknown, "haproxy says DRAIN"},
		{"SIDEWAYS", 0, 1, ops.Unknown, "haproxy says SIDEWAYS"},
		{"", 0, 1, ops.Unknown, "haproxy says"},
	} {
		s := server{status: test.status, admin: test.admin, weight: test.weight, checkText: "Layer4 connection problem: Connection refused"}
		got, detail := s.traffic()
		if got != test.want || !strings.Contains(detail, test.detail) || test.detail == "" && detail != "" {
			t.Errorf("%q with admin 0x%02x, weight %d is %s (%s), want %s (%s)", test.status, test.admin, test.weight, got, detail, test.want, test.detail)
		}
	}
}

func TestPassed(t *testing.T) {
	for check, want := range map[string]bool{"L4OK": true, "L6OK": true, "L7OK": true, "PROCOK": true,
		"": false, "INI": false, "L7OKC": false, "L4CON": false, "L7STS": false, "L7TOUT": false, "UNK": false} {
		if passed(check) != want {
			t.Errorf("passed(%q) = %v", check, !want)
		}
	}
}

func TestParse(t *testing.T) {
	const state = "1\n# srv_name be_name srv_admin_state srv_uweight srv_iweight srv_check_state more\nblue tis 8 1 3 6 x\ngreen tis 0 0 1 0 x\n"
	const header = "# pxname,svname,scur,status,weight,lastchg,check_status,last_chk,check_desc,bck,stot,hrsp_5xx,econ,eresp,tracked\n"
	for _, test := range []struct {
		name, stat, state string
		want              []server
		err               string
	}{
		{
			name: "columns in another order, and quoted text", state: state,
			stat: header + "tis,blue,3,DRAIN,1,12,* L7OK,\"OK, \"\"fine\"\"\",Layer7 check passed,0,9,1,2,3,\ntis,green,,no check,0,,,,,1,,,,,web/green\ntis,other,,UP,1,1,,,,,,,,,\n",
			want: []server{
				{backend: "tis", name: "blue", status: "DRAIN", check: "L7OK", checkText: "Layer7 check passed: OK, \"fine\"", admin: 8, weight: 1, initial: 3,
					checked: true, sessions: 3, requests: 9, failed: 6, age: 12 * time.Second},
				{backend: "tis", name: "green", status: "no check", initial: 1, backup: true, tracked: "web/green"},
			},
		},
		{name: "nothing", state: state, stat: "", err: "no header"},
		{name: "no table", state: state, stat: "hello\n", err: "no header"},
		{name: "a column is missing", state: state, stat: "# pxname,svname\n", err: "no column status"},
		{name: "another format of the state", state: "2\n", stat: header, err: "format \"2\""},
		{name: "a state without its columns", state: "1\n# be_name\n", stat: header, err: "no column srv_name"},
		{name: "a short row", state: state + "blue\n", stat: header, err: "odd row"},
		{name: "a row before the header", state: "1\nblue tis\n", stat: header, err: "odd row"},
		{name: "a mask that is no number", state: strings.Replace(state, "tis 8", "tis x", 1), stat: header, err: "srv_admin_state"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse(test.stat, test.state)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error is %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.servers, cmp.AllowUnexported(server{})); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
		})
	}
}

// status reads the pair and fails the test on an error.
func status(t *testing.T, c *Client) ops.BalancerStatus {
	t.Helper()
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatus(t *testing.T) {
	p := newLabPair(t, "unix")
	c := p.client(t, nil)
	for range 40 {
		if _, ok := p.Request(); !ok {
			t.Fatal("a request was lost")
		}
	}
	p.SetSessions("g1", 4)
	got := status(t, c)
	if got.Blue.Requests == nil || got.Green.Requests == nil || *got.Blue.Requests+*got.Green.Requests != 40 || *got.Green.Failed != 0 {
		t.Errorf("requests are %+v and %+v", got.Blue, got.Green)
	}
	// Weight 1 to 10 in tis, 1 to 1 in api.
	if want := (10.0/11 + 0.5) / 2; math.Abs(*got.Green.Share-want) > 1e-9 || math.Abs(*got.Blue.Share-(1-want)) > 1e-9 {
		t.Errorf("shares are %v and %v, want %v of green", *got.Blue.Share, *got.Green.Share, want)
	}
	if *got.Green.Sessions != 4 || got.Green.Check != "L7OK" || got.Green.Since.IsZero() || len(got.Remarks)+len(got.Faults) != 0 {
		t.Errorf("green is %+v, remarks %q %q", got.Green, got.Faults, got.Remarks)
	}

	p.Do("set server api/g1 state drain")
	if got := status(t, c).Green; got.Traffic != ops.Unknown || got.Detail != "partly: in service in tis; draining in api" {
		t.Errorf("half-drained green is %s (%s)", got.Traffic, got.Detail)
	}
	p.Do("set server tis/g1 weight 0")
	if got := status(t, c).Green; got.Traffic != ops.Draining || !strings.Contains(got.Detail, "tis/g1 weight 0") || *got.Share != 0 {
		t.Errorf("green is %s (%s)", got.Traffic, got.Detail)
	}
	// With both out, the backup takes what there is.
	p.Do("set server api/b1 state maint")
	if got := status(t, c).Blue; *got.Share != 0.5 {
		t.Errorf("blue has %v, want all of tis and nothing of api", *got.Share)
	}
	p.SetLevel("operator")
	if got := status(t, p.client(t, nil)).Remarks; len(got) != 1 || !strings.Contains(got[0], "level operator") {
		t.Errorf("remarks are %q", got)
	}
}

// A drained server whose check fails is draining, not down; that it fails is told.
func TestDrainHidesBehindDown(t *testing.T) {
	p := newLabPair(t, "tcp")
	c := p.client(t, nil)
	if err := c.Drain(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	p.healthy.Store("g1", false)
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(5 * time.Millisecond) {
		got := status(t, c).Green
		if got.Traffic != ops.Draining {
			t.Fatalf("green is %+v", got)
		}
		if strings.Contains(got.Detail, "tis/g1 fails its check too (Layer4 connection problem: Connection refused)") && got.Members[0].State == "DOWN" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("green is %+v", got)
		}
	}
}

// The order on the wire: nothing is made ready before every check has passed.
func TestPutBackByWayOfDrain(t *testing.T) {
	p := newLabPair(t, "tcp")
	c := p.client(t, nil)
	if err := c.Drain(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	from := len(p.Commands())
	if err := c.PutBack(t.Context(), ops.Green, nil, func(string) {}); err != nil {
		t.Fatal(err)
	}
	got := slices.DeleteFunc(p.Commands()[from:], func(command string) bool { return strings.HasPrefix(command, "show ") })
	want := []string{"set server tis/g1 state maint", "set server api/g1 state maint", "set server tis/g1 state drain", "set server api/g1 state drain",
		"set server tis/g1 state ready", "set server api/g1 state ready"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	var effects []string
	for _, e := range c.Effects("put-back", ops.Green) {
		if command, ok := strings.CutPrefix(e, c.Name()+": set "); ok {
			effects = append(effects, "set "+command)
		}
	}
	if diff := cmp.Diff(want, effects); diff != "" {
		t.Errorf("the effects that were announced (-want +got):\n%s", diff)
	}
}

func TestPutBackOfWhatWasIn(t *testing.T) {
	p := newLabPair(t, "tcp")
	c := p.client(t, nil)
	p.Do("set server api/g1 state maint") // out on purpose, before us
	p.Do("set server tis/g1 weight 7")
	prior, err := c.Prior(t.Context(), ops.Green)
	if err != nil {
		t.Fatal(err)
	}
	before := exact(p.Do("show servers state"), "g1")
	if err := c.Drain(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	p.Do("set server tis/g1 weight 1") // as a reload would
	if err := c.PutBack(t.Context(), ops.Green, prior, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, exact(p.Do("show servers state"), "g1")); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	// Without a record the config decides: in everywhere.
	if err := c.PutBack(t.Context(), ops.Green, nil, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if got := status(t, c).Green.Traffic; got != ops.InService {
		t.Errorf("green is %s", got)
	}
}

func TestPutBackWithoutCheckSaysSo(t *testing.T) {
	p := newLabPair(t, "tcp")
	c := p.client(t, func(conf *Config) {
		conf.Backends = []string{"api"}
		conf.Servers = map[ops.Side]string{ops.Blue: "b1", ops.Green: "spare"}
	})
	if got := status(t, c).Faults; len(got) != 1 || !strings.Contains(got[0], "api/spare has no check") {
		t.Errorf("faults are %q", got)
	}
	if err := c.Drain(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	var said []string
	if err := c.PutBack(t.Context(), ops.Green, nil, func(text string) { said = append(said, text) }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(said, "\n"), "no check") {
		t.Errorf("said %q", said)
	}
}

// Somebody takes the side out while it waits for its check: it is not put back against them.
func TestPutBackAgainstSomebodyElse(t *testing.T) {
	p := newLabPair(t, "tcp")
	c := p.client(t, nil)
	p.healthy.Store("g1", false)
	if err := c.CutOff(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	err := c.PutBack(t.Context(), ops.Green, nil, func(text string) {
		if strings.Contains(text, " is D") { // DRAIN 1/3 or DOWN: it waits
			p.Do("set server tis/g1 state maint")
		}
	})
	if err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("error is %v", err)
	}
}

func TestPartialChangeIsNamed(t *testing.T) {
	p := newLabPair(t, "tcp")
	dial := (&net.Dialer{}).DialContext
	c := p.client(t, func(conf *Config) {
		conf.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if slices.Contains(p.Commands(), "set server tis/g1 state drain") {
				return nil, errors.New("the network went away")
			}
			return dial(ctx, network, addr)
		}
	})
	err := c.Drain(t.Context(), ops.Green)
	if !errors.Is(err, ops.ErrUnreachable) || !strings.Contains(err.Error(), "changed tis/g1, not changed api/g1") {
		t.Errorf("error is %v", err)
	}
}

func TestUnknownNamesTellWhatIsThere(t *testing.T) {
	p := newLabPair(t, "tcp")
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Backends = []string{"tsi"} }, "there is no backend tsi; there are tis, api"},
		{func(c *Config) { c.Servers = map[ops.Side]string{ops.Blue: "b1", ops.Green: "green"} }, "backend tis has b1, g1"},
	} {
		_, err := p.client(t, test.change).Status(t.Context())
		if !errors.Is(err, ops.ErrUnknownServer) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error is %v, want one with %q", err, test.want)
		}
	}
}

func TestFaults(t *testing.T) {
	short := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	t.Run("it hangs", func(t *testing.T) {
		p := newLabPair(t, "tcp")
		p.Hang(true)
		_, err := p.client(t, nil).Status(short(t))
		wantProblem(t, err, ops.ErrUnreachable, "did not answer in time")
		p.Hang(false)
		status(t, p.client(t, nil))
	})
	t.Run("it closes without an answer", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
				conn.(*net.TCPConn).CloseWrite()
			}
		}()
		p := newLabPair(t, "tcp")
		_, err = p.client(t, func(c *Config) { c.Socket = "tcp://" + ln.Addr().String() }).Status(short(t))
		wantProblem(t, err, ops.ErrUnreachable, "is haproxy running")
	})
	t.Run("there is no socket", func(t *testing.T) {
		p := newLabPair(t, "tcp")
		_, err := p.client(t, func(c *Config) { c.Socket, c.Via = "unix://"+filepath.Join(t.TempDir(), "no.sock"), "lb1" }).Status(short(t))
		wantProblem(t, err, ops.ErrUnreachable, "is haproxy running on lb1")
	})
	t.Run("the socket is not for this user", func(t *testing.T) {
		p := newLabPair(t, "tcp")
		_, err := p.client(t, func(c *Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
			}
		}).Status(short(t))
		wantProblem(t, err, ops.ErrNotPermitted, "join the group")
	})
	t.Run("the level is too low", func(t *testing.T) {
		p := newLabPair(t, "tcp")
		p.SetLevel("user")
		c := p.client(t, nil)
		status(t, c)
		wantProblem(t, c.Drain(t.Context(), ops.Green), ops.ErrNotPermitted, "level admin")
	})
	t.Run("the level is too low, found before the drain", func(t *testing.T) {
		p := newLabPair(t, "tcp")
		c := p.client(t, nil)
		for _, level := range []string{"user", "operator"} {
			p.SetLevel(level)
			_, err := c.Prior(t.Context(), ops.Green)
			wantProblem(t, err, ops.ErrNotPermitted, "level admin")
		}
		p.SetLevel("admin") // mended: the refusal is not remembered
		if _, err := c.Prior(t.Context(), ops.Green); err != nil {
			t.Error(err)
		}
	})
	t.Run("it is too old to tell its level", func(t *testing.T) {
		p := newLabPair(t, "tcp")
		_, err := p.client(t, func(c *Config) { c.Dial = withoutLevel }).Prior(t.Context(), ops.Green)
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("it is restarted while a side is put back", func(t *testing.T) {
		p := newLabPair(t, "tcp")
		c := p.client(t, nil)
		p.healthy.Store("g1", false)
		if err := c.CutOff(t.Context(), ops.Green); err != nil {
			t.Fatal(err)
		}
		away, back := false, false
		err := c.PutBack(t.Context(), ops.Green, nil, func(text string) {
			switch {
			case strings.Contains(text, " is D") && !away:
				away = true
				if err := p.Refuse(true); err != nil {
					t.Error(err)
				}
				go func() { // it comes back, with everything as configured
					p.healthy.Store("g1", true)
					p.Reload()
					if err := p.Refuse(false); err != nil {
						t.Error(err)
					}
				}()
			case away:
				back = true
			}
		})
		if err != nil || !away {
			t.Errorf("PutBack = %v, restarted %v, said so %v", err, away, back)
		}
	})
}

// withoutLevel connects to an HAProxy that does not know "show cli level".
func withoutLevel(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	return &renamed{conn}, err
}

type renamed struct{ net.Conn }

func (c *renamed) Write(p []byte) (int, error) {
	if string(p) == "show cli level\n" {
		_, err := c.Conn.Write([]byte("show no-level\n"))
		return len(p), err
	}
	return c.Conn.Write(p)
}

func wantProblem(t *testing.T, err, want error, hint string) {
	t.Helper()
	var p *ops.Problem
	if !errors.Is(err, want) || !errors.As(err, &p) || !strings.Contains(p.Hint, hint) {
		t.Errorf("error is %v, want %v with a hint like %q", err, want, hint)
	}
	if p != nil && !strings.Contains(p.Hint, hint) {
		t.Errorf("hint is %q", p.Hint)
	}
}

func TestPriorIsPlainJSON(t *testing.T) {
	p := newLabPair(t, "tcp")
	got, err := p.client(t, nil).Prior(t.Context(), ops.Green)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"haproxy","servers":[{"backend":"tis","server":"g1","admin_state":0,"weight":10,"initial_weight":10},` +
		`{"backend":"api","server":"g1","admin_state":0,"weight":1,"initial_weight":1}]}`
	if diff := cmp.Diff(json.RawMessage(want), got); diff != "" {
		t.Errorf("prior (-want +got):\n%s", diff)
	}
}
