package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/rig"
)

// The benchmarks want a machine that has nothing else to do:
//
//	TANDEM_E2E=1 go test ./cmd/tandem -run '^$' -bench E2E

// crowd is how many containers run on each host.
const crowd = 20

// BenchmarkE2EStatus compares a look at the pair with what docker gives of it over ssh, on
// both hosts at once, in turn: what else the machine does meets both.
func BenchmarkE2EStatus(b *testing.B) {
	if !rig.Wanted(b) {
		return
	}
	s := benchSeat(b)
	docker := dockerOverSSH(b, s)
	var ours, theirs []time.Duration
	for b.Loop() {
		begin := time.Now()
		if out, err := s.command(b.Context(), "status").CombinedOutput(); err != nil {
			b.Fatalf("tandem status: %v\n%s", err, out)
		}
		ours = append(ours, time.Since(begin))
		begin = time.Now()
		docker()
		theirs = append(theirs, time.Since(begin))
	}
	b.ReportMetric(0, "ns/op") // of both together: without meaning
	b.ReportMetric(median(ours).Seconds()*1000, "tandem-ms")
	b.ReportMetric(median(theirs).Seconds()*1000, "docker-ms")
	b.ReportMetric(median(theirs).Seconds()/median(ours).Seconds(), "times-faster")
}

// benchSeat is a desk before a rig with a crowd on it. What it adds the next reset removes.
func benchSeat(b *testing.B) *seat {
	b.Helper()
	r := rig.Shared(b)
	for _, side := range ops.Sides {
		host := r.Side(string(side))
		out, err := host.Docker(b.Context(), "ps", "--quiet")
		if err != nil {
			b.Fatal(err)
		}
		for n := len(strings.Fields(out)) + 1; n <= crowd; n++ {
			if _, err := host.Docker(b.Context(), "run", "--detach", "--name", fmt.Sprintf("crowd-%02d", n), "tis/reference:"+rig.Tags[0]); err != nil {
				b.Fatal(err)
			}
		}
	}
	home := b.TempDir()
	config, err := r.Config(home)
	if err != nil {
		b.Fatal(err)
	}
	return &seat{operator: "ada@desk1", config: config, home: home, program: built(b)}
}

// built is the program as users have it: this test binary is larger.
func built(b *testing.B) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "tandem")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("building tandem: %v\n%s", err, out)
	}
	return program
}

// BenchmarkE2ERecover compares the recovery of a host of 21 containers with an Ansible playbook
// for the same ten actions, in turn. Each moves the address pools to another range.
func BenchmarkE2ERecover(b *testing.B) {
	if !rig.Wanted(b) {
		return
	}
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		b.Fatalf("the ansible-playbook command is compared with (Debian: ansible): %v", err)
	}
	r, err := rig.Boot(b.Context(), rig.Options{Services: crowd})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	})
	program := built(b)
	var ours, theirs []time.Duration
	pool := 100
	timed := func(times *[]time.Duration, cmd *exec.Cmd) {
		begin := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", cmd.Args[:2], err, out)
		}
		*times = append(*times, time.Since(begin))
		if err := r.Healthy(b.Context(), rig.Green); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		s := &seat{operator: "ada@desk1", home: b.TempDir(), program: program}
		pool += 2
		if s.config, err = r.Config(s.home, overTCP, func(set *rig.Settings) {
			set.More = fmt.Sprintf("networks:\n  pools: [{base: 10.%d.0.0/16, size: 24}]\n", pool)
		}); err != nil {
			b.Fatal(err)
		}
		timed(&ours, s.command(b.Context(), "run", "recover", "green", "--yes"))
		fmt.Fprintln(os.Stderr, stretch(s.runs()[0])) // b.Log cuts it short
		timed(&theirs, playbook(b, r, s, fmt.Sprintf("10.%d.0.0/16", pool+1)))
	}
	b.ReportMetric(0, "ns/op") // of both together: without meaning
	b.ReportMetric(median(ours).Seconds(), "tandem-s")
	b.ReportMetric(median(theirs).Seconds(), "ansible-s")
	b.ReportMetric(median(theirs).Seconds()/median(ours).Seconds(), "times-faster")
}

// stretch is when each step of a run began, and how long it took.
func stretch(run ops.Run) string {
	var b strings.Builder
	for _, step := range run.Steps {
		fmt.Fprintf(&b, "\n%6.1f s  %-34s %6.1f s", step.Started.Sub(run.Started).Seconds(), step.Doc.ID, step.Ended.Sub(step.Started).Seconds())
	}
	return b.String()
}

// playbook is Ansible's way, with what speeds it up switched on.
func playbook(b *testing.B, r *rig.Rig, s *seat, pool string) *exec.Cmd {
	b.Helper()
	inventory := filepath.Join(s.home, "inventory")
	line := fmt.Sprintf("green ansible_host=%s ansible_user=root ansible_ssh_private_key_file=%s ansible_ssh_common_args='-F none -o UserKnownHostsFile=%s'\n",
		r.Side(rig.Green).Address, filepath.Join(s.home, "id_ed25519"), filepath.Join(s.home, "known_hosts"))
	if err := os.WriteFile(inventory, []byte(line), 0o600); err != nil {
		b.Fatal(err)
	}
	socket, _ := r.HAProxySocket()
	cmd := exec.CommandContext(b.Context(), "ansible-playbook", "--inventory", inventory, "--extra-vars", "socket="+socket,
		"--extra-vars", "pool="+pool, "--extra-vars", "directory="+rig.Directory, "--extra-vars", inSequence(b, r), filepath.Join("testdata", "recover.playbook.yml"))
	cmd.Env = append(os.Environ(), "ANSIBLE_PIPELINING=true", "ANSIBLE_NOCOWS=1", "HOME="+s.home)
	return cmd
}

