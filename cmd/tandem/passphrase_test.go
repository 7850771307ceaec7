package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"tandem/ops/lab"
)

// A runner has no terminal: what the operator typed is handed to it, and is in no file.
func TestRunnerIsHandedThePassphrase(t *testing.T) {
	dir := t.TempDir()
	world, err := lab.Start(lab.Options{Scenario: "calm", Dir: dir, Speed: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	lockKey(t, filepath.Join(dir, "id_ed25519"), "swordfish")

	state := t.TempDir()
	term := openTerminal(t, 120, 40, []string{"XDG_STATE_HOME=" + state, "SSH_AUTH_SOCK=", "TANDEM_CONFIG=" + world.ConfigPath()}, "run", "canary", "green")
	term.see("Passphrase for")
	term.tty.WriteString("sworfdish\n")
	term.see("That does not open the key.")
	term.tty.WriteString("swordfish\n")
	term.see("canary on GREEN: done")
	if code := term.exited(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for _, root := range []string{state, dir} {
		if err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte("swordfish")) {
				t.Errorf("the passphrase is in %s", path)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}

// lockKey gives a key file a passphrase.
func lockKey(t *testing.T, path, phrase string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		t.Fatalf("the lab's key is a %T", raw)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(phrase))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPassphrases(t *testing.T) {
	var p phrases
	p.learn(map[string]string{"/k": "known"})
	p.hush()
	if got, err := p.ask("/k", false); got != "known" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := p.ask("/other", false); err == nil || !strings.Contains(err.Error(), "the screen is in use") {
		t.Errorf("asked while the console has the terminal: %v", err)
	}
	p.tell()["/k"] = "other"
	if got, _ := p.ask("/k", false); got != "known" {
		t.Error("what a runner is handed is not a copy")
	}
	if _, err := p.ask("/k", true); err == nil || len(p.tell()) > 0 {
		t.Errorf("what does not open the key is kept: %v", err)
	}
}

// A runner that read no whole order does nothing.
func TestOrderThatArrivesCut(t *testing.T) {
	if _, err := readOrder(strings.NewReader(`{"plan":{"schema":1,`)); err == nil {
		t.Error("a cut order was taken")
	}
}
