package lab

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// haproxyAsk sends one command over the wire and returns the whole answer.
func haproxyAsk(t *testing.T, h *HAProxy, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", h.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func newHAProxy(t *testing.T, backends ...HAProxyBackend) *HAProxy {
	t.Helper()
	h, err := NewHAProxy(HAProxyOptions{Backends: backends})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// haproxyRow is status, weight and administrative state of a server, as both tables say.
func haproxyRow(t *testing.T, h *HAProxy, server string) string {
	t.Helper()
	var out []string
	var names []string
	for line := range strings.Lines(haproxyAsk(t, h, "show stat -1 4 -1")) {
		fields := strings.Split(strings.TrimSpace(strings.TrimPrefix(line, "# ")), ",")
		if names == nil {
			names = fields
			continue
		}
		if len(fields) < len(names) || fields[1] != server {
			continue
		}
		for i, name := range names {
			if name == "status" || name == "check_status" {
				out = append(out, fields[i])
			}
		}
	}
	for line := range strings.Lines(haproxyAsk(t, h, "show servers state")) {
		if f := strings.Fields(line); len(f) > 6 && f[3] == server {
			out = append(out, "adm="+f[6], "op="+f[5])
		}
	}
	return strings.Join(out, " ")
}

// The answers of a real 2.6.12 to the same commands.
func TestHAProxyAnswers(t *testing.T) {
	h := newHAProxy(t, HAProxyBackend{Name: "tis", Servers: []HAProxyServer{{Name: "blue", Inter: time.Hour}, {Name: "nock", NoCheck: true}}})
	for _, test := range []struct{ command, answer string }{
		{"set server tis/blue state drain", "\n"},
		{"set server tis/x state drain", "No such server.\n\n"},
		{"set server nope/x state drain", "No such backend.\n\n"},
		{"set server tis state drain", "Require 'backend/server'.\n\n"},
		{"set server tis/blue state wat", "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n"},
		{"set server tis/blue weight 50%", "\n"},
		{"set server tis/blue weight 300", "Absolute weight can only be between 0 and 256 inclusive.\n\n"},
		{"set server tis/blue weight 5", "\n"},
		{"get weight tis/blue", "5 (initial 1)\n\n"},
		{"show servers state nope", "Can't find backend.\n\n"},
		{"show cli level", "admin\n\n"},
		{"shutdown sessions server tis/zz", "No such server.\n\n"},
		{"set server tis/blue state ready; set weight tis/blue 1", "\n\n"},
		{"set server tis/blue foo bar", haproxySetUsage + "\n"},
	} {
		if got := haproxyAsk(t, h, test.command); got != test.answer {
			t.Errorf("%q is answered %q, want %q", test.command, got, test.answer)
		}
	}
	h.SetLevel("operator")
	if got := haproxyAsk(t, h, "set server tis/blue state drain"); got != "Permission denied\n\n" {
		t.Errorf("an operator is answered %q", got)
	}
	if got := haproxyAsk(t, h, "show servers state"); !strings.HasPrefix(got, "1\n# be_id be_name") {
		t.Errorf("an operator reads %q", got)
	}
	if got := haproxyAsk(t, h, "wibble"); !strings.HasPrefix(got, "Unknown command") {
		t.Errorf("nonsense is answered %q", got)
	}
	if got := h.Commands(); got[0] != "set server tis/blue state drain" || got[len(got)-1] != "wibble" {
		t.Errorf("commands are %q", got)
	}
}

// The states that a real 2.6.12 goes through: inter 200 ms, fall 2, rise 2.
func TestHAProxyStates(t *testing.T) {
	var sick atomic.Bool
	h := newHAProxy(t, HAProxyBackend{Name: "tis", Servers: []HAProxyServer{
		{Name: "blue", Inter: 20 * time.Millisecond, Fall: 2, Rise: 2, Healthy: func() bool { return !sick.Load() }}, {Name: "nock", NoCheck: true},
		{Name: "slow", Inter: time.Hour, Fall: 2, Rise: 2, Healthy: func() bool { return !sick.Load() }}}})
	await := func(server, want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); haproxyRow(t, h, server) != want; <-time.After(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is %q, want %q", server, haproxyRow(t, h, server), want)
			}
		}
	}
	set := func(server, state, want string) {
		t.Helper()
		haproxyAsk(t, h, "set server tis/"+server+" state "+state)
		if got := haproxyRow(t, h, server); got != want {
			t.Errorf("%s after %s is %q, want %q", server, state, got, want)
		}
	}
	await("blue", "UP L7OK adm=0 op=2")
	set("blue", "drain", "DRAIN L7OK adm=8 op=2")
	set("blue", "ready", "UP L7OK adm=0 op=2")
	set("blue", "maint", "MAINT  adm=1 op=0")
	set("nock", "drain", "DRAIN  adm=8 op=2")
	set("nock", "maint", "MAINT  adm=1 op=0")
	set("nock", "ready", "no check  adm=0 op=2")

	// Leaving maint is on trust, with the result of the check before it.
	set("slow", "maint", "MAINT  adm=1 op=0")
	set("slow", "drain", "DRAIN 1/2 L7OK adm=8 op=2")
	set("slow", "ready", "UP 1/2 L7OK adm=0 op=2")

	haproxyAsk(t, h, "set server tis/blue state drain")
	await("blue", "DRAIN L7OK adm=8 op=2")
	sick.Store(true)
	await("blue", "DOWN L4CON adm=8 op=0") // which hides the drain
	set("blue", "ready", "DOWN L4CON adm=0 op=0")
	h.Reload()
	await("blue", "DOWN L4CON adm=0 op=0")
	sick.Store(false)
	await("blue", "UP L7OK adm=0 op=2")
}

