package lab

import (
	"fmt"
	"math"
	"net/http"
	"time"
)

// checkEvery is the interval of the health checks in the compose file.
const checkEvery = 10 * time.Second

// checks are the last health checks of an inspect, oldest first: the engine keeps five.
func (c *container) checks() []obj {
	log := []obj{}
	s, ok := c.behaviour()
	if !ok || c.started.IsZero() {
		return log
	}
	end := c.engine.host.now()
	if c.state != "running" {
		end = c.finished
	}
	last := int(end.Sub(c.started) / checkEvery)
	for n := max(1, last-4); n <= last; n++ {
		at, code, said := c.started.Add(time.Duration(n)*checkEvery), 0, "{\"status\":\"UP\"}"
		if s.plain {
			said = ""
		}
		if !c.ready || last-n < c.streak && c.health == "unhealthy" {
			code, said = 1, fmt.Sprintf("curl: (7) Failed to connect to localhost port %d: Connection refused", s.port)
		}
		log = append(log, obj{"Start": stamp(at), "End": stamp(at.Add(40 * time.Millisecond)), "ExitCode": code, "Output": said})
	}
	return log
}

// containerStats tells what a container has used, once.
func (d *docker) containerStats() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	stream := d.r.URL.Query().Get("stream") == "" || d.flag("stream")
	single := d.flag("one-shot") && minor(d.api) >= 41 // older versions do not know the parameter
	if stream && single {
		return apiError{http.StatusBadRequest, "cannot have stream=true and one-shot=true"}
	}
	if stream { // on purpose: a stream for each container is what a console must not ask for
		return apiError{http.StatusNotImplemented, "the lab gives single readings alone"}
	}
	beats := 2 // of the engine's collector, which reads once a second
	if single {
		beats = 1
	}
	none := obj{"name": "/" + c.name, "id": c.id, "read": stamp(time.Time{}), "preread": stamp(time.Time{})}
	if c.state != "running" {
		d.reply(http.StatusOK, none)
		return nil
	}
	before := obj{}
	for range beats {
		if beats == 2 {
			before = c.cpuStats(d.h.now())
		}
		if err := d.wait(nil, time.Second-d.h.now().Sub(d.e.started)%time.Second); err != nil {
			return err
		}
	}
	if c.state != "running" {
		d.reply(http.StatusOK, none)
		return nil
	}
	now := d.h.now()
	d.reply(http.StatusOK, obj{
		"name": "/" + c.name, "id": c.id, "read": stamp(now), "preread": stamp(time.Time{}), "num_procs": 0, "storage_stats": obj{},
		"cpu_stats": c.cpuStats(now), "precpu_stats": before, "memory_stats": c.memoryStats(now),
		"pids_stats": obj{"current": 31 + c.number, "limit": 18446744073709551615.0}, "blkio_stats": obj{"io_service_bytes_recursive": nil},
		"networks": obj{"eth0": obj{
			"rx_bytes": 4096 * c.wave(now, 0).total / 1e7, "rx_packets": 1000, "rx_errors": 0, "rx_dropped": 0,
			"tx_bytes": 8192 * c.wave(now, 0).total / 1e7, "tx_packets": 900, "tx_errors": 0, "tx_dropped": 0,
		}},
	})
	return nil
}

// wave is a load that goes up and down around a middle and never below nothing, and what it
// has added up to.
type wave struct{ now, total float64 }

// wave of a container: by its number, so that the same scenario has the same ones; nth picks
// one of several.
func (c *container) wave(at time.Time, nth uint64) wave {
	r := mix(uint64(c.number)*16 + nth)
	middle := 0.01 + float64(r%97)/400 // of a CPU
	swing := middle * (0.3 + float64(r>>8%60)/100)
	period := 17 + float64(r>>16%29) // seconds
	t, turn := at.Sub(c.started).Seconds(), 2*math.Pi/period
	startup := 0.0
	if s, ok := c.behaviour(); ok && !s.plain { // a JVM is busy at first
		const busy, lasts = 1.4, 12
		startup = busy * lasts * (1 - math.Exp(-t/lasts))
	}
	return wave{now: middle + swing*math.Sin(turn*t), total: middle*t + swing*(1-math.Cos(turn*t))/turn + startup}
}

func (c *container) cpuStats(at time.Time) obj {
	total := uint64(c.wave(at, 0).total * 1e9)
	usage := obj{"total_usage": total, "usage_in_kernelmode": total / 5, "usage_in_usermode": total - total/5}
	if c.engine.host.cgroup == 1 {
		each := []uint64{}
		for range cpus {
			each = append(each, total/cpus)
		}
		usage["percpu_usage"] = each
	}
	return obj{
		"cpu_usage": usage, "system_cpu_usage": uint64(at.Sub(c.engine.host.booted).Seconds() * cpus * 1e9), "online_cpus": cpus,
		"throttling_data": obj{"periods": 0, "throttled_periods": 0, "throttled_time": 0},
	}
}

// memoryStats has the counters of the host's cgroup version: v1 has those of the whole tree
// beside its own, v2 has one of each.
func (c *container) memoryStats(at time.Time) obj {
	heap, limit := 180<<20+float64(mix(uint64(c.number))%420)*(1<<20), c.memoryLimit()
	if s, ok := c.behaviour(); ok && s.plain {
		heap = 24 << 20
	}
	used := uint64(heap * (1 + 0.4*c.wave(at, 3).now))
	cache := uint64(float64(limit) * 0.11)
	usage := min(used+cache, limit)
	if c.engine.host.cgroup == 1 {
		return obj{"usage": usage, "max_usage": limit, "limit": limit, "stats": obj{
			"cache": cache, "rss": used, "inactive_file": 0, "total_cache": cache, "total_rss": used, "active_file": 0, "total_inactive_file": cache, "total_active_file": 0,
		}}
	}
	return obj{"usage": usage, "limit": limit, "stats": obj{
		"anon": used, "file": cache, "kernel_stack": 933888, "slab": 1540096, "inactive_anon": used, "active_anon": 8192, "inactive_file": cache, "active_file": 0,
		"unevictable": 0, "pgfault": 181731, "pgmajfault": 112, "file_mapped": 0, "file_dirty": 0, "shmem": 0, "sock": 0,
	}}
}

func (c *container) memoryLimit() uint64 {
	var n float64
	switch v := c.host["Memory"].(type) {
	case float64:
		n = v
	case int64:
		n = float64(v)
	case int:
		n = float64(v)
	}
	if n <= 0 {
		return memTotal
	}
	return uint64(n)
}
