package lab

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// haproxyColumns is the header of "show stat" of HAProxy 2.6.12 as far as its columns
// keep their places; those after it are left out here.
const haproxyColumns = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis," +
	"status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim," +
	"rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail," +
	"req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime," +
	"ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health," +
	"agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew," +
	"connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur," +
	"safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,"

const haproxyStateColumns = "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
	"srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
	"bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"

func (h *HAProxy) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		h.mu.Lock()
		h.conns[conn] = true
		h.mu.Unlock()
		h.done.Go(func() {
			h.serve(conn)
			h.mu.Lock()
			delete(h.conns, conn)
			h.mu.Unlock()
			conn.Close()
		})
	}
}

// serve is the non-interactive mode: one line of commands divided by semicolons, their
// answers, and the end.
func (h *HAProxy) serve(conn net.Conn) {
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	h.mu.Lock()
	hang := h.hang
	h.mu.Unlock()
	if hang != nil {
		<-hang
		return
	}
	for command := range strings.SplitSeq(strings.TrimSpace(line), ";") {
		h.mu.Lock()
		command = strings.TrimSpace(command)
		word, _, _ := strings.Cut(command, " ")
		asked := Request{At: time.Now(), Wire: "haproxy", From: conn.RemoteAddr().String(), What: command, Mutating: word != "show" && word != "help" && word != "get"}
		h.commands = append(h.commands, asked)
		if asked.Mutating && h.opts.OnChange != nil {
			h.opts.OnChange(asked)
		}
		if over := len(h.commands) - maxRequests; over > 0 {
			h.commands = slices.Clone(h.commands[maxRequests/2:])
		}
		answer := h.answer(command)
		h.note(true)
		h.mu.Unlock()
		if _, err := conn.Write([]byte(answer + "\n")); err != nil {
			return
		}
	}
}

// answer carries out one command, under the lock. The empty answer is success; HAProxy ends a text with
// a line end of its own before the one that ends every answer.
func (h *HAProxy) answer(command string) string {
	words := strings.Fields(command)
	starts := func(prefix ...string) bool {
		return len(words) >= len(prefix) && slices.Equal(words[:len(prefix)], prefix)
	}
	rest := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch {
	case starts("show", "stat"):
		return h.showStat(rest(2))
	case starts("show", "servers", "state"):
		return h.showServersState(rest(3))
	case starts("show", "cli", "level"):
		return h.level + "\n"
	case starts("show", "info"):
		up := int(time.Since(h.started).Seconds())
		return fmt.Sprintf("Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 1\nUptime_sec: %d\n", up)
	case starts("get", "weight"):
		s, refusal := h.find(rest(2))
		if s == nil {
			return refusal
		}
		return fmt.Sprintf("%d (initial %d)\n", s.weight, s.conf.Weight)
	case starts("set", "server") && len(words) > 3:
		return h.set(rest(2), rest(3), rest(4))
	case starts("set", "server"):
		return haproxySetUsage
	case starts("set", "weight"):
		return h.set(rest(2), "weight", rest(3))
	case starts("disable", "server"):
		return h.set(rest(2), "state", "maint")
	case starts("enable", "server"):
		return h.set(rest(2), "state", "ready")
	case starts("shutdown", "sessions", "server"):
		return h.set(rest(3), "shutdown", "")
	}
	return "Unknown command: '" + command + "'. Please enter one of the following commands only:\n" +
		"  help [<command>]                        : list matching or all commands\n" +
		"  prompt                                  : toggle interactive mode with prompt\n" +
		"  quit                                    : disconnect\n"
}

const haproxySetUsage = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | " +
	"check-addr | check-port | fqdn | health | ssl | state | weight\n"

func (h *HAProxy) find(name string) (*haproxyServer, string) {
	backend, server, both := strings.Cut(name, "/")
	if !both {
		return nil, "Require 'backend/server'.\n"
	}
	for _, b := range h.backends {
		if b.name != backend {
			continue
		}
		for _, s := range b.servers {
			if s.conf.Name == server {
				return s, ""
			}
		}
		return nil, "No such server.\n"
	}
	return nil, "No such backend.\n"
}

// set changes one server. The level of the socket is looked at first, as HAProxy does.
func (h *HAProxy) set(name, what, value string) string {
	if h.level != "admin" {
		return "Permission denied\n"
	}
	s, refusal := h.find(name)
	if s == nil {
		return refusal
	}
	switch what {
	case "state":
		return s.setState(value)
	case "weight":
		weight, err := strconv.Atoi(value)
		if percent, found := strings.CutSuffix(value, "%"); found {
			weight, err = strconv.Atoi(percent)
			weight = s.conf.Weight * weight / 100
		}
		if err != nil {
			return "Require <weight> or <weight%>.\n"
		}
		if weight < 0 || weight > 256 {
			return "Absolute weight can only be between 0 and 256 inclusive.\n"
		}
		s.weight = weight
	case "health":
		switch value {
		case "up":
			s.health, s.stopping = s.conf.Rise+s.conf.Fall-1, false
		case "stopping":
			s.stopping = true
		case "down":
			s.health = 0
		default:
			return "'set server <srv> health' expects 'up', 'stopping', or 'down'.\n"
		}
		s.changed = time.Now()
	case "shutdown":
		s.sessions, s.held = nil, 0
	default:
		return haproxySetUsage
	}
	return ""
}

