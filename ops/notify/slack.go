package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/cenkalti/backoff/v5"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"
)

// Slack is an incoming webhook. Whoever has its URL can post: it is a secret as a whole.
type Slack struct {
	webhook string
	secret  *strings.Replacer
	client  *http.Client
}

// NewSlack takes the URL of a webhook. Only on this machine may it be plain HTTP: anywhere
// else that would show it to everybody on the way.
func NewSlack(webhook string) (*Slack, error) {
	u, err := url.Parse(webhook)
	if err != nil || u.Host == "" || len(u.Path) < 2 || u.Scheme != "https" && !(u.Scheme == "http" && local(u.Hostname())) {
		return nil, errors.New("it does not hold the https:// address of a webhook")
	}
	return &Slack{
		webhook: webhook,
		secret:  strings.NewReplacer(webhook, "the webhook", u.RequestURI(), "the webhook"),
		// A redirected request would tell the address to another server.
		client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func local(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Send posts one message.
func (s *Slack) Send(ctx context.Context, text string) error {
	unfurl := false
	err := slack.PostWebhookCustomHTTPContext(ctx, s.webhook, s.client, &slack.WebhookMessage{
		Text: slackutilsx.EscapeMessage(text), UnfurlLinks: &unfurl, UnfurlMedia: &unfurl,
	})
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	var dial *net.OpError
	var request *url.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return fmt.Errorf("posting to Slack: too many messages: %w", &backoff.RetryAfterError{Duration: max(limited.RetryAfter, pace)})
	case errors.As(err, &status):
		err := fmt.Errorf("posting to Slack: HTTP status %d", status.Code)
		if status.Code == http.StatusTooManyRequests || status.Code >= 500 {
			return err
		}
		return backoff.Permanent(err)
	case errors.As(err, &dial) && dial.Op == "dial":
		return errors.New("posting to Slack: " + s.secret.Replace(dial.Error()))
	case ctx.Err() != nil:
		// It may have arrived: sent again it would be there twice.
		return backoff.Permanent(errors.New("posting to Slack: no answer in time"))
	case errors.As(err, &request):
		err = request.Err // without the address
	}
	return backoff.Permanent(errors.New("posting to Slack: " + s.secret.Replace(err.Error())))
}
