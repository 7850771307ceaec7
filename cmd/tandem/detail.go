package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

// atOnce is how many questions about containers a host gets at the same time.
const atOnce = 4

// each asks about containers of a side, a few at a time, and keeps the order. Those that are gone
// are left out; with an error come the answers that there are.
func each[T any](ids []string, ask func(id string) (T, error)) ([]T, error) {
	answers, errs := make([]T, len(ids)), make([]error, len(ids))
	var tasks errgroup.Group
	tasks.SetLimit(atOnce)
	for i, id := range ids {
		tasks.Go(func() error {
			answers[i], errs[i] = ask(id)
			return nil
		})
	}
	tasks.Wait()
	var list []T
	var first error
	for i, err := range errs {
		switch {
		case err == nil:
			list = append(list, answers[i])
		case first == nil && !errors.Is(err, fs.ErrNotExist):
			first = err
		}
	}
	return list, first
}

// Inspect reads the details of a service's containers.
func (b *backend) Inspect(ctx context.Context, side ops.Side, service string) ([]ops.Detail, error) {
	snap := b.Snapshot()
	var ids []string
	for _, c := range snap.On(side).Containers(service) {
		ids = append(ids, c.ID)
	}
	if len(ids) == 0 {
		return nil, &ops.Problem{Doing: "reading the details of " + service, Side: side, Err: fmt.Errorf("no container of %s is on %s", service, side)}
	}
	return each(ids, func(id string) (ops.Detail, error) { return b.s.hosts[side].Detail(ctx, id) })
}

// Sample takes one reading of what containers have used.
func (b *backend) Sample(ctx context.Context, side ops.Side, ids []string) ([]ops.Sample, error) {
	return each(ids, func(id string) (ops.Sample, error) { return b.s.hosts[side].Sample(ctx, id) })
}
