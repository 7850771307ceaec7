package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"tandem/ops"
)

// getTimeout bounds a Get whose context has no deadline.
const getTimeout = 5 * time.Second

// DialContext connects to an address as seen from the machine: "tcp" or "unix".
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := h.connection(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := c.client.DialContext(ctx, network, addr)
	if err == nil {
		return conn, nil
	}
	doing := fmt.Sprintf("connecting to %s on %s", addr, h.target.Name)
	var refused *ssh.OpenChannelError
	switch {
	case ctx.Err() != nil:
		return nil, h.say(doing, as(ops.ErrUnreachable, ctx.Err()), "")
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
		return nil, h.say(doing, as(ops.ErrNotPermitted, err), "sshd forbids forwarding: set AllowTcpForwarding and AllowStreamLocalForwarding to yes in its sshd_config")
	case errors.As(err, &refused):
		return nil, h.say(doing, as(ops.ErrUnreachable, err), fmt.Sprintf("does anything listen on %s there, and may %s use it?", addr, h.route[len(h.route)-1].user))
	}
	if lost := c.lost(err); lost != nil {
		err = lost
	}
	return nil, h.say(doing, err, "")
}

// getOnHost asks an URL with what the host has, where sshd forbids forwarding.
const getOnHost = `if command -v curl >/dev/null 2>&1; then
	exec curl -sS -o /dev/null -w '%{http_code}' --max-time "$2" --url "$1"
elif command -v wget >/dev/null 2>&1; then
	wget -S -O /dev/null -T "$2" -t 1 --max-redirect=0 "$1" 2>&1 | awk '$1 ~ /^HTTP\// { print $2; exit }'
else
	echo 'neither curl nor wget is installed' >&2
	exit 127
fi
`

// Get asks an http or https URL as seen from the host; names are resolved there. It does
// not follow redirects. Certificates are verified against this machine's roots.
func (h *Host) Get(ctx context.Context, url string) (int, error) {
	ctx, cancel := h.within(ctx, getTimeout)
	defer cancel()
	doing := "asking " + url
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, h.say(doing, err, "")
	}
	req.Header.Set("User-Agent", "tandem")
	client := &http.Client{
		Transport:     &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if errors.Is(err, ops.ErrNotPermitted) {
		return h.getThere(ctx, doing, url)
	}
	if err != nil {
		p := ops.AsProblem(err, doing, h.target.Side)
		return 0, h.say(doing, p.Err, p.Hint)
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

func (h *Host) getThere(ctx context.Context, doing, url string) (int, error) {
	seconds := 1
	if at, ok := ctx.Deadline(); ok {
		seconds = max(1, int(time.Until(at).Seconds()))
	}
	out, err := h.Exec(ctx, ops.Command{Args: []string{"sh", "-c", getOnHost, "sh", url, strconv.Itoa(seconds)}})
	if err != nil {
		p := ops.AsProblem(err, doing, h.target.Side)
		var exit *ops.ExitError
		if errors.As(err, &exit) {
			return 0, h.say(doing, errors.New(strings.TrimSpace(exit.Stderr)), "sshd forbids forwarding, so the host's own curl or wget was used")
		}
		return 0, h.say(doing, p.Err, p.Hint)
	}
	code, err := strconv.Atoi(string(bytes.TrimSpace(out)))
	if err != nil || code == 0 {
		return 0, h.say(doing, fmt.Errorf("no HTTP answer (%q)", out), "")
	}
	return code, nil
}
