package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/ops"
	"tandem/tui"
)

// images lists the images on the host that a service could go back to: those of the same
// repository as the one in use, latest first.
func (s *session) images(ctx context.Context, snap ops.Snapshot, side ops.Side, service string) ([]tui.ImageChoice, error) {
	here := snap.On(side).Service(service)
	if here == nil || len(here.Containers) == 0 {
		return nil, &ops.Problem{Doing: "listing the images of " + service, Side: side, Err: fmt.Errorf("no container of %s is on %s", service, side)}
	}
	engine, err := s.hosts[side].Engine(ctx)
	if err != nil {
		return nil, err
	}
	all, err := engine.Images(ctx)
	if err != nil {
		return nil, err
	}
	return imageChoices(all, here, snap.On(side.Peer()).Service(service)), nil
}

// imageChoices are the images that a service could go back to, latest first: those of the
// repository of the one in use. peer is the service on the peer, nil where it is not there.
func imageChoices(all []ops.Image, here, peer *ops.ServiceState) []tui.ImageChoice {
	repository := repositoryOf(here.Containers[0].Image)
	runs := func(s *ops.ServiceState, image ops.Image) bool {
		return s != nil && slices.ContainsFunc(s.Containers, func(c ops.Container) bool { return c.ImageID == image.ID })
	}
	var choices []tui.ImageChoice
	for _, image := range all {
		if runs(here, image) || slices.ContainsFunc(image.Tags, func(tag string) bool { return repositoryOf(tag) == repository }) {
			choices = append(choices, tui.ImageChoice{Image: image, Current: runs(here, image), PeerRuns: runs(peer, image)})
		}
	}
	slices.SortStableFunc(choices, func(a, b tui.ImageChoice) int { return b.Created.Compare(a.Created) })
	return choices
}

// repositoryOf cuts tag and digest off an image reference.
func repositoryOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// How many earlier lines a log begins with, and how many of a whole one are read of each
// container: as many as the console keeps.
const (
	logLines     = 500
	logLinesMost = 100_000
)

// logOptions are how a span of a log is asked of the engine.
func logOptions(span tui.LogSpan, now time.Time) ops.LogOptions {
	opt := ops.LogOptions{Tail: logLines, Since: span.Since, Until: span.Until, Follow: span.Until.IsZero() || now.Before(span.Until)}
	switch {
	case !span.Since.IsZero() || !span.Until.IsZero():
		opt.Tail = 0 // the engine counts from the end of the log, not of the span
	case span.All:
		opt.Tail = logLinesMost
	}
	return opt
}

// logs follows all containers of a service at once, or the latest of a job.
func (s *session) logs(ctx context.Context, snap *ops.Snapshot, side ops.Side, name string, span tui.LogSpan, line func(tui.LogLine)) error {
	here := snap.On(side).Containers(name)
	if len(here) == 0 {
		return &ops.Problem{Doing: "reading the log of " + name, Side: side, Err: fmt.Errorf("no container of %s is on %s", name, side)}
	}
	engine, err := s.hosts[side].Engine(ctx)
	if err != nil {
		return err
	}
	opt := logOptions(span, time.Now())
	var mu sync.Mutex
	tasks, ctx := errgroup.WithContext(ctx)
	for _, c := range here {
		tasks.Go(func() error {
			return engine.Logs(ctx, c.ID, opt, func(l ops.LogLine) {
				mu.Lock()
				defer mu.Unlock()
				line(tui.LogLine{LogLine: l, Container: c.Name})
			})
		})
	}
	return tasks.Wait()
}
