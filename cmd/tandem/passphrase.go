package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"tandem/ops"
	"tandem/ops/remote"
)

// phrases are the passphrases of key files that the operator has typed. A runner has no
// terminal to ask on, so it is handed them through a pipe: they are never in a file, an
// argument or the environment.
type phrases struct {
	mu    sync.Mutex
	known map[string]string // by path of the key file
	quiet bool              // the terminal belongs to the console: nothing may be asked
}

// ask returns the passphrase of a key file, from the controlling terminal if it is not known, or
// if what is known does not open the key: then it is asked again.
func (p *phrases) ask(path string, again bool) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if again {
		delete(p.known, path)
	}
	if phrase, ok := p.known[path]; ok {
		return phrase, nil
	}
	if p.quiet {
		return "", errors.New("it has a passphrase, and the screen is in use: leave, and start again to be asked")
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errors.New("it has a passphrase, and there is no terminal to ask on")
	}
	defer tty.Close()
	if again {
		fmt.Fprintln(tty, "That does not open the key.")
	}
	fmt.Fprintf(tty, "Passphrase for %s: ", path)
	secret, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil || len(secret) == 0 {
		return "", errors.New("no passphrase was given")
	}
	p.learnLocked(map[string]string{path: string(secret)})
	return string(secret), nil
}

func (p *phrases) learn(known map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learnLocked(known)
}

func (p *phrases) learnLocked(known map[string]string) {
	if p.known == nil {
		p.known = map[string]string{}
	}
	maps.Copy(p.known, known)
}

// tell is what a runner is handed.
func (p *phrases) tell() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.known)
}

// hush keeps the terminal for the console from now on.
func (p *phrases) hush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = true
}

// graceTime is how long a connection waits for a passphrase: sshd's LoginGraceTime.
const graceTime = 2 * time.Minute

// unlock connects to the machines that may ask for a passphrase, before the console takes
// the terminal. What does not answer is the console's to show.
func (s *session) unlock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, graceTime)
	defer cancel()
	var tasks sync.WaitGroup
	for _, host := range []*remote.Host{s.hosts[ops.Blue], s.hosts[ops.Green], s.via} {
		if host != nil && len(host.Locked()) > 0 {
			tasks.Go(func() { host.Exec(ctx, ops.Command{Args: []string{"true"}}) })
		}
	}
	tasks.Wait()
	s.phrases.hush()
}
