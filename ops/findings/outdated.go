package findings

import (
	"slices"
	"strings"

	"tandem/ops"
)

// imageOutdated: the tag that a container was made from means another image by now. Whoever
// makes the container anew changes what runs.
func imageOutdated(v view) []ops.Finding {
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Engine) || s.Images == nil {
			return nil
		}
		tags := map[string]string{}
		for _, image := range s.Images {
			for _, tag := range image.Tags {
				tags[tag] = image.ID
			}
		}
		list := those(s, func(c ops.Container) bool {
			id := tags[tagged(c.Image)]
			return id != "" && c.ImageID != "" && id != c.ImageID
		})
		if len(list) == 0 {
			return nil
		}
		return []ops.Finding{{
			ID: "image-outdated", Severity: ops.Note, Side: side, Title: "made from an earlier image than the tag means now: " + names(list),
			Hint: "deploy them to finish what was begun, or tag the image that runs again",
		}}
	})
}

// tagged is an image as it was asked for, with the tag that is meant where none is written.
func tagged(image string) string {
	if strings.Contains(image, "@") || strings.HasPrefix(image, "sha256:") || strings.LastIndexByte(image, ':') > strings.LastIndexByte(image, '/') {
		return image
	}
	return image + ":latest"
}

// imagesBack is a roll back of services on a side to the images that the peer runs; nil unless
// all of them are on the host.
func imagesBack(v view, side ops.Side, services []string) *ops.Request {
	here, there := v.On(side), v.On(side.Peer())
	images := map[string]string{}
	for _, name := range services {
		wanted := ids(there.Service(name))
		if len(wanted) != 1 || !slices.ContainsFunc(here.Images, func(i ops.Image) bool { return i.ID == wanted[0] }) {
			return nil
		}
		images[name] = wanted[0]
	}
	return &ops.Request{Op: ops.OpRollback, Side: side, Images: images}
}
