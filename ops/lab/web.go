package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
)

// web is what the services answer over HTTP on their ports.
type web struct {
	server   *http.Server
	listener *pipeListener
}

// visit is a connection to one port of one host.
type visit struct {
	net.Conn
	host *Host
	port int
}

type visitKey struct{}

func newWeb() *web {
	w := &web{listener: newPipeListener()}
	w.server = &http.Server{
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, visitKey{}, c) },
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			v, ok := r.Context().Value(visitKey{}).(visit)
			if !ok {
				panic("a request of the lab's web came by another way")
			}
			var status int
			var body string
			v.host.with(func() { status, body = v.host.engine.answer(v.port) })
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(status)
			fmt.Fprintln(rw, body)
		}),
	}
	go w.server.Serve(w.listener)
	return w
}

func (w *web) close() { w.server.Close() }

// port finds who listens on a port of the host, nil if nobody does. It expects the lock.
func (h *Host) port(name string, port int) func(net.Conn) {
	if !slices.Contains([]string{"localhost", "127.0.0.1", "::1", h.name}, name) || h.engine.listening(port) == nil {
		return nil
	}
	return func(c net.Conn) { h.w.web.listener.dial(visit{c, h, port}) }
}

// listening is the running container that publishes a port.
func (e *engine) listening(port int) *container {
	for _, c := range e.ordered() {
		for _, bound := range c.bindings() {
			for _, b := range bound {
				if b["HostPort"] == strconv.Itoa(port) && c.state == "running" {
					return c
				}
			}
		}
	}
	return nil
}

// answer is what a service says on its port: UP only when all that it needs answers.
func (e *engine) answer(port int) (int, string) {
	c := e.listening(port)
	if c == nil {
		return http.StatusBadGateway, `{"status":"GONE"}`
	}
	if s, ok := c.behaviour(); ok && e.answers(s.name) {
		return http.StatusOK, `{"status":"UP"}`
	}
	return http.StatusServiceUnavailable, `{"status":"DOWN"}`
}
