package notify

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const secret = "/services/T0/B0/s3cret"

func serve(t *testing.T, handle http.HandlerFunc) *Slack {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	s, err := NewSlack(server.URL + secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSlackPosts(t *testing.T) {
	var got struct {
		Text        string `json:"text"`
		UnfurlLinks *bool  `json:"unfurl_links"`
	}
	var path string
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	})
	if err := s.Send(t.Context(), "tcs <!channel> & 3 > 2"); err != nil {
		t.Fatal(err)
	}
	if got.Text != "tcs &lt;!channel&gt; &amp; 3 &gt; 2" || path != secret || got.UnfurlLinks == nil || *got.UnfurlLinks {
		t.Errorf("posted %+v to %s", got, path)
	}
}

func TestSlackErrors(t *testing.T) {
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if len(header) == 2 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		}
	}
	const never = -1
	for _, test := range []struct {
		name   string
		handle http.HandlerFunc
		want   string
		after  time.Duration // told when to try again; never; 0: in a moment
	}{
		{"limited", status(429, "Retry-After", "30"), "too many messages: retry after 30s", 30 * time.Second},
		{"limited, at once", status(429, "Retry-After", "0"), "too many messages: retry after 1s", time.Second},
		{"limited, without a word", status(429), "HTTP status 429", 0},
		{"revoked", status(404), "HTTP status 404", never},
		{"broken", status(503), "HTTP status 503", 0},
		{"sent elsewhere", status(307, "Location", "http://127.0.0.1:1/elsewhere"), "HTTP status 307", never},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", never},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, test.handle)
			check(t, s.Send(t.Context(), "a"), test.want, test.after == never)
			var told *backoff.RetryAfterError
			if err := s.Send(t.Context(), "a"); errors.As(err, &told) != (test.after > 0) || told != nil && told.Duration != test.after {
				t.Errorf("to be tried again after %+v", told)
			}
		})
	}
}

func check(t *testing.T, err error, want string, never bool) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v, expected %q", err, want)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the secret is in %q", err)
	}
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) != never {
		t.Errorf("permanent: %t", !never)
	}
}

func TestSlackHangs(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := s.Send(ctx, "a")
	close(release)
	check(t, err, "no answer in time", true)
}

func TestSlackAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s, err := NewSlack("http://" + l.Addr().String() + secret)
	if err != nil {
		t.Fatal(err)
	}
	check(t, s.Send(t.Context(), "a"), "refused", false)
}

func TestSlackAddresses(t *testing.T) {
	for _, webhook := range []string{
		"", "s3cret", "hooks.slack.com" + secret, "http://hooks.slack.com" + secret, "https://", "https://hooks.slack.com", "https://hooks.slack.com/",
		"ftp://hooks.slack.com" + secret, "https://hooks.slack.com:s3cret/", "https://hooks.slack.com/\x7fs3cret", "http://localhost.example.org" + secret,
	} {
		if _, err := NewSlack(webhook); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", webhook, err)
		}
	}
	for _, webhook := range []string{"https://hooks.slack.com" + secret, "http://localhost:8080" + secret, "http://[::1]:80" + secret} {
		if _, err := NewSlack(webhook); err != nil {
			t.Errorf("%q: %v", webhook, err)
		}
	}
}
