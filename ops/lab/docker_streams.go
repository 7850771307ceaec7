package lab

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// event is one event of the engine.
type event struct {
	number     int
	at         time.Time
	kind       string
	action     string
	id         string
	attributes map[string]string
}

// maxEvents is how many events the engine remembers for `since`.
const maxEvents = 256

func (e *engine) emit(kind, action, id string, attributes map[string]string) {
	e.lastEvent++
	e.events = append(e.events, event{e.lastEvent, e.host.now(), kind, action, id, attributes})
	if over := len(e.events) - maxEvents; over > 0 {
		e.events = slices.Clone(e.events[over:])
	}
	e.changed.fire()
}

func (ev event) json() obj {
	out := obj{
		"Type": ev.kind, "Action": ev.action, "Actor": obj{"ID": ev.id, "Attributes": ev.attributes}, "scope": "local",
		"time": ev.at.Unix(), "timeNano": ev.at.UnixNano(),
	}
	if ev.kind == "container" {
		out["status"], out["id"], out["from"] = ev.action, ev.id, ev.attributes["image"]
	}
	return out
}

func (ev event) passes(f filters) bool {
	return f.pass("type", func(v string) bool { return v == ev.kind }) &&
		f.pass("event", func(v string) bool { return v == ev.action || strings.HasPrefix(ev.action, v+":") }) &&
		f.pass("container", func(v string) bool { return v == ev.id || v == ev.attributes["name"] }) &&
		f.labelled(ev.attributes)
}

// moment reads a time of the API: seconds since 1970 with a fraction, or RFC 3339.
func (d *docker) moment(name string) (time.Time, error) {
	text := d.r.URL.Query().Get(name)
	if text == "" || text == "0" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, apiError{http.StatusBadRequest, fmt.Sprintf("invalid value for %q: %s", name, text)}
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, apiError{http.StatusBadRequest, fmt.Sprintf("invalid value for %q: %s", name, text)}
	}
	return time.Unix(seconds, nanos), nil
}

// stream writes while the lock is given up: the client reads at its own pace.
func (d *docker) stream(chunk []byte) error {
	d.h.w.mu.Unlock()
	defer d.h.w.mu.Lock()
	if _, err := d.w.Write(chunk); err != nil {
		return errGone
	}
	return http.NewResponseController(d.w).Flush()
}

func (d *docker) events() error {
	f, err := d.filters()
	if err != nil {
		return err
	}
	since, err := d.moment("since")
	if err != nil {
		return err
	}
	until, err := d.moment("until")
	if err != nil {
		return err
	}
	next := d.e.lastEvent + 1
	if !since.IsZero() {
		if i := slices.IndexFunc(d.e.events, func(ev event) bool { return !ev.at.Before(since) }); i >= 0 {
			next = d.e.events[i].number
		}
	}
	d.w.Header().Set("Content-Type", "application/json")
	d.w.WriteHeader(http.StatusOK)
	d.log.Status = http.StatusOK
	if err := d.stream(nil); err != nil {
		return err
	}
	for {
		var chunk []byte
		for _, ev := range d.e.events {
			if ev.number < next || !until.IsZero() && ev.at.After(until) {
				continue
			}
			next = ev.number + 1
			if !ev.passes(f) {
				continue
			}
			text, err := json.Marshal(ev.json())
			if err != nil {
				panic("writing an event of the lab: " + err.Error())
			}
			chunk = append(append(chunk, text...), '\n')
		}
		if len(chunk) > 0 {
			if err := d.stream(chunk); err != nil {
				return err
			}
			continue // something may have come in the meantime
		}
		var limit time.Duration
		if !until.IsZero() {
			if limit = until.Sub(d.h.now()); limit <= 0 {
				return nil
			}
		}
		if err := d.wait(d.e.changed.wait(), limit); err != nil {
			return err
		}
	}
}

// containerLogs streams the log in frames of 8 bytes of header and a line, or plainly
// where the container has a terminal.
func (d *docker) containerLogs() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	query := d.r.URL.Query()
	stdout, stderr := d.flag("stdout"), d.flag("stderr")
	if !stdout && !stderr {
		return apiError{http.StatusBadRequest, "Bad parameters: you must choose at least one stream"}
	}
	since, err := d.moment("since")
	if err != nil {
		return err
	}
	until, err := d.moment("until")
	if err != nil {
		return err
	}
	wanted := func(l logLine) bool {
		return (l.stderr && stderr || !l.stderr && stdout) && !l.at.Before(since) && (until.IsZero() || !l.at.After(until))
	}
	next := c.dropped
	if n, err := strconv.Atoi(query.Get("tail")); err == nil && n >= 0 {
		seen := 0
		next = c.dropped + len(c.lines)
		for i := len(c.lines) - 1; i >= 0 && seen < n; i-- {
			next = c.dropped + i
			if wanted(c.lines[i]) {
				seen++
			}
		}
	}
	tty, _ := c.config["Tty"].(bool)
	kind := "application/vnd.docker.multiplexed-stream"
	if tty || minor(d.api) < 42 {
		kind = "application/vnd.docker.raw-stream"
	}
	d.w.Header().Set("Content-Type", kind)
	d.w.WriteHeader(http.StatusOK)
	d.log.Status = http.StatusOK
	if err := d.stream(nil); err != nil {
		return err
	}
	for {
		var chunk []byte
		next = max(next, c.dropped)
		for ; next < c.dropped+len(c.lines) && len(chunk) < 1<<20; next++ {
			if l := c.lines[next-c.dropped]; wanted(l) {
				chunk = l.frame(chunk, tty, d.flag("timestamps"))
			}
		}
		if len(chunk) > 0 {
			if err := d.stream(chunk); err != nil {
				return err
			}
			continue
		}
		if !d.flag("follow") || c.state != "running" && c.state != "restarting" {
			return nil
		}
		if err := d.wait(c.printed.wait(), 0); err != nil {
			return err
		}
	}
}

// longestEntry is where the json-file driver splits a line into several entries, each
// a frame of its own; only the last one ends in a newline.
const longestEntry = 16 << 10

func (l logLine) frame(out []byte, tty, timestamps bool) []byte {
	text := l.text + "\n"
	for len(text) > 0 {
		part := text[:min(len(text), longestEntry)]
		text = text[len(part):]
		if timestamps {
			part = l.at.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " " + part
		}
		if !tty {
			var header [8]byte
			header[0] = 1
			if l.stderr {
				header[0] = 2
			}
			binary.BigEndian.PutUint32(header[4:], uint32(len(part)))
			out = append(out, header[:]...)
		}
		out = append(out, part...)
	}
	return out
}
