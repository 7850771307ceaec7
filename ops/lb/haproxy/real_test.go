package haproxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lb/lbtest"
)

// realPair is an haproxy process on loopback in front of two small HTTP servers. The
// backend api follows the checks of tis, as a second port of the same host would.
type realPair struct {
	t       *testing.T
	process *exec.Cmd
	dir     string
	conf    Config
	log     bytes.Buffer
	sick    map[ops.Side]*atomic.Bool
	release map[ops.Side]chan struct{} // ends one held request for each receive
	held    map[ops.Side]int
	socket  atomic.Value // path
	changes atomic.Int64
	client  *http.Client
	holding sync.WaitGroup
}

const realConfig = `
global
  stats socket %[1]s/admin.sock mode 600 level admin
  stats socket %[1]s/operator.sock mode 600 level operator
defaults
  mode http
  timeout connect 1s
  timeout check 2s
  timeout client 20s
  timeout server 20s
  retries 0
frontend in
  bind unix@%[1]s/in.sock
  use_backend api if { path_beg /api }
  default_backend tis
backend tis
  option httpchk GET /health
  use-server b1 if { req.hdr(hold) -m str blue }
  use-server g1 if { req.hdr(hold) -m str green }
  server b1 %[2]s check inter 40ms fall 2 rise 2
  server g1 %[3]s check inter 40ms fall 2 rise 2 weight 10
backend api
  server b1 %[2]s track tis/b1
  server g1 %[3]s track tis/g1
`

// realHAProxy finds the binary. Where the end-to-end tests run it must be there.
func realHAProxy(t *testing.T) (string, bool) {
	t.Helper()
	binary, err := exec.LookPath("haproxy")
	if err == nil {
		return binary, true
	}
	if binary = "/usr/sbin/haproxy"; exec.Command(binary, "-v").Run() == nil {
		return binary, true
	}
	if os.Getenv("CI") == "true" || os.Getenv("TANDEM_E2E") == "1" {
		t.Fatal("no haproxy here: apt-get install haproxy")
	}
	t.Log("ran without a real haproxy: there is none here (apt-get install haproxy)")
	return "", false
}

func newRealPair(t *testing.T, binary string) *realPair {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &realPair{t: t, dir: dir, sick: map[ops.Side]*atomic.Bool{}, release: map[ops.Side]chan struct{}{}, held: map[ops.Side]int{}}
	addrs := []any{dir}
	for _, side := range ops.Sides {
		p.sick[side], p.release[side] = &atomic.Bool{}, make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(side, w, r) }))
		t.Cleanup(s.Close)
		addrs = append(addrs, s.Listener.Addr().String())
	}
	if err := os.WriteFile(filepath.Join(dir, "haproxy.cfg"), fmt.Appendf(nil, realConfig, addrs...), 0o600); err != nil {
		t.Fatal(err)
	}
	p.process = exec.Command(binary, "-W", "-db", "-S", filepath.Join(dir, "master.sock"), "-f", filepath.Join(dir, "haproxy.cfg"))
	p.process.Stdout, p.process.Stderr = &p.log, &p.log
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	p.socket.Store(filepath.Join(dir, "admin.sock"))
	p.conf = Config{Socket: "unix://" + filepath.Join(dir, "admin.sock"), Dial: p.dial, Backends: []string{"tis", "api"},
		Servers: map[ops.Side]string{ops.Blue: "b1", ops.Green: "g1"}}
	p.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "in.sock"))
	}}}
	// The workers serve before the master is ready for signals: one that comes then is lost.
	p.await("the master", func(string) bool { return strings.Contains(p.tell("master.sock", "show proc"), "worker") })
	p.await("both servers up", func(stat string) bool { return strings.Count(stat, ",UP,") == 4 })
	return p
}

func (p *realPair) serve(side ops.Side, w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/health" && p.sick[side].Load():
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Header.Get("Hold") != "":
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-p.release[side]
	default:
		fmt.Fprint(w, side)
	}
}

// dial counts what is sent and can be pointed at the operator's socket.
func (p *realPair) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, p.socket.Load().(string))
	if err != nil {
		return nil, err
	}
	return countingConn{conn, &p.changes}, nil
}

type countingConn struct {
	net.Conn
	changes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(b, []byte("show ")) {
		c.changes.Add(1)
	}
	return c.Conn.Write(b)
}

// ask sends a command as an administrator, without the client.
func (p *realPair) ask(command string) string { return p.tell("admin.sock", command) }

func (p *realPair) tell(socket, command string) string {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(p.dir, socket), Net: "unix"})
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return ""
	}
	if err := conn.CloseWrite(); err != nil { // the master's socket goes on until then
		return ""
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return ""
	}
	return string(answer)
}

