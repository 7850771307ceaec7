package remote

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys returns how the hop's host key is verified, and the algorithms to ask for:
// those of the keys that are known, for a server that has several keys would otherwise
// offer one that is not known and look like an impostor (golang/go#29286).
func (h *Host) hostKeys(p hop) (ssh.HostKeyCallback, []string, error) {
	var files []string
	for _, path := range p.knownHosts {
		if _, err := os.Stat(path); err == nil {
			files = append(files, path)
		}
	}
	db, err := knownhosts.NewDB(files...)
	if err != nil {
		return nil, nil, h.say("reading known_hosts", err, "mend the line that the message names")
	}
	check := db.HostKeyCallback()
	return func(_ string, remote net.Addr, key ssh.PublicKey) error {
		return h.hostKeyProblem(p, key, check(p.keyName, remote, key))
	}, db.HostKeyAlgorithms(p.keyName), nil
}

// hostKeyProblem words a refused key, with the way to mend it. Nothing here ever offers
// to accept a key.
func (h *Host) hostKeyProblem(p hop, key ssh.PublicKey, err error) error {
	if err == nil {
		return nil
	}
	host, port, _ := net.SplitHostPort(p.addr)
	name := knownhosts.Normalize(p.keyName)
	shown := fmt.Sprintf("%s %s", strings.ToUpper(shortKeyType(key)), ssh.FingerprintSHA256(key))
	scan := fmt.Sprintf("ssh-keyscan -p %s %s >> %s", port, host, quote(p.userKnown))
	if p.keyName != p.addr {
		scan = fmt.Sprintf("ssh-keyscan -p %s %s, then add the key to %s under the name %s", port, host, quote(p.userKnown), name)
	}
	compare := "compare it with `ssh-keygen -lf /etc/ssh/ssh_host_" + shortKeyType(key) + "_key.pub` on the host's own console"
	switch {
	case knownhosts.IsHostKeyChanged(err):
		file := p.userKnown
		var detail *xknownhosts.KeyError
		if errors.As(err, &detail) && len(detail.Want) > 0 {
			file = detail.Want[0].Filename
		}
		return h.say("verifying the host key of "+p.String(),
			as(err, fmt.Errorf("the host key has changed: it is now %s, and %s has another", shown, file)),
			fmt.Sprintf("either the host was installed anew or someone is in between: %s; only if it is the same: ssh-keygen -R %s -f %s && %s",
				compare, quote(name), quote(file), scan))
	case knownhosts.IsHostUnknown(err):
		return h.say("verifying the host key of "+p.String(),
			as(err, fmt.Errorf("the host key is not known: %s", shown)),
			compare+"; if it is the same: "+scan)
	}
	return h.say("verifying the host key of "+p.String(), fmt.Errorf("%s: %w", shown, err), "see "+p.userKnown)
}

// shortKeyType is the key's type as in the name of its file: ed25519, ecdsa, rsa.
func shortKeyType(key ssh.PublicKey) string {
	switch t := key.Type(); {
	case strings.Contains(t, "ed25519"):
		return "ed25519"
	case strings.Contains(t, "ecdsa"):
		return "ecdsa"
	case strings.Contains(t, "rsa"):
		return "rsa"
	default:
		return t
	}
}
