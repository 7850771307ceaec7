// Package config reads and checks tandem.yaml: the pair, how to reach its hosts and its
// balancer, the start order, limits and display.
//
// The file is read strictly. Every key is known to one table (shape.go), which drives
// both the check and the JSON schema of `tandem config schema`; what a schema cannot say
// (cycles in the start order, overlapping pools, two names for one machine) is checked
// in build.go. All mistakes are reported at once, each with file, line and column, what
// is wrong and what was expected.
//
// Durations are written as in Go: 30s, 2m, 26h. A leading ~ in a path is the home
// directory; other relative paths, and commands that begin with ./ or ../, start at the
// directory of the file, because a run is another process with another working
// directory. Secrets are never in the file: it names environment variables.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adrg/xdg"

	"tandem/ops"
)

// Config is a checked config file with all defaults filled in.
type Config struct {
	Path     string // where it was read from
	Pair     ops.Pair
	Hosts    map[ops.Side]Host
	Balancer Balancer
	Notify   Notify
	Display  Display
}

// Host says how to reach a machine. Empty fields are left to ~/.ssh/config and to the
// defaults of OpenSSH.
type Host struct {
	SSH        string // [user@]host[:port], or an alias from ~/.ssh/config
	Jump       string // the same, of the machine to go through
	Identity   string // path of a private key
	KnownHosts string // path
	Sudo       *bool  // nil: when the user is not root
	Docker     string // unix:///path or tcp://host:port, as seen from the machine
}

// Balancer says which load balancer the pair has. Only the part of Kind is used.
type Balancer struct {
	Kind    string // haproxy, elbv2 or command
	HAProxy HAProxy
	ELBv2   ELBv2
	Command Command
}

// HAProxy is a runtime socket and the names of both sides behind it.
type HAProxy struct {
	Socket   string // unix:///path or tcp://host:port
	Via      *Host  // the machine that has the socket; nil: this one
	Backends []string
	Servers  map[ops.Side]string
}

// ELBv2 is a set of AWS target groups and the targets of both sides in them.
type ELBv2 struct {
	Region       string
	Profile      string // empty: the SDK's default chain
	Endpoint     string // empty: AWS
	TargetGroups []string
	Targets      map[ops.Side]string // instance id or IP address, optionally with :port
}

// Command is any other load balancer, reached by commands run on this machine. {{side}}
// is still in the arguments.
type Command struct {
	Status  []string
	Drain   []string
	PutBack []string
}

// Notify says where messages go.
type Notify struct {
	SlackWebhookEnv string // name of the environment variable that holds the URL
}

// Display is how the console looks.
type Display struct {
	Theme   string // name or path; the caller checks that it exists
	ThemeAt At     // where it is named
	UTC     bool
	Still   bool     // reduced motion: what changes by itself is shown every few seconds
	Redact  []string // hosts, addresses, other words
	Keys    []Key    // acts on other keys; the caller checks them
}

// Key gives an act of the console another key.
type Key struct {
	Act, Key string
	At       At
}

// WrongKey is the mistake of a key that cannot be had.
func (c *Config) WrongKey(i int, err error) error {
	at := c.Display.Keys[i].At
	return Errors{{c.Path, at.Line, at.Column, err.Error(), "expected an act and a key of its own, such as {act: drain, key: D}"}}
}

// At is a place in the file, from 1; zero: it is not in the file.
type At struct{ Line, Column int }

// WrongTheme is the mistake of naming a theme that cannot be read.
func (c *Config) WrongTheme(err error) error {
	at := c.Display.ThemeAt
	return Errors{{c.Path, at.Line, at.Column, err.Error(), "expected a theme of tandem's, or a file like one"}}
}

// Mistake is one thing wrong with the file.
type Mistake struct {
	File         string
	Line, Column int    // from 1
	What         string // what is wrong
	Want         string // what was expected
}

func (m Mistake) String() string {
	return fmt.Sprintf("%s:%d:%d: %s; %s", m.File, m.Line, m.Column, m.What, m.Want)
}

// Errors are all mistakes of a file, in the order of the file.
type Errors []Mistake

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, m := range e {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// ErrNone says that there is no config file yet, anywhere.
var ErrNone = errors.New("none yet")

// Find says which file is the config: the flag, $TANDEM_CONFIG, ./tandem.yaml, then
// $XDG_CONFIG_HOME/tandem/tandem.yaml. The first two are taken at their word: if such a
// file does not exist, no other is tried.
func Find(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if env := os.Getenv("TANDEM_CONFIG"); env != "" {
		return env, nil
	}
	places := []string{"tandem.yaml", filepath.Join(xdg.ConfigHome, "tandem", "tandem.yaml")}
	for _, place := range places {
		if _, err := os.Stat(place); err == nil {
			return place, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", &ops.Problem{Doing: "looking for the config", Err: err}
		}
	}
	return "", &ops.Problem{
		Doing: "looking for the config",
		Err:   fmt.Errorf("%w: there is no --config, no $TANDEM_CONFIG, no ./tandem.yaml and no %s", ErrNone, places[1]),
		Hint:  "`tandem init blue=HOST green=HOST` looks at two hosts and writes one; `tandem demo` needs none",
	}
}

// Load reads and checks the file. Mistakes in it are an Errors.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &ops.Problem{Doing: "reading the config", Err: err, Hint: "check --config and $TANDEM_CONFIG"}
	}
	return Parse(path, data)
}

// Parse checks the text of a config. name is its path, for errors and for relative paths.
func Parse(name string, data []byte) (*Config, error) {
	r := &reader{file: name}
	root := r.parse(data)
	cfg := r.build(root)
	if len(r.mistakes) > 0 {
		slices.SortStableFunc(r.mistakes, func(a, b Mistake) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, r.mistakes
	}
	return cfg, nil
}
