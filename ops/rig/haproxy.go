package rig

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Backends are HAProxy's backends: the site, and what is under /api. Both sides are a
// server in each, under their own names.
var Backends = [2]string{"tis", "tis-api"}

// haproxyConfig takes the directory of the sockets once and then addresses only.
const haproxyConfig = `global
    stats socket %[1]s/admin.sock mode 600 level admin
    stats socket ipv4@%[2]s:9999 level admin
    stats socket %[1]s/user.sock mode 666 level user
    stats socket ipv4@%[2]s:9998 level user
    stats timeout 10s
    hard-stop-after 10s
    maxconn 2000

defaults
    mode http
    timeout connect 2s
    timeout client 70s
    timeout server 70s
    timeout queue 5s
    timeout check 3s
    timeout http-keep-alive 10s
    retries 3
    option redispatch
    option httpchk GET /health
    http-check expect status 200
    default-server inter 500ms fall 2 rise 2

frontend www
    bind %[2]s:8000
    use_backend tis-api if { path_beg /api/ }
    default_backend tis

frontend statistics
    bind %[2]s:8404
    stats enable
    stats uri /
    stats refresh 5s

backend tis
    balance roundrobin
    server blue %[3]s:80 check
    server green %[4]s:80 check

backend tis-api
    balance roundrobin
    server blue %[3]s:80 check
    server green %[4]s:80 check
`

// URL is the site, through HAProxy.
func (r *Rig) URL() string { return "http://" + lbAddress + ":8000" }

// HAProxySocket is the stats socket of level admin: a path, and an address for TCP. On
// both hosts the path is /srv/haproxy/admin.sock, for a socket reached over SSH.
func (r *Rig) HAProxySocket() (path, address string) {
	return filepath.Join(r.dir, "haproxy", "admin.sock"), lbAddress + ":9999"
}

// HAProxyUserSocket is the same of level user, which may look and not change.
func (r *Rig) HAProxyUserSocket() (path, address string) {
	return filepath.Join(r.dir, "haproxy", "user.sock"), lbAddress + ":9998"
}

func (r *Rig) haproxyFile() string { return filepath.Join(r.dir, "haproxy", "haproxy.cfg") }

// startHAProxy starts HAProxy, unless it runs, with a master process so that it can be
// reloaded.
func (r *Rig) startHAProxy() error {
	if len(processes(func(args []string) bool { return isHAProxy(args, r.haproxyFile()) })) > 0 {
		return nil
	}
	dir := filepath.Dir(r.haproxyFile())
	config := fmt.Sprintf(haproxyConfig, dir, lbAddress, addresses[Blue], addresses[Green])
	if err := os.WriteFile(r.haproxyFile(), []byte(config), 0o644); err != nil {
		return fmt.Errorf("writing HAProxy's config: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "haproxy.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening HAProxy's log: %w", err)
	}
	defer log.Close()
	haproxy := exec.Command("haproxy", "-W", "-db", "-f", r.haproxyFile())
	haproxy.Stdout, haproxy.Stderr = log, log
	haproxy.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := haproxy.Start(); err != nil {
		return fmt.Errorf("starting HAProxy: %w", err)
	}
	go func() { _ = haproxy.Wait() }() // only so that no zombie stays
	return nil
}

// StopHAProxy ends HAProxy at once, as a crash would. StartHAProxy brings it back.
func (r *Rig) StopHAProxy() error {
	return killAll(func(args []string) bool { return isHAProxy(args, r.haproxyFile()) })
}

// StartHAProxy starts HAProxy and waits until its socket answers.
func (r *Rig) StartHAProxy(ctx context.Context) error {
	if err := r.startHAProxy(); err != nil {
		return err
	}
	return waitFor(ctx, 100*time.Millisecond, func() error {
		_, err := r.HAProxy("show info")
		return err
	})
}

// ReloadHAProxy makes HAProxy read its config again, without a state file: every drain is
// lost, as it would be in the field. It returns when the new worker answers.
func (r *Rig) ReloadHAProxy(ctx context.Context) error {
	before, err := r.workerPID()
	if err != nil {
		return err
	}
	ours := processes(func(args []string) bool { return isHAProxy(args, r.haproxyFile()) })
	for _, pid := range ours {
		if !slices.Contains(ours, readStatus(pid).parent) { // a worker's parent is the master
			if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
				return fmt.Errorf("asking HAProxy to reload: %w", err)
			}
		}
	}
	return waitFor(ctx, 100*time.Millisecond, func() error {
		now, err := r.workerPID()
		if err != nil {
			return err
		}
		if now == before {
			return errors.New("the old worker still answers")
		}
		return nil
	})
}

// workerPID is the worker process that answers on the socket.
func (r *Rig) workerPID() (string, error) {
	info, err := r.HAProxy("show info")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if pid, found := strings.CutPrefix(line, "Pid: "); found {
			return strings.TrimSpace(pid), nil
		}
	}
	return "", errors.New("reading HAProxy's process id: show info does not say it")
}

// HAProxy sends one command to the admin socket and returns the answer.
func (r *Rig) HAProxy(command string) (string, error) {
	path, _ := r.HAProxySocket()
	return ask(path, command)
}

func ask(socket, command string) (string, error) {
	conn, err := net.DialTimeout("unix", socket, 2*time.Second)
	if err != nil {
		return "", fmt.Errorf("reaching HAProxy: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", fmt.Errorf("reaching HAProxy: %w", err)
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("asking HAProxy: %w", err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("reading HAProxy's answer: %w", err)
	}
	return strings.Trim(string(answer), "\n"), nil
}

// HAProxyStatus is the status word of every server, by "backend/server", read on a path
// of its own and not through tandem's client.
func (r *Rig) HAProxyStatus() (map[string]string, error) {
	answer, err := r.HAProxy("show stat -1 4 -1")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# "))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading HAProxy's statistics: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("reading HAProxy's statistics: no rows")
	}
	column := map[string]int{}
	for at, name := range rows[0] {
		column[name] = at
	}
	status := map[string]string{}
	for _, row := range rows[1:] {
		status[row[column["pxname"]]+"/"+row[column["svname"]]] = row[column["status"]]
	}
	return status, nil
}

// bothUp waits until HAProxy calls both sides UP in every backend.
func (r *Rig) bothUp(ctx context.Context) error {
	return waitFor(ctx, 200*time.Millisecond, func() error {
		status, err := r.HAProxyStatus()
		if err != nil {
			return err
		}
		for _, backend := range Backends {
			for _, side := range sides {
				if now := status[backend+"/"+side]; now != "UP" {
					return fmt.Errorf("HAProxy says %q of %s/%s", now, backend, side)
				}
			}
		}
		return nil
	})
}
