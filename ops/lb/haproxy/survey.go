package haproxy

import (
	"context"
	"fmt"
	"strings"
)

// ServerAt is a server as HAProxy has it: `show servers state` (management.txt 9.3).
type ServerAt struct {
	Backend, Name, Addr string
}

// Survey lists the servers of all backends, for a config that does not name them yet.
// Socket is as in [Config].
func Survey(ctx context.Context, conf Config) ([]ServerAt, error) {
	c, err := onSocket(conf)
	if err != nil {
		return nil, err
	}
	text, err := c.ask(ctx, "", "show servers state")
	if err != nil {
		return nil, err
	}
	if _, err := parseState(text); err != nil {
		return nil, fmt.Errorf("asking %s for its servers: %w", c.Name(), err)
	}
	var list []ServerAt
	var column map[string]int
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "#":
			column = columns(fields[1:])
		case column != nil:
			list = append(list, ServerAt{fields[column["be_name"]], fields[column["srv_name"]], fields[column["srv_addr"]]})
		}
	}
	return list, nil
}
