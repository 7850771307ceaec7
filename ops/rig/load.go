package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Load is traffic through the real HAProxy, at a steady rate: half of the requests over
// kept connections, half over a new one each, in turn on every path that both sides
// serve, on both backends. It only ever asks the rig's own address.
type Load struct {
	cancel  context.CancelFunc
	done    sync.WaitGroup
	mu      sync.Mutex
	sums    LoadSums
	clients [2]*http.Client
}

// LoadSums is what a load saw.
type LoadSums struct {
	Begin, End time.Time
	OK         map[string]int       // answered requests, by the side that answered
	Last       map[string]time.Time // last answer, by side
	Failures   []Failure            // every one, up to maxFailures
	Failed     int
	Late       int // requests not sent because maxFlying were still open
}

// Failure is one request without a good answer.
type Failure struct {
	At        time.Time // when it was sent
	Path      string
	Kept      bool // over a kept connection
	Reason    string
	LastedFor time.Duration
}

func (f Failure) String() string {
	return fmt.Sprintf("%s %s kept=%t after %s: %s", f.At.UTC().Format("15:04:05.000"), f.Path, f.Kept, f.LastedFor.Round(time.Millisecond), f.Reason)
}

const (
	maxRate     = 200 // requests a second: this is traffic, not a stress test
	maxFlying   = 64
	maxFailures = 10_000
)

// Load starts traffic of so many requests a second (at most 200), until Stop or the end
// of ctx.
func (r *Rig) Load(ctx context.Context, perSecond int) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{cancel: cancel, sums: LoadSums{Begin: time.Now(), OK: map[string]int{}, Last: map[string]time.Time{}}}
	for kept := range l.clients {
		l.clients[kept] = &http.Client{
			Timeout:   20 * time.Second,
			Transport: &http.Transport{DisableKeepAlives: kept == 0, MaxIdleConnsPerHost: maxFlying, IdleConnTimeout: 5 * time.Second},
		}
	}
	paths := []string{"/"}
	for _, s := range r.Services {
		if s.Only == "" && !s.Job && s.Name != "apache" {
			paths = append(paths, "/"+s.Name+"/", "/api/"+s.Name+"/")
		}
	}
	l.done.Go(func() { l.send(ctx, r.URL(), paths, min(max(perSecond, 1), maxRate)) })
	return l
}

// send sends at the rate, however long the answers take: a load that waits for answers
// would be quiet exactly while something is wrong.
func (l *Load) send(ctx context.Context, url string, paths []string, perSecond int) {
	beat := time.NewTicker(time.Second / time.Duration(perSecond))
	defer beat.Stop()
	flying := make(chan struct{}, maxFlying)
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		select {
		case flying <- struct{}{}:
			l.done.Go(func() {
				l.ask(url, paths[turn/2%len(paths)], turn%2)
				<-flying
			})
		default:
			l.mu.Lock()
			l.sums.Late++
			l.mu.Unlock()
		}
	}
}

// ask does not take the load's context: what is under way at Stop still has to be
// answered, or it counts.
func (l *Load) ask(url, path string, kept int) {
	begin := time.Now()
	side, err := func() (string, error) {
		answer, err := l.clients[kept].Get(url + path)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)); err != nil {
			return "", fmt.Errorf("reading the answer: %w", err)
		}
		if answer.StatusCode != http.StatusOK {
			return "", errors.New(answer.Status)
		}
		return answer.Header.Get("X-Tandem-Side"), nil
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.sums.OK[side]++
		l.sums.Last[side] = time.Now()
		return
	}
	l.sums.Failed++
	if len(l.sums.Failures) < maxFailures {
		l.sums.Failures = append(l.sums.Failures, Failure{At: begin, Path: path, Kept: kept == 1, Reason: err.Error(), LastedFor: time.Since(begin)})
	}
}

// Sums is what was seen so far.
func (l *Load) Sums() LoadSums {
	l.mu.Lock()
	defer l.mu.Unlock()
	sums := l.sums
	sums.End = time.Now()
	sums.OK, sums.Last = maps.Clone(sums.OK), maps.Clone(sums.Last)
	sums.Failures = append([]Failure(nil), sums.Failures...)
	return sums
}

// Stop ends the traffic, waits for the answers still due, and returns the sums.
func (l *Load) Stop() LoadSums {
	l.cancel()
	l.done.Wait()
	for _, client := range l.clients {
		client.CloseIdleConnections()
	}
	return l.Sums()
}
