package main

import (
	"fmt"
	"io"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"tandem/ops"
)

// writeMetrics writes a snapshot in the text format of Prometheus. What is not known counts as
// it does everywhere: not serving, not ready.
func writeMetrics(w io.Writer, snap *ops.Snapshot) error {
	pair := [2]string{"pair", snap.Pair.Name}
	looked := gauge("tandem_check_timestamp_seconds", "When the pair was looked at, in seconds since 1970.")
	looked.add(float64(snap.At.UnixMilli())/1000, pair)
	readable := gauge("tandem_readable", "Whether a part of the pair could be read: a side's host, its engine, the balancer.")
	readable.add(truth(snap.Balancer.Look.Err == nil), pair, [2]string{"part", "balancer"}, [2]string{"side", "pair"})
	serving := gauge("tandem_side_in_service", "Whether the side gets traffic from the balancer.")
	ready := gauge("tandem_service_ready", "Whether a service that belongs on the side is ready there.")
	for _, side := range ops.Sides {
		st, on := snap.On(side), [2]string{"side", string(side)}
		readable.add(truth(st.Host.Err == nil), pair, [2]string{"part", "host"}, on)
		readable.add(truth(st.Engine.Err == nil), pair, [2]string{"part", "engine"}, on)
		serving.add(truth(snap.Balancer.Look.Err == nil && snap.Balancer.On(side).Traffic == ops.InService), pair, on)
		for _, service := range st.Services {
			if service.Here {
				ready.add(truth(st.Engine.Err == nil && service.Ready), pair, on, [2]string{"service", service.Name})
			}
		}
	}
	all := []*family{looked, readable, serving, ready, countFindings(snap, pair)}
	for _, f := range all {
		if len(f.Metric) == 0 {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(w, f.MetricFamily); err != nil {
			return fmt.Errorf("writing the metrics: %w", err)
		}
	}
	return nil
}

// countFindings has one metric for each kind of finding there is: their titles would make a new
// one of every service and time.
func countFindings(snap *ops.Snapshot, pair [2]string) *family {
	counts := gauge("tandem_finding", "How many findings of this kind there are; none: no metric.")
	type kind struct {
		id       string
		side     ops.Side
		severity ops.Severity
	}
	var kinds []kind
	n := map[kind]int{}
	for _, f := range snap.Findings {
		k := kind{f.ID, f.Side, f.Severity}
		if n[k]++; !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	for _, k := range kinds {
		counts.add(float64(n[k]), pair, [2]string{"id", k.id}, [2]string{"side", sideWord(k.side)}, [2]string{"severity", string(k.severity)})
	}
	return counts
}

// family is a metric with all its values.
type family struct{ *dto.MetricFamily }

func gauge(name, help string) *family {
	return &family{&dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum()}}
}

func (f *family) add(value float64, labels ...[2]string) {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: &value}}
	for _, label := range labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: &label[0], Value: &label[1]})
	}
	f.Metric = append(f.Metric, m)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