func (s *haproxyServer) setState(state string) string {
	admin := s.admin &^ (haproxyForcedMaint | haproxyForcedDrain)
	switch state {
	case "ready":
	case "drain":
		admin |= haproxyForcedDrain
	case "maint":
		admin |= haproxyForcedMaint
	default:
		return "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n"
	}
	if s.inMaint() && admin&haproxyForcedMaint == 0 {
		s.health = s.conf.Rise // up on trust: the first check decides
	}
	if admin != s.admin {
		s.changed = time.Now()
	}
	s.admin, s.stopping = admin, s.stopping && state != "ready"
	return ""
}

// status is the word in "show stat".
func (s *haproxyServer) status() string {
	word, full := "UP", s.conf.Rise+s.conf.Fall-1
	switch {
	case s.inMaint():
		return "MAINT"
	case !s.up() && s.health > 0:
		return fmt.Sprintf("DOWN %d/%d", s.health, s.conf.Rise)
	case !s.up():
		return "DOWN" // hides a drain
	case s.inDrain():
		word = "DRAIN"
	case s.stopping:
		word = "NOLB"
	case s.conf.NoCheck:
		return "no check"
	}
	if !s.conf.NoCheck && s.health < full {
		return fmt.Sprintf("%s %d/%d", word, s.health-s.conf.Rise+1, s.conf.Fall)
	}
	return word
}

// showStat answers with the servers of all backends, as "show stat -1 4 -1" does; a
// backend's name in place of -1 limits it.
func (h *HAProxy) showStat(only string) string {
	var b strings.Builder
	b.WriteString("# " + haproxyColumns + "\n")
	names := strings.Split(haproxyColumns, ",")
	for i, backend := range h.backends {
		if only != "" && only != "-1" && only != backend.name {
			continue
		}
		for j, s := range backend.servers {
			fields := h.statFields(s)
			fields["pxname"], fields["iid"], fields["sid"] = backend.name, strconv.Itoa(i+3), strconv.Itoa(j+1)
			for k, name := range names {
				if k > 0 {
					b.WriteByte(',')
				}
				b.WriteString(fields[name])
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func (h *HAProxy) statFields(s *haproxyServer) map[string]string {
	now := time.Now()
	act, bck := "1", "0"
	if s.conf.Backup {
		act, bck = "0", "1"
	}
	fields := map[string]string{
		"svname": s.conf.Name, "status": s.status(), "weight": strconv.Itoa(s.weight), "uweight": strconv.Itoa(s.weight),
		"act": act, "bck": bck, "type": "2", "pid": "1", "mode": "http", "tracked": "", "-": "-",
		"scur": strconv.Itoa(len(s.current(now)) + s.held), "stot": strconv.FormatUint(s.requests, 10),
		"econ": strconv.FormatUint(s.econ, 10), "eresp": "0", "wretr": strconv.FormatUint(s.retries, 10), "wredis": "0",
		"hrsp_2xx": strconv.FormatUint(s.requests-s.econ-s.errors5xx, 10), "hrsp_5xx": strconv.FormatUint(s.errors5xx, 10),
		"lastchg": strconv.Itoa(int(now.Sub(s.changed).Seconds())), "qcur": "0",
		"chkfail": strconv.FormatUint(s.chkfail, 10), "chkdown": strconv.FormatUint(s.chkdown, 10),
	}
	if h.level != "user" {
		fields["addr"] = s.conf.Addr
	}
	if !s.conf.NoCheck && !s.inMaint() {
		fields["check_status"], fields["check_duration"] = s.checkCode, "1"
		fields["check_desc"], fields["check_code"] = "Layer7 check passed", "200"
		if s.checkCode == "L4CON" {
			fields["check_desc"], fields["check_code"], fields["last_chk"] = "Layer4 connection problem", "", "Connection refused"
		}
		fields["check_rise"], fields["check_fall"] = strconv.Itoa(s.conf.Rise), strconv.Itoa(s.conf.Fall)
		fields["check_health"] = strconv.Itoa(s.health)
	}
	return fields
}

func (h *HAProxy) showServersState(only string) string {
	var b strings.Builder
	b.WriteString("1\n# " + haproxyStateColumns + "\n")
	found := only == ""
	for i, backend := range h.backends {
		if only != "" && only != backend.name {
			continue
		}
		found = true
		for j, s := range backend.servers {
			host, port, err := net.SplitHostPort(s.conf.Addr)
			if err != nil {
				host, port = "127.0.0.1", "80"
			}
			// The operational state: 0 stopped, 2 running, 3 stopping.
			op := 2
			if s.inMaint() || !s.up() {
				op = 0
			} else if s.stopping {
				op = 3
			}
			// The check: configured 2, enabled 4, paused 8; 0 without one.
			check := 6
			if s.inMaint() {
				check = 14
			}
			if s.conf.NoCheck {
				check = 0
			}
			fmt.Fprintf(&b, "%d %s %d %s %s %d %d %d %d %d 15 3 %d %d 0 0 0 - %s - 0 0 - - 0\n", i+3, backend.name, j+1, s.conf.Name, host,
				op, s.admin, s.weight, s.conf.Weight, int(time.Since(s.changed).Seconds()), s.health, check, port)
		}
	}
	if !found {
		return "Can't find backend.\n"
	}
	return b.String()
}