// inSequence are the services of green in start order, as a variable of Ansible's.
func inSequence(b *testing.B, r *rig.Rig) string {
	b.Helper()
	var list []string
	for _, s := range r.Services {
		if s.On(rig.Green) && !s.Job {
			list = append(list, s.Name)
		}
	}
	text, err := json.Marshal(map[string][]string{"services": list})
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// dockerOverSSH asks both hosts for their containers, as the docker command does: through
// the ssh command. That one reads no $HOME, so it gets the key and the known hosts by a
// wrapper in front of it in the path.
func dockerOverSSH(b *testing.B, s *seat) func() {
	b.Helper()
	for _, program := range []string{"docker", "ssh"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Fatalf("the %s command is compared with: %v", program, err)
		}
	}
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		b.Fatal(err)
	}
	bin := b.TempDir()
	wrapper := fmt.Sprintf("#!/bin/sh\nexec %s -F none -i %s -o UserKnownHostsFile=%s -o BatchMode=yes \"$@\"\n", ssh,
		filepath.Join(s.home, "id_ed25519"), filepath.Join(s.home, "known_hosts"))
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(wrapper), 0o700); err != nil {
		b.Fatal(err)
	}
	return func() {
		var both sync.WaitGroup
		for _, address := range []string{"10.213.77.11", "10.213.77.12"} {
			both.Go(func() {
				cmd := exec.CommandContext(b.Context(), "docker", "-H", "ssh://root@"+address, "ps")
				cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+s.home)
				if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "tis_apache_1") {
					b.Errorf("docker ps on %s: %v\n%s", address, err, out)
				}
			})
		}
		both.Wait()
	}
}

// BenchmarkE2EIdle opens a console that nobody touches, lets it settle, and measures what
// it costs over a minute.
func BenchmarkE2EIdle(b *testing.B) { benchMinute(b, func(*terminal) {}) }

// BenchmarkE2EDetails is the same with the details of a service open: its containers on both
// sides are asked for their CPU and memory every 3 s.
func BenchmarkE2EDetails(b *testing.B) {
	benchMinute(b, func(c *terminal) {
		c.press("enter")
		c.see("cpu", "memory", " MiB of ")
	})
}

func benchMinute(b *testing.B, begin func(*terminal)) {
	if !rig.Wanted(b) {
		return
	}
	s := benchSeat(b)
	c := runTerminal(b, 120, 40, exec.Command(s.program), s.env(), nil)
	c.see("2 of 2 in service", "ready")
	c.until("both sides whole", func(screen string) bool { return strings.Count(screen, "compose 1.29.2") == 2 })
	// Uptimes of less than two minutes are in seconds: each row would change every second.
	for screen, changed := c.text(); !strings.Contains(screen, " 2m "); screen, changed = c.text() {
		select {
		case <-changed:
		case <-c.ended:
			b.Fatal("the console ended")
		}
	}
	begin(c)
	engines := func() (used time.Duration) {
		for _, side := range ops.Sides {
			used += engineCPU(b, side)
		}
		return used
	}
	for b.Loop() {
		begin, before, asked := time.Now(), cpu(b, c.cmd.Process.Pid), engines()
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		select {
		case <-ctx.Done():
		case <-c.ended:
			b.Fatal("the console ended")
		}
		cancel()
		took := time.Since(begin).Seconds()
		b.ReportMetric(100*(cpu(b, c.cmd.Process.Pid)-before).Seconds()/took, "%core")
		b.ReportMetric(100*(engines()-asked).Seconds()/took/2, "%core-engine")
		b.ReportMetric(float64(resident(b, c.cmd.Process.Pid))/1e6, "MB")
	}
	b.ReportMetric(0, "ns/op") // always a minute
}

// engineCPU is the time that a host's engine has used.
func engineCPU(b *testing.B, side ops.Side) time.Duration {
	b.Helper()
	stat, err := rig.Shared(b).Side(string(side)).Exec(b.Context(), "sh", "-c", "cat /proc/$(cat /var/run/docker.pid)/stat")
	if err != nil {
		b.Fatal(err)
	}
	return ticks(b, stat)
}

// cpu is the time that a process has used, user and system: fields 14 and 15 of
// /proc/PID/stat, in clock ticks of 10 ms, see proc(5).
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	return ticks(b, string(text))
}

func ticks(b *testing.B, stat string) time.Duration {
	b.Helper()
	_, rest, _ := strings.Cut(stat, ") ") // field 2 is the name, which may have spaces
	fields := strings.Fields(rest)
	sum := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond
}

// resident is how much memory of a process is in use, in bytes.
func resident(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}
