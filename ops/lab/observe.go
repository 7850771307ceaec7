package lab

import (
	"bytes"
	"net/http"
	"net/url"
)

// Ask sends a GET request to the host's engine, beside all wires and without a record: for
// tests that must not rely on the clients that they test. The status is 0 where the engine
// is down.
func (h *Host) Ask(path string) (status int, body []byte) {
	var handler http.Handler
	h.with(func() {
		if h.engine.up {
			handler = h.engine.server.Handler
		}
	})
	where, err := url.Parse(path)
	if handler == nil || err != nil {
		return 0, nil
	}
	got := answer{header: http.Header{}, status: http.StatusOK}
	handler.ServeHTTP(&got, &http.Request{Method: http.MethodGet, URL: where, Header: http.Header{}, Body: http.NoBody, RemoteAddr: observer})
	return got.status, got.body.Bytes()
}

// observer is whose requests are not recorded.
const observer = "observer"

// answer keeps what a handler says.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// File is the content of a file of the host, nil where there is none.
func (h *Host) File(path string) (data []byte) {
	h.with(func() {
		if got, err := h.files.content(root, path); err == nil {
			data = bytes.Clone(got)
		}
	})
	return data
}
