package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers is the import policy: package -> what it may import of ours. It is a statement
// of policy: a build that does not fit is mended in the code, not here.
var layers = map[string][]string{
	"ops":    {},
	"themes": {},

	"ops/findings": {"ops"},
	"ops/plans":    {"ops", "ops/steps"},
	"ops/report":   {"ops"},
	"ops/steps":    {"ops"},
	"ops/journal":  {"ops"},
	"ops/lock":     {"ops"},
	"ops/runner":   {"ops", "ops/journal"},
	"ops/inspect":  {"ops"},
	"ops/config":   {"ops"},
	"ops/notify":   {},
	"ops/remote":   {"ops"},
	"ops/timeline": {"ops"},

	"ops/lb":         {"ops", "ops/lb/command", "ops/lb/elbv2", "ops/lb/haproxy"},
	"ops/lb/command": {"ops"},
	"ops/lb/elbv2":   {"ops"},
	"ops/lb/haproxy": {"ops"},
	"ops/lb/lbtest":  {"ops"},

	"ops/lab":         {},
	"ops/rig":         {},
	"ops/rig/service": {},

	"tui":        {"ops", "themes", "tui/cast", "tui/style", "tui/widget"},
	"tui/cast":   {},
	"tui/style":  {"themes"},
	"tui/widget": {"tui/style"},

	"cmd/tandem": {
		"ops", "ops/config", "ops/findings", "ops/inspect", "ops/journal", "ops/lab", "ops/lb", "ops/lb/command",
		"ops/lb/elbv2", "ops/lb/haproxy", "ops/lock", "ops/notify", "ops/plans", "ops/remote", "ops/report", "ops/runner", "ops/steps", "ops/timeline",
		"themes", "tui", "tui/cast", "tui/style",
	},
}

// pure packages may not touch the network, files or processes, and get the time as an argument.
var pure = []string{"ops", "ops/findings", "ops/plans", "ops/report"}

var impure = []string{"net", "net/http", "os", "os/exec", "syscall", "io/ioutil"}

// testsOnly may be imported by test files alone.
var testsOnly = []string{"ops/lb/lbtest", "ops/rig"}

type listed struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v", err)
	}
	var list []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			list = append(list, p)
		}
	}
}

func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "tandem/")
		seen[name] = true
		allowed, listed := layers[name]
		if !listed {
			t.Errorf("package %s has no line in the table: say what it may import", name)
			continue
		}
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, "tandem/")
			if isOurs && !slices.Contains(allowed, ours) {
				t.Errorf("%s may not import %s", name, ours)
			}
			if isOurs && slices.Contains(testsOnly, ours) {
				t.Errorf("%s imports %s, which is for tests alone", name, ours)
			}
			if slices.Contains(pure, name) && slices.Contains(impure, imported) {
				t.Errorf("%s is pure and may not import %s", name, imported)
			}
			if strings.HasPrefix(name, "tui") && foreignToScreens(imported) {
				t.Errorf("%s may not see %s: the console knows the words of ops alone", name, imported)
			}
		}
	}
	for name := range layers {
		if !seen[name] {
			t.Errorf("the table names %s, which is not there", name)
		}
	}
}

// clock are what asks the time of the machine, or waits for it.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

// Pure packages get the time as an argument: their sources name no clock.
func TestLayersClock(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "tandem/")
		if !slices.Contains(pure, name) {
			continue
		}
		for _, file := range p.GoFiles {
			path := filepath.Join("../..", name, file)
			tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if of, ok := call.X.(*ast.Ident); ok && of.Name == "time" && slices.Contains(clock, call.Sel.Name) {
					t.Errorf("%s is pure and may not use time.%s", path, call.Sel.Name)
				}
				return true
			})
		}
	}
}

func foreignToScreens(path string) bool {
	for _, prefix := range []string{"github.com/docker/", "github.com/aws/", "golang.org/x/crypto", "net/http"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}
