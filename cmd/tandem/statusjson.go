package main

import (
	"slices"

	"tandem/ops"
)

// The shape of `tandem status --json`: stable keys, times in RFC 3339 UTC, durations in
// seconds, null where something is not known. A change that is not an addition raises
// schema.
type statusDoc struct {
	Schema   int                  `json:"schema"`
	Pair     string               `json:"pair"`
	At       *string              `json:"at"`
	Balancer balancerDoc          `json:"balancer"`
	Lock     *ops.LockInfo        `json:"lock"`
	Sides    map[ops.Side]sideDoc `json:"sides"`
	Findings []ops.Finding        `json:"findings"`
}

type balancerDoc struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	SeenAt  *string  `json:"seen_at"`
	Error   *string  `json:"error"`
	Remarks []string `json:"remarks"`
}

type sideDoc struct {
	Traffic   ops.Traffic  `json:"traffic"`
	Sessions  *int         `json:"sessions"`
	Share     *float64     `json:"share"`
	Reachable bool         `json:"reachable"`
	SeenAt    *string      `json:"seen_at"`
	Error     *string      `json:"error"`
	BootID    string       `json:"boot_id"`
	UptimeS   float64      `json:"uptime_s"`
	Engine    engineDoc    `json:"engine"`
	Compose   composeDoc   `json:"compose"`
	OS        string       `json:"os"`
	Kernel    string       `json:"kernel"`
	Load1     float64      `json:"load1"`
	Memory    usageDoc     `json:"memory"`
	Disk      usageDoc     `json:"disk"`
	Reboot    bool         `json:"reboot_required"`
	Services  []serviceDoc `json:"services"`
	Jobs      []jobDoc     `json:"jobs"`
	Networks  []networkDoc `json:"networks"`
	OnlyHere  []string     `json:"only_here"`
}

type engineDoc struct {
	Running   string  `json:"running"`
	Installed string  `json:"installed"`
	API       string  `json:"api"`
	Error     *string `json:"error"`
}

type composeDoc struct {
	Version string `json:"version"`
}

type usageDoc struct {
	TotalBytes uint64 `json:"total_bytes"`
	UsedBytes  uint64 `json:"used_bytes"`
}

type serviceDoc struct {
	Name       string         `json:"name"`
	Here       bool           `json:"here"`
	Ready      bool           `json:"ready"`
	State      string         `json:"state"`
	Containers []containerDoc `json:"containers"`
}

type containerDoc struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	State     string  `json:"state"`
	Health    string  `json:"health"`
	Image     string  `json:"image"`
	ImageID   string  `json:"image_id"`
	StartedAt *string `json:"started_at"`
	Restarts  int     `json:"restarts"`
	ExitCode  int     `json:"exit_code"`
}

type jobDoc struct {
	Name    string        `json:"name"`
	Here    bool          `json:"here"`
	Running bool          `json:"running"`
	Last    *containerDoc `json:"last"`
}

type networkDoc struct {
	Name    string   `json:"name"`
	Subnets []string `json:"subnets"`
}

func statusOf(snap *ops.Snapshot) statusDoc {
	doc := statusDoc{
		Schema: 1, Pair: snap.Pair.Name, At: stamp(snap.At),
		Balancer: balancerDoc{
			Name: snap.Balancer.Name, Kind: snap.Pair.Balancer, SeenAt: stamp(snap.Balancer.Look.At),
			Error: problemText(snap.Balancer.Look.Err), Remarks: list(slices.Concat(snap.Balancer.Wants, snap.Balancer.Faults, snap.Balancer.Remarks)),
		},
		Sides: map[ops.Side]sideDoc{}, Findings: list(snap.Findings),
	}
	for _, side := range ops.Sides {
		st := snap.On(side)
		if doc.Lock == nil {
			doc.Lock = st.Lock
		}
		doc.Sides[side] = sideOf(st, snap.Balancer.On(side))
	}
	return doc
}

func sideOf(st *ops.SideState, traffic *ops.SideTraffic) sideDoc {
	word := traffic.Traffic
	if word == "" {
		word = ops.Unknown
	}
	doc := sideDoc{
		Traffic: word, Sessions: traffic.Sessions, Share: traffic.Share,
		Reachable: st.Host.Err == nil && !st.Host.At.IsZero(), SeenAt: stamp(st.Host.At), Error: problemText(st.Host.Err),
		BootID: st.Facts.BootID, UptimeS: seconds(st.Facts.Uptime),
		Engine:  engineDoc{Running: st.Version.Running, Installed: st.Facts.Installed, API: st.Version.API, Error: problemText(st.Engine.Err)},
		Compose: composeDoc{st.Facts.Compose}, OS: st.Facts.OS, Kernel: st.Facts.Kernel, Load1: st.Facts.Load1,
		Memory: usageDoc{st.Facts.MemTotal, st.Facts.MemTotal - st.Facts.MemAvailable},
		Disk:   usageDoc{st.Facts.DiskTotal, st.Facts.DiskUsed}, Reboot: st.Facts.RebootRequired,
		Services: []serviceDoc{}, Jobs: []jobDoc{}, Networks: []networkDoc{}, OnlyHere: list(st.OnlyHere),
	}
	for _, svc := range st.Services {
		s := serviceDoc{Name: svc.Name, Here: svc.Here, Ready: svc.Ready, State: svc.State, Containers: []containerDoc{}}
		for _, c := range svc.Containers {
			s.Containers = append(s.Containers, containerOf(c))
		}
		doc.Services = append(doc.Services, s)
	}
	for _, job := range st.Jobs {
		j := jobDoc{Name: job.Name, Here: job.Here, Running: job.Running}
		if job.Last != nil {
			last := containerOf(*job.Last)
			j.Last = &last
		}
		doc.Jobs = append(doc.Jobs, j)
	}
	for _, n := range st.Networks {
		doc.Networks = append(doc.Networks, networkDoc{Name: n.Name, Subnets: list(n.Subnets)})
	}
	return doc
}

func containerOf(c ops.Container) containerDoc {
	return containerDoc{
		ID: c.ID, Name: c.Name, State: c.State, Health: c.Health, Image: c.Image, ImageID: c.ImageID,
		StartedAt: stamp(c.StartedAt), Restarts: c.Restarts, ExitCode: c.ExitCode,
	}
}

func problemText(p *ops.Problem) *string {
	if p == nil {
		return nil
	}
	text := p.Error()
	return &text
}

// list makes an absent list an empty one: keys of the JSON never change type.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