func (p *realPair) await(what string, ok func(stat string) bool) {
	p.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for stat := p.ask("show stat -1 4 -1"); !ok(stat); stat = p.ask("show stat -1 4 -1") {
		if time.Now().After(deadline) {
			p.t.Fatalf("waiting for %s: %s\n%s", what, stat, p.log.String())
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (p *realPair) stop() {
	for side := range p.held {
		p.sessions(side, 0)
	}
	if p.process.ProcessState == nil {
		// The master passes the signal on to its workers.
		if err := p.process.Process.Signal(syscall.SIGTERM); err != nil {
			p.t.Error(err)
		}
		late := time.AfterFunc(10*time.Second, func() { p.process.Process.Kill() })
		p.process.Wait() // it exits with 143, the signal's number
		if !late.Stop() {
			p.t.Error("haproxy did not end when it was asked to")
		}
	}
	p.holding.Wait()
}

// reload is "systemctl reload haproxy", asked of the master process.
func (p *realPair) reload() {
	was := pid(p.ask("show info"))
	p.tell("master.sock", "reload")
	p.await("a new worker", func(string) bool { now := pid(p.ask("show info")); return now != "" && now != was })
}

func pid(info string) string {
	_, rest, _ := strings.Cut(info, "\nPid: ")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// sessions holds n requests open on a side.
func (p *realPair) sessions(side ops.Side, n int) {
	for ; p.held[side] > n; p.held[side]-- {
		p.release[side] <- struct{}{}
	}
	for ; p.held[side] < n; p.held[side]++ {
		req, err := http.NewRequest("GET", "http://in/", nil)
		if err != nil {
			p.t.Fatal(err)
		}
		req.Header.Set("Hold", string(side))
		resp, err := p.client.Do(req)
		if err != nil {
			p.t.Fatal(err)
		}
		p.holding.Go(func() {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
	}
}

func (p *realPair) open(change func(*Config)) *Client {
	p.t.Helper()
	conf := p.conf
	change(&conf)
	c, err := New(conf)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func TestContractOnARealHAProxy(t *testing.T) {
	binary, ok := realHAProxy(t)
	if !ok {
		return
	}
	lbtest.Run(t, func(t *testing.T) lbtest.Fixture {
		p := newRealPair(t, binary)
		var readOnly atomic.Bool
		fence := new(lbtest.Fence)
		return lbtest.Fixture{
			Kind:        "haproxy",
			Balancer:    p.open(func(c *Config) { c.ReadOnly, c.Fence = readOnly.Load, fence.Ask }),
			SetHealthy:  func(side ops.Side, ok bool) { p.sick[side].Store(!ok) },
			SetSessions: p.sessions,
			Reload:      p.reload,
			Deny:        func() { p.socket.Store(filepath.Join(p.dir, "operator.sock")) },
			Break:       p.stop,
			Unknown: func() ops.Balancer {
				return p.open(func(c *Config) { c.Servers = map[ops.Side]string{ops.Blue: "b1", ops.Green: "g7"} })
			},
			ReadOnly: readOnly.Store, Fence: fence,
			Disturb: func(side ops.Side) {
				p.ask("set server tis/" + p.conf.Servers[side] + " weight 3")
				p.ask("set server api/" + p.conf.Servers[side] + " state maint")
			},
			Exact:   func(side ops.Side) string { return exact(p.ask("show servers state"), p.conf.Servers[side]) },
			Changes: func() int { return int(p.changes.Load()) },
		}
	})
}

// Requests go on the whole time while green is drained, cut off, broken, mended and put
// back: none may be lost, and none may reach green while it is out.
func TestNoRequestIsLost(t *testing.T) {
	binary, ok := realHAProxy(t)
	if !ok {
		return
	}
	p := newRealPair(t, binary)
	c := p.open(func(*Config) {})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var sent, lost, green atomic.Int64
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	for _, path := range []string{"/", "/api"} {
		traffic.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				sent.Add(1)
				resp, err := p.client.Get("http://in" + path)
				if err != nil {
					lost.Add(1)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					lost.Add(1)
				}
				if string(body) == string(ops.Green) {
					green.Add(1)
				}
			}
		})
	}
	more := func() { // at least 20 more requests have been answered
		for from := sent.Load(); sent.Load() < from+20; {
			<-time.After(time.Millisecond)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	more()
	must(c.Drain(ctx, ops.Green))
	more() // those under way at the drain are over
	before := green.Load()
	must(c.CutOff(ctx, ops.Green))
	p.sick[ops.Green].Store(true)
	more()
	short, end := context.WithTimeout(ctx, 500*time.Millisecond)
	if err := c.PutBack(short, ops.Green, nil, func(string) {}); err == nil {
		t.Error("a sick green was put back")
	}
	end()
	more()
	if n := green.Load() - before; n != 0 {
		t.Errorf("%d requests reached green while it was out", n)
	}
	p.sick[ops.Green].Store(false)
	must(c.PutBack(ctx, ops.Green, nil, func(string) {}))
	more()
	close(stop)
	traffic.Wait()
	if green.Load() == before {
		t.Error("no request reached green after it was put back")
	}
	if n := lost.Load(); n != 0 {
		t.Errorf("%d of %d requests were lost", n, sent.Load())
	}
	status, err := c.Status(ctx)
	must(err)
	for _, side := range ops.Sides {
		got := status.On(side)
		if got.Traffic != ops.InService || got.Requests == nil || *got.Requests == 0 || got.Failed == nil || *got.Failed != 0 {
			t.Errorf("%s is %+v", side, *got)
		}
	}
}
