// Package notify tells people who are not at the console: one file a kind of channel.
//
// Rules:
//
//   - Telling never delays or fails what it tells of. Tell puts a text into a short queue
//     and returns; everything else is done aside, and dropped where it takes too long.
//   - Texts that come together go as one message, messages at most one a second. What did
//     not get through is counted, and the next message says so.
//   - Where a message goes to is a secret. No error names it.
package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"
)

const (
	pace     = time.Second     // between two messages: Slack takes one a second from a webhook
	attempt  = 5 * time.Second // one try may take this long
	patience = time.Minute     // then a message is dropped; later texts wait meanwhile
	flush    = 5 * time.Second // what is waiting at the end has this long
	queued   = 100             // texts that wait; more are dropped
	most     = 3000            // bytes of one message; Slack cuts beyond 40,000, people read less
)

// Channel takes messages to people. Send's errors say nothing of where it leads to; those
// of package backoff say whether, and when, to try again: a permanent one never, any other
// in a moment.
type Channel interface {
	Send(ctx context.Context, text string) error
}

// Notifier sends what it is told over a channel. A nil one is told in vain, so that no caller
// has to ask whether there is one.
type Notifier struct {
	channel Channel
	clean   func(string) string
	warn    func(error)
	ctx     context.Context
	cancel  context.CancelCauseFunc
	news    chan struct{}
	done    chan struct{}
	failing bool // said already

	mu     sync.Mutex
	texts  []string
	missed int // texts that did not get through
	closed bool
}

// New starts a notifier. clean makes a text fit to leave the machine: one line, nothing that is
// to be hidden. warn is called when messages begin not to get through, once until one does.
func New(channel Channel, clean func(string) string, warn func(error)) *Notifier {
	n := &Notifier{channel: channel, clean: clean, warn: warn, news: make(chan struct{}, 1), done: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	go n.work()
	return n
}

// Tell has a text sent. It never waits.
func (n *Notifier) Tell(text string) {
	if n == nil {
		return
	}
	text = n.clean(text)
	n.mu.Lock()
	switch {
	case n.closed:
	case len(n.texts) == queued:
		n.missed++
	default:
		n.texts = append(n.texts, text)
	}
	n.mu.Unlock()
	n.wake()
}

// Close sends what is waiting, as far as that goes in a few seconds.
func (n *Notifier) Close() {
	if n == nil {
		return
	}
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.wake()
	late := time.AfterFunc(flush, func() { n.cancel(errors.New("there was no time left")) })
	defer late.Stop()
	<-n.done
	n.cancel(nil)
}

func (n *Notifier) wake() {
	select {
	case n.news <- struct{}{}:
	default:
	}
}

// work sends messages until the notifier is closed and nothing waits.
func (n *Notifier) work() {
	defer close(n.done)
	limit := rate.NewLimiter(rate.Every(pace), 1)
	for {
		switch waiting, closed := n.state(); {
		case waiting:
			n.deliver(limit)
		case closed:
			return
		default:
			<-n.news
		}
	}
}

func (n *Notifier) state() (waiting, closed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.texts) > 0, n.closed
}

// take makes one message of the texts that wait, as many as fit, and of how many before them
// did not get through.
func (n *Notifier) take() (message string, texts, missed int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var b strings.Builder
	for texts < len(n.texts) && (texts == 0 || b.Len()+len(n.texts[texts]) < most) {
		if texts > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(short(n.texts[texts]))
		texts++
	}
	n.texts = n.texts[texts:]
	if n.missed > 0 {
		fmt.Fprintf(&b, "\n(did not get through before: %d)", n.missed)
	}
	return b.String(), texts, n.missed
}

func short(text string) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// deliver tries for a while to send the next message.
func (n *Notifier) deliver(limit *rate.Limiter) {
	_ = limit.Wait(n.ctx) // no time left: then the sending says so
	message, texts, missed := n.take()
	tries, why := 0, error(nil)
	_, err := backoff.Retry(n.ctx, func() (struct{}, error) {
		if tries++; tries > 1 {
			_ = limit.Wait(n.ctx)
		}
		ctx, cancel := context.WithTimeout(n.ctx, attempt)
		defer cancel()
		err := n.channel.Send(ctx, message)
		if n.ctx.Err() == nil {
			why = err
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(patience))
	n.mu.Lock()
	if err == nil {
		n.missed -= missed
	} else {
		n.missed += texts
	}
	n.mu.Unlock()
	if err != nil && !n.failing {
		if why != nil { // rather than that there was no time to try again
			err = why
		}
		n.warn(err)
	}
	n.failing = err != nil
}