func TestHAProxyRequests(t *testing.T) {
	var dead atomic.Bool
	backend := HAProxyBackend{Name: "tis", Servers: []HAProxyServer{
		{Name: "blue", Inter: time.Hour}, {Name: "green", Inter: time.Hour, Weight: 3, Healthy: func() bool { return !dead.Load() }},
		{Name: "spare", NoCheck: true, Backup: true}}}
	h, err := NewHAProxy(HAProxyOptions{Backends: []HAProxyBackend{backend}, Hold: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	send := func(n int) (map[string]int, int) {
		got, lost := map[string]int{}, 0
		for range n {
			server, ok := h.Request()
			got[server]++
			if !ok {
				lost++
			}
		}
		return got, lost
	}
	if got, lost := send(40); got["blue"] != 10 || got["green"] != 30 || lost != 0 {
		t.Errorf("by weight: %v, %d lost", got, lost)
	}
	h.Do("set server tis/green state drain")
	if got, lost := send(10); got["blue"] != 10 || lost != 0 {
		t.Errorf("with green in drain: %v, %d lost", got, lost)
	}
	h.Do("set server tis/blue state maint")
	if got, lost := send(10); got["spare"] != 10 || lost != 0 {
		t.Errorf("with nothing but the backup: %v, %d lost", got, lost)
	}
	h.Do("set server tis/spare state maint")
	if got, lost := send(10); got[""] != 10 || lost != 10 {
		t.Errorf("with nothing: %v, %d lost", got, lost)
	}
	dead.Store(true) // and the check has not seen it yet
	h.Do("set server tis/green state ready")
	if got, lost := send(10); got["green"] != 10 || lost != 10 {
		t.Errorf("with a dead green on trust: %v, %d lost", got, lost)
	}
	stat := h.Do("show stat")
	for _, want := range []string{"\ntis,blue,0,,20,,,20,", "\ntis,green,0,,30,,,40,", "\ntis,spare,0,,10,,,10,"} {
		if !strings.Contains(stat, want) {
			t.Errorf("show stat lacks %q:\n%s", want, stat)
		}
	}
	h.Reload()
	if got, lost := send(1); len(got) != 1 || lost != 0 {
		t.Errorf("after a reload: %v, %d lost", got, lost)
	}
}
