package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// imageDiffers: a service runs another image on blue than on green.
func imageDiffers(v view) []ops.Finding {
	if !read(v.Blue.Engine) || !read(v.Green.Engine) {
		return nil
	}
	var differ, detail []string
	for i := range v.Blue.Services {
		blue := &v.Blue.Services[i]
		green := v.Green.Service(blue.Name)
		if green == nil || len(blue.Containers) == 0 || len(green.Containers) == 0 || slices.Equal(ids(blue), ids(green)) {
			continue
		}
		differ = append(differ, blue.Name)
		detail = append(detail, fmt.Sprintf("%s image differs: blue %s, green %s", blue.Name, version(blue, green), version(green, blue)))
	}
	if len(differ) == 0 {
		return nil
	}
	f := ops.Finding{ID: "image-differs", Severity: ops.Warn, Title: detail[0], Hint: "deploy it to the other side, or roll it back: b"}
	if len(differ) > 1 {
		f.Title, f.Detail = count(len(differ), "image")+" differ: "+names(differ), strings.Join(detail, "; ")
		f.Hint = "deploy them to the other side, or roll them back: b"
	}
	f.Do = imagesBack(v, v.deployedLast(differ), differ)
	if f.Do != nil {
		f.Hint += " on " + string(f.Do.Side)
	}
	return []ops.Finding{f}
}

// deployedLast is the side whose containers of the services were made last.
func (v *view) deployedLast(services []string) ops.Side {
	var latest time.Time
	last := ops.Blue
	for _, side := range ops.Sides {
		for _, name := range services {
			for _, c := range v.On(side).Service(name).Containers {
				if c.CreatedAt.After(latest) {
					latest, last = c.CreatedAt, side
				}
			}
		}
	}
	return last
}

func ids(s *ops.ServiceState) []string {
	var out []string
	for _, c := range s.Containers {
		out = append(out, c.ImageID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// version is the tag, or the id where the tags say nothing.
func version(s, other *ops.ServiceState) string {
	c := s.Containers[0]
	if c.Image == other.Containers[0].Image || strings.HasPrefix(c.Image, "sha256:") {
		id := strings.TrimPrefix(c.ImageID, "sha256:")
		return id[:min(12, len(id))]
	}
	// A colon before the last slash is a port of the registry.
	if i := strings.LastIndexByte(c.Image, ':'); i > strings.LastIndexByte(c.Image, '/') {
		return c.Image[i+1:]
	}
	return c.Image
}
