package lab_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"tandem/ops/lab"
)

func start(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	if o.Speed == 0 {
		o.Speed = 50
	}
	o.Dir = t.TempDir()
	l, err := lab.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func dialAs(t *testing.T, l *lab.Lab, side, user string) (*ssh.Client, error) {
	t.Helper()
	pem, err := os.ReadFile(l.KeyPath())
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	known, err := knownhosts.New(l.KnownHostsPath())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ssh.Dial("tcp", l.World().Host(side).Address(), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: known, Timeout: 5 * time.Second,
	})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func dial(t *testing.T, l *lab.Lab, side string) *ssh.Client {
	t.Helper()
	c, err := dialAs(t, l, side, "ops")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func docker(t *testing.T, c *ssh.Client) *client.Client {
	t.Helper()
	d, err := client.NewClientWithOpts(client.WithHost("http://docker"), client.WithAPIVersionNegotiation(),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.DialContext(ctx, "unix", "/var/run/docker.sock")
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// exec runs a command line and returns what it wrote and its exit status.
func exec(t *testing.T, c *ssh.Client, line, stdin string) (stdout, stderr string, status int) {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out, errs bytes.Buffer
	s.Stdout, s.Stderr, s.Stdin = &out, &errs, strings.NewReader(stdin)
	err = s.Run(line)
	if exit, ok := err.(*ssh.ExitError); ok {
		return out.String(), errs.String(), exit.ExitStatus()
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return out.String(), errs.String(), 0
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestCalmThroughTheRealClient(t *testing.T) {
	l := start(t, lab.Options{})
	for _, side := range lab.Sides {
		d := docker(t, dial(t, l, side))
		v, err := d.ServerVersion(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v.APIVersion != "1.41" || v.Version != "20.10.24+dfsg1" || d.ClientVersion() != "1.41" {
			t.Errorf("%s: engine %s api %s, client %s", side, v.Version, v.APIVersion, d.ClientVersion())
		}
		list, err := d.ContainerList(t.Context(), container.ListOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"blue": 13, "green": 18}[side]
		if len(list) != want {
			t.Errorf("%s: %d containers, want %d", side, len(list), want)
		}
		for _, c := range list {
			full, err := d.ContainerInspect(t.Context(), c.ID)
			if err != nil {
				t.Fatal(err)
			}
			job := full.Config.Healthcheck == nil
			if !job && (full.State.Health.Status != "healthy" || !strings.Contains(c.Status, "(healthy)")) {
				t.Errorf("%s: %v is %s", side, c.Names, c.Status)
			}
			if job && c.State != "exited" {
				t.Errorf("%s: job %v is %s", side, c.Names, c.State)
			}
		}
		if !l.World().Serving(side) {
			t.Errorf("%s does not serve", side)
		}
	}
}
