package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"tandem/ops"
)

// maxLine is where a line of a log is cut.
const maxLine = 64 << 10

// stream is a call whose answer goes on. Its beginning has a deadline; the rest is bounded
// by the caller's context alone.
type stream struct {
	e     *engine
	l     *dockerLink
	cli   *client.Client
	doing string
	ctx   context.Context
	trip  *trip
	began func() // the answer has begun
	end   func()
}

func (e *engine) stream(ctx context.Context, doing string) (*stream, error) {
	l, err := e.h.dockerLink(ctx)
	if err != nil {
		return nil, err
	}
	s := &stream{e: e, l: l, cli: l.cli, doing: doing, trip: &trip{}}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, tripKey{}, s.trip))
	slow := time.AfterFunc(e.h.opt.CommandTimeout, func() { cancel(context.DeadlineExceeded) })
	s.ctx = ctx
	s.began = func() { slow.Stop() }
	s.end = func() { slow.Stop(); cancel(nil) }
	return s, nil
}

func (s *stream) problem(err error) error {
	if cause := context.Cause(s.ctx); cause != nil {
		return s.e.problem(s.l, s.doing, cause, &trip{})
	}
	return s.e.problem(s.l, s.doing, err, s.trip)
}

// Logs streams a container's output.
func (e *engine) Logs(ctx context.Context, id string, opt ops.LogOptions, line func(ops.LogLine)) error {
	s, err := e.stream(ctx, "reading the log of "+id)
	if err != nil {
		return err
	}
	defer s.end()
	in, err := s.cli.ContainerInspect(s.ctx, id)
	if err != nil {
		return s.problem(err)
	}
	query := container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: opt.Follow, Tail: "all"}
	if opt.Tail > 0 {
		query.Tail = strconv.Itoa(opt.Tail)
	}
	query.Since, query.Until = stamp(opt.Since), stamp(opt.Until)
	body, err := s.cli.ContainerLogs(s.ctx, id, query)
	if err != nil {
		return s.problem(err)
	}
	defer body.Close()
	s.began()
	out, errs := &lineWriter{line: line}, &lineWriter{line: line, stderr: true}
	if in.Config != nil && in.Config.Tty {
		out.tty = true
		_, err = io.Copy(out, body)
	} else {
		_, err = stdcopy.StdCopy(out, errs, body)
	}
	out.end()
	errs.end()
	if err != nil {
		return s.problem(err)
	}
	return nil
}

// stamp is a time as the engine takes it; empty: none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

// lineWriter cuts one output into lines. stdcopy writes one frame at a time, and the engine
// puts one message of at most 16 KiB in a frame, each with a timestamp of its own, even in
// the middle of a long line; so a timestamp is looked for at the start of every frame.
type lineWriter struct {
	line   func(ops.LogLine)
	stderr bool
	tty    bool // no frames: pieces of any length come, timestamps at the start of lines
	open   bool
	at     time.Time
	buf    []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for start := true; len(p) > 0; start = false {
		if !w.tty && (!w.open || start) {
			if at, rest, ok := cutStamp(p); ok {
				p = rest
				if !w.open {
					w.at = at
				}
			}
		}
		text, rest, whole := bytes.Cut(p, []byte("\n"))
		w.open = true
		if room := maxLine - len(w.buf); room > 0 {
			w.buf = append(w.buf, text[:min(room, len(text))]...)
		}
		if whole {
			w.end()
		}
		p = rest
	}
	return n, nil
}

// end gives out the line so far, if there is one.
func (w *lineWriter) end() {
	if w.open {
		text := w.buf
		if w.tty {
			w.at, text, _ = cutStamp(text)
		}
		w.line(ops.LogLine{At: w.at, Stderr: w.stderr, Text: strings.TrimSuffix(string(text), "\r")})
	}
	w.open, w.at, w.buf = false, time.Time{}, w.buf[:0]
}

// cutStamp takes the engine's timestamp (RFC 3339 with nine digits, one blank) from the
// start of p.
func cutStamp(p []byte) (time.Time, []byte, bool) {
	i := bytes.IndexByte(p[:min(len(p), 40)], ' ')
	if i < len("2006-01-02T15:04:05Z") {
		return time.Time{}, p, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(p[:i]))
	if err != nil {
		return time.Time{}, p, false
	}
	return at.UTC(), p[i+1:], true
}

// wantedEvents has the engine send only what changes a listing. Every health check is three
// exec events, each with all labels of its container: dropping them here cost an idle
// console more than all else that it is sent.
func wantedEvents() []filters.KeyValuePair {
	var args []filters.KeyValuePair
	for _, kind := range []events.Type{events.ContainerEventType, events.NetworkEventType, events.ImageEventType, events.DaemonEventType} {
		args = append(args, filters.Arg("type", string(kind)))
	}
	// "health_status" also fits "health_status: healthy" (moby daemon/events/filter.go).
	for _, action := range []events.Action{
		events.ActionCreate, events.ActionStart, events.ActionRestart, events.ActionStop, events.ActionKill, events.ActionDie, events.ActionOOM,
		events.ActionPause, events.ActionUnPause, events.ActionRename, events.ActionUpdate, events.ActionHealthStatus, events.ActionDestroy,
		events.ActionConnect, events.ActionDisconnect, events.ActionRemove, events.ActionPrune, events.ActionReload,
		events.ActionPull, events.ActionLoad, events.ActionImport, events.ActionTag, events.ActionUnTag, events.ActionDelete,
	} {
		args = append(args, filters.Arg("event", string(action)))
	}
	return args
}

// Events reports events of containers, networks, images and the daemon. The exec and top
// events of health checks are left out: they come every few seconds and change nothing.
func (e *engine) Events(ctx context.Context, ready func(), event func(ops.EngineEvent)) error {
	s, err := e.stream(ctx, "following the engine's events")
	if err != nil {
		return err
	}
	defer s.end()
	ping, err := s.cli.Ping(s.ctx) // here, so that only the events' own answer is noted below
	if err != nil {
		return s.problem(err)
	}
	s.cli.NegotiateAPIVersionPing(ping)
	s.trip.answered.Store(false)
	messages, failed := s.cli.Events(s.ctx, events.ListOptions{Filters: filters.NewArgs(wantedEvents()...)})
	s.began()
	if s.trip.answered.Load() && ready != nil { // Events returns when the answer has begun
		ready()
	}
	for {
		select {
		case m := <-messages:
			event(ops.EngineEvent{
				At: time.Unix(0, m.TimeNano).UTC(), Type: string(m.Type), Action: string(m.Action),
				ID: m.Actor.ID, Name: m.Actor.Attributes["name"],
			})
		case err := <-failed:
			lost := s.l.conn.lost(err)
			switch {
			case lost != nil:
				err = lost
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				s.l.stale.Store(true) // the engine went away
				err = as(ops.ErrUnreachable, errors.New("the engine closed the stream"))
			}
			return s.problem(err)
		}
	}
}
