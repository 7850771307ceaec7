package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// webhookPath is the secret part of the address of the story's Slack.
const webhookPath = "/services/T0/B0/s3cret"

// posts are the messages that a story's Slack has got.
type posts struct {
	mu    sync.Mutex
	texts []string
}

func (p *posts) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var message struct{ Text string }
	if json.NewDecoder(r.Body).Decode(&message) == nil && r.URL.Path == webhookPath {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.texts = append(p.texts, message.Text)
	}
}

func (p *posts) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.texts, "\n")
}

// slack [away]: the config names a webhook, and somebody, or nobody any more, listens there.
func (s *story) slack(args []string) {
	s.posts = &posts{}
	server := httptest.NewServer(s.posts)
	s.ts.Setenv("TANDEM_SLACK_WEBHOOK", server.URL+webhookPath)
	if len(args) > 0 {
		server.Close()
		return
	}
	s.ts.Defer(server.Close)
	text := s.ts.ReadFile(s.world.ConfigPath()) + "notify: {slack: {webhook_env: TANDEM_SLACK_WEBHOOK}}\n"
	s.ts.Check(os.WriteFile(s.world.ConfigPath(), []byte(text), 0o600))
}

// posted [0] PATTERN: waits until Slack has got such a message; 0: it has got none.
func (s *story) posted(args []string) {
	pattern := regexp.MustCompile(args[len(args)-1])
	got := func() bool { return pattern.MatchString(s.posts.all()) }
	switch none := len(args) > 1; {
	case none && got(), !none && !eventually(got):
		s.ts.Fatalf("Slack has got:\n%s", s.posts.all())
	}
}

// secret: the address of the webhook is in no output and in no file that tandem wrote.
func (s *story) secret([]string) {
	const secret = "s3cret"
	if strings.Contains(s.ts.ReadFile("stdout")+s.ts.ReadFile("stderr"), secret) {
		s.ts.Fatalf("the output has the webhook")
	}
	s.ts.Check(filepath.WalkDir(s.ts.Getenv("WORK"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".txtar") {
			return err
		}
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), secret) {
			s.ts.Fatalf("%s has the webhook", path)
		}
		return nil
	}))
}
