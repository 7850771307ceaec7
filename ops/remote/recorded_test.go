package remote

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types"
)

var update = flag.Bool("update", false, "write the goldens anew")

// recorded are the parsers of what hosts say, each with a folder of answers below testdata;
// README.md there tells where each comes from.
var recorded = map[string]func(t *testing.T, data []byte) any{
	"facts": func(_ *testing.T, data []byte) any {
		f, _, err := parseFacts(data, composeSeen{})
		return result(f, err)
	},
	"upkeep": func(_ *testing.T, data []byte) any {
		u, err := parseUpkeep(data)
		return result(u, err)
	},
	"history": func(t *testing.T, data []byte) any {
		london, err := time.LoadLocation("Europe/London")
		if err != nil {
			t.Fatal(err)
		}
		changes, broken := parseHistory(string(data), london, false)
		return map[string]any{"changes": changes, "broken": broken}
	},
	"simulation": func(_ *testing.T, data []byte) any {
		lines := strings.Split(string(data), "\n")
		if refused := firstError(lines); refused != "" {
			return map[string]string{"refused": refused}
		}
		changes, err := parseSimulation(lines)
		return result(changes, err)
	},
	"states":  asPart("states", (*reader).readStates),
	"madison": asPart("offered", (*reader).readOffered),
	"dnf": func(_ *testing.T, data []byte) any {
		log, commands, _ := strings.Cut(string(data), "== dnf.log\n")
		changes, broken := parseDNF(log, dnfCommands(strings.Split(commands, "\n")))
		return map[string]any{"changes": changes, "broken": broken}
	},
	"version": func(t *testing.T, data []byte) any {
		var v types.Version
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		e, f, _ := onEngine(t, Options{})
		f.upgrade(v.Version, v.APIVersion, v.MinAPIVersion)
		f.answer("GET /version", json.RawMessage(data))
		got, err := e.Version(t.Context())
		got.Parts = e.Parts(t.Context())
		return result(got, err)
	},
	"info": func(t *testing.T, data []byte) any {
		e, f, _ := onEngine(t, Options{})
		f.answer("GET /info", json.RawMessage(data))
		pools, err := e.Pools(t.Context())
		return result(pools, err)
	},
	"containers": func(t *testing.T, data []byte) any {
		var list, inspects []json.RawMessage
		if err := json.Unmarshal(data, &struct{ List, Inspect *[]json.RawMessage }{&list, &inspects}); err != nil {
			t.Fatal(err)
		}
		e, f, _ := onEngine(t, Options{})
		f.answer("GET /containers/json", list)
		for _, one := range inspects {
			var named struct{ ID string }
			if err := json.Unmarshal(one, &named); err != nil {
				t.Fatal(err)
			}
			f.answer("GET /containers/"+named.ID+"/json", one)
		}
		got, err := e.Containers(t.Context())
		return result(got, err)
	},
}

func asPart(name string, read func(*reader)) func(*testing.T, []byte) any {
	return func(_ *testing.T, data []byte) any {
		r := &reader{parts: []section{{name: name, lines: strings.Split(string(data), "\n")}}}
		read(r)
		return r.Upkeep
	}
}

func result(value any, err error) any {
	if err != nil {
		return map[string]string{"err": err.Error()}
	}
	return value
}

// TestRecorded reads what real hosts said, and what the documents of others say that such
// hosts would.
func TestRecorded(t *testing.T) {
	n := 0
	for kind, parse := range recorded {
		files, err := filepath.Glob(filepath.Join("testdata", kind, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, ".golden") {
				continue
			}
			n++
			t.Run(filepath.ToSlash(strings.TrimPrefix(file, "testdata/")), func(t *testing.T) {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				out := json.NewEncoder(&got)
				out.SetEscapeHTML(false)
				out.SetIndent("", "\t")
				if err := out.Encode(parse(t, data)); err != nil {
					t.Fatal(err)
				}
				golden := file + ".golden"
				if *update {
					if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(want, got.Bytes()) {
					t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
				}
			})
		}
	}
	if n < 40 {
		t.Errorf("%d recorded answers", n)
	}
}
