package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is one of the two hosts.
type Machine struct {
	Side    string
	Address string // without a port; sshd listens on 22
	dir     string // what the host is made of
}

// machineName names a host's machine, namespace, cable and control groups.
func machineName(side string) string { return "tandem-" + side }

// loop keeps a machine running over reboots: nspawn exits with 133 when the system inside
// asked for one (with --keep-unit it leaves the restart to its caller), with 0 after a
// power-off. Arguments: name, control groups to join, "--", the nspawn command.
const loop = `name=$1; shift
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done
shift
while :; do "$@" </dev/null; [ $? -eq 133 ] || exit; done`

// PowerOn starts the machine and waits until the engine answers. A machine that is on
// stays as it is.
func (m *Machine) PowerOn(ctx context.Context) error {
	if m.leader() == 0 {
		if err := m.start(); err != nil {
			return fmt.Errorf("starting %s: %w", m.Side, err)
		}
	}
	return m.waitUp(ctx, "")
}

func (m *Machine) start() error {
	name := machineName(m.Side)
	groups, err := makeGroups(name)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(m.dir, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{"-c", loop, "tandem-machine", name}, groups...)
	args = append(args, "--", "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe",
		"--directory="+filepath.Join(m.dir, "root"), "--machine="+name, "--hostname="+m.Side,
		"--network-namespace-path=/run/netns/"+name, "--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--capability=all", "--system-call-filter=@keyring bpf @raw-io",
		"--bind="+filepath.Join(m.dir, "docker")+":/var/lib/docker",
		"--bind="+filepath.Join(filepath.Dir(m.dir), "haproxy")+":/srv/haproxy")
	machine := exec.Command("sh", args...)
	machine.Env = append(os.Environ(), "SYSTEMD_NSPAWN_API_VFS_WRITABLE=1")
	machine.Stdout, machine.Stderr = log, log
	machine.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C for the tests is not for the machines
	if err := machine.Start(); err != nil {
		return err
	}
	go func() { _ = machine.Wait() }() // only so that no zombie stays; the machine's state is read from /proc
	return nil
}

// PowerOff pulls the plug: nothing inside gets to say goodbye.
func (m *Machine) PowerOff() error {
	return killAll(func(args []string) bool {
		return isLoop(args, machineName(m.Side)) || isNspawn(args, machineName(m.Side))
	}, m.leader())
}

// Reboot restarts the system inside and returns when it is up under a new boot id.
func (m *Machine) Reboot(ctx context.Context) error {
	before, err := m.BootID(ctx)
	if err != nil {
		return err
	}
	if _, err := m.Exec(ctx, "systemctl", "reboot"); err != nil {
		return fmt.Errorf("asking %s to reboot: %w", m.Side, err)
	}
	return m.waitUp(ctx, before)
}

// BootID changes with every boot of the host.
func (m *Machine) BootID(ctx context.Context) (string, error) {
	id, err := m.Exec(ctx, "cat", "/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(id), err
}

// probe is how long one look at a machine may take while waiting for it.
const probe = 5 * time.Second

// waitUp waits for sshd and the engine of a boot that is not the one named.
func (m *Machine) waitUp(ctx context.Context, notBoot string) error {
	err := waitFor(ctx, 250*time.Millisecond, func() error {
		// A command caught in a machine that is going down may never end.
		ctx, cancel := context.WithTimeout(ctx, probe)
		defer cancel()
		id, err := m.BootID(ctx)
		if err != nil {
			return err
		}
		if id == notBoot {
			return errors.New("still the boot before")
		}
		// With several units, the exit status is good where one of them is active.
		for _, unit := range []string{"ssh.service", "docker.service"} {
			if _, err := m.Exec(ctx, "systemctl", "is-active", unit); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s to be up (its console: %s): %w", m.Side, filepath.Join(m.dir, "console.log"), err)
	}
	return nil
}

// Exec runs a command on the host as root and returns what it wrote to standard output.
// It enters the machine's namespaces from outside, so it works with the cable cut and
// shares nothing with tandem's own way in.
func (m *Machine) Exec(ctx context.Context, args ...string) (string, error) {
	return m.ExecInput(ctx, nil, args...)
}

// ExecInput is Exec with standard input.
func (m *Machine) ExecInput(ctx context.Context, input []byte, args ...string) (string, error) {
	leader := m.leader()
	if leader == 0 {
		return "", fmt.Errorf("running %s on %s: the machine is off", args[0], m.Side)
	}
	enter := []string{"--target", strconv.Itoa(leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	command := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	command.Dir = "/"
	command.WaitDelay = time.Second
	var out, said bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &out, &said
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("running %s on %s: %w: %s", strings.Join(args, " "), m.Side, err, bytes.TrimSpace(said.Bytes()))
	}
	return out.String(), nil
}

// leader is the process id, seen from outside, of the machine's own process 1; 0 when the
// machine is off.
func (m *Machine) leader() int {
	for _, parent := range processes(func(args []string) bool { return isNspawn(args, machineName(m.Side)) }) {
		for _, pid := range processes(nil) {
			if status := readStatus(pid); status.parent == parent && status.inner == 1 {
				return pid
			}
		}
	}
	return 0
}

// Docker runs the host's own docker command.
func (m *Machine) Docker(ctx context.Context, args ...string) (string, error) {
	return m.Exec(ctx, append([]string{"docker"}, args...)...)
}

// waitFor asks until there is no error or the context ends; then the last error says what
// was still missing.
func waitFor(ctx context.Context, every time.Duration, ask func() error) error {
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-time.After(every):
		}
	}
}
