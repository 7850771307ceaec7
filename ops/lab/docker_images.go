package lab

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// image is an image of an engine.
type image struct {
	id      string // sha256:...
	tags    []string
	created time.Time
	size    int64
	config  obj    // Config of an inspect
	program string // name of the service that runs inside; empty: ends at once with success
}

// normal is a reference with its tag.
func normal(ref string) string {
	if i := strings.LastIndex(ref, ":"); i < 0 || strings.Contains(ref[i:], "/") {
		return ref + ":latest"
	}
	return ref
}

// image finds an image by tag, id or the beginning of an id.
func (e *engine) image(ref string) *image {
	if ref == "" {
		return nil
	}
	for _, im := range e.images {
		if slices.Contains(im.tags, normal(ref)) {
			return im
		}
	}
	for _, im := range e.images {
		if im.id == ref || len(ref) >= 4 && strings.HasPrefix(im.id, "sha256:"+strings.TrimPrefix(ref, "sha256:")) {
			return im
		}
	}
	return nil
}

func (d *docker) image() (*image, error) {
	ref := d.r.PathValue("name")
	if im := d.e.image(ref); im != nil {
		return im, nil
	}
	return nil, apiError{http.StatusNotFound, "No such image: " + normal(ref)}
}

func (d *docker) imageList() error {
	f, err := d.filters()
	if err != nil {
		return err
	}
	out := []obj{}
	for _, im := range slices.SortedFunc(maps.Values(d.e.images), func(a, b *image) int { return b.created.Compare(a.created) }) {
		labels := im.labels()
		if f.labelled(labels) && f.pass("reference", func(v string) bool {
			return slices.ContainsFunc(im.tags, func(t string) bool { repo, _, _ := strings.Cut(t, ":"); return t == v || repo == v })
		}) && f.pass("dangling", func(v string) bool { return (v == "true" || v == "1") == (len(im.tags) == 0) }) {
			tags := im.tags
			if len(tags) == 0 {
				tags = []string{"<none>:<none>"} // until 1.43; an empty list since
				if minor(d.api) >= 43 {
					tags = []string{}
				}
			}
			out = append(out, obj{
				"Id": im.id, "ParentId": "", "RepoTags": tags, "RepoDigests": []string{}, "Created": im.created.Unix(), "Size": im.size,
				"VirtualSize": im.size, "SharedSize": -1, "Labels": labels, "Containers": -1,
			})
		}
	}
	d.reply(http.StatusOK, out)
	return nil
}

func (im *image) labels() map[string]string {
	c := container{config: im.config}
	return c.labels()
}

// digests are the image's names in the registry that it was pulled from; one that was imported
// has none.
func (im *image) digests() []string {
	out := []string{}
	if im.program != "" && len(im.tags) > 0 {
		repo, _, _ := strings.Cut(im.tags[0], ":")
		sum := sha256.Sum256([]byte("manifest of " + im.id))
		out = append(out, repo+"@sha256:"+hex.EncodeToString(sum[:]))
	}
	return out
}

func (d *docker) imageInspect() error {
	im, err := d.image()
	if err != nil {
		return err
	}
	out := obj{
		"Id": im.id, "RepoTags": im.tags, "RepoDigests": im.digests(), "Parent": "", "Comment": "", "Created": stamp(im.created), "Author": "",
		"Config": im.config, "Architecture": "amd64", "Os": "linux", "Size": im.size, "DockerVersion": "",
		"GraphDriver": obj{"Name": "overlay2", "Data": obj{}}, "RootFS": obj{"Type": "layers", "Layers": []string{im.id}},
		"Metadata": obj{"LastTagTime": stamp(time.Time{})},
	}
	if minor(d.api) < 45 {
		// Gone in 1.45: what docker-compose 1.29.2 stumbles over.
		out["Container"], out["ContainerConfig"], out["VirtualSize"] = "", im.config, im.size
	}
	d.reply(http.StatusOK, out)
	return nil
}

// imageCreate imports a root file system (fromSrc=-). There is no registry: a pull
// ends as without a network.
func (d *docker) imageCreate() error {
	query := d.r.URL.Query()
	if query.Get("fromSrc") != "-" {
		ref := query.Get("fromImage")
		return apiError{http.StatusInternalServerError, fmt.Sprintf("Get %q: dial tcp: lookup registry-1.docker.io: no such host (pulling %s)", "https://registry-1.docker.io/v2/", ref)}
	}
	d.h.w.mu.Unlock()
	sum, size, err := readTar(d.r.Body)
	d.h.w.mu.Lock()
	if err != nil {
		return apiError{http.StatusInternalServerError, "Error processing tar file: " + err.Error()}
	}
	config := obj{}
	for _, change := range query["changes"] {
		if err := applyChange(config, change); err != nil {
			return err
		}
	}
	// Times and changes are part of an image's id: an import makes a new one each time.
	id := sha256.Sum256([]byte(sum + strings.Join(query["changes"], "\n") + d.h.w.newID()))
	im := &image{id: "sha256:" + hex.EncodeToString(id[:]), created: d.h.now(), size: size, config: config}
	d.e.images[im.id] = im
	if repo := query.Get("repo"); repo != "" {
		ref := repo
		if tag := query.Get("tag"); tag != "" {
			ref += ":" + tag
		}
		d.e.tag(im, normal(ref))
	}
	d.e.emit("image", "import", im.id, map[string]string{"name": im.id})
	d.log.Status = http.StatusOK
	d.w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(d.w, "{\"status\":%q}\r\n", im.id)
	return nil
}

func readTar(r io.Reader) (sum string, size int64, err error) {
	hash := sha256.New()
	t := tar.NewReader(io.TeeReader(r, hash))
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", 0, err
		}
		size += h.Size
	}
	_, err = io.Copy(hash, r)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// applyChange applies an instruction of a Dockerfile to an image's config.
func applyChange(config obj, change string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(change), " ")
	rest = strings.TrimSpace(rest)
	key, value, _ := strings.Cut(rest, "=")
	value = strings.Trim(value, `"`)
	switch strings.ToUpper(word) {
	case "CMD", "ENTRYPOINT":
		var args []any
		if json.Unmarshal([]byte(rest), &args) != nil {
			args = []any{"/bin/sh", "-c", rest}
		}
		config[map[string]string{"CMD": "Cmd", "ENTRYPOINT": "Entrypoint"}[strings.ToUpper(word)]] = args
	case "ENV":
		env, _ := config["Env"].([]any)
		config["Env"] = append(env, key+"="+value)
	case "LABEL":
		labels, _ := config["Labels"].(obj)
		if labels == nil {
			labels = obj{}
		}
		labels[strings.Trim(key, `"`)] = value
		config["Labels"] = labels
	case "WORKDIR":
		config["WorkingDir"] = rest
	case "USER":
		config["User"] = rest
	case "EXPOSE":
		config["ExposedPorts"] = obj{rest + "/tcp": obj{}}
	default:
		return apiError{http.StatusBadRequest, word + " is not a valid change command"}
	}
	return nil
}

// tag gives an image a tag, taking it from the image that had it.
func (e *engine) tag(im *image, ref string) {
	for _, other := range e.images {
		other.tags = slices.DeleteFunc(other.tags, func(t string) bool { return t == ref })
	}
	im.tags = append(im.tags, ref)
}

func (d *docker) imageTag() error {
	im, err := d.image()
	if err != nil {
		return err
	}
	query := d.r.URL.Query()
	ref := query.Get("repo")
	if tag := query.Get("tag"); tag != "" {
		ref += ":" + tag
	}
	d.e.tag(im, normal(ref))
	d.e.emit("image", "tag", im.id, map[string]string{"name": normal(ref)})
	d.reply(http.StatusCreated, nil)
	return nil
}

func (d *docker) imageRemove() error {
	im, err := d.image()
	if err != nil {
		return err
	}
	ref, force := d.r.PathValue("name"), d.flag("force")
	byTag := slices.Contains(im.tags, normal(ref))
	out := []obj{}
	if byTag && len(im.tags) > 1 {
		im.tags = slices.DeleteFunc(im.tags, func(t string) bool { return t == normal(ref) })
		d.reply(http.StatusOK, append(out, obj{"Untagged": normal(ref)}))
		return nil
	}
	short := im.id[7:19]
	for _, c := range d.e.ordered() {
		switch {
		case c.imageID != im.id:
		case c.state == "running":
			return apiError{http.StatusConflict, fmt.Sprintf("conflict: unable to remove repository reference %q (cannot be forced) - image %s is being used by running container %s", ref, short, c.id[:12])}
		case !force:
			return apiError{http.StatusConflict, fmt.Sprintf("conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s", ref, c.id[:12], short)}
		}
	}
	if !byTag && len(im.tags) > 1 && !force {
		return apiError{http.StatusConflict, fmt.Sprintf("conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories", short)}
	}
	for _, t := range im.tags {
		out = append(out, obj{"Untagged": t})
	}
	delete(d.e.images, im.id)
	d.e.emit("image", "delete", im.id, map[string]string{"name": im.id})
	d.reply(http.StatusOK, append(out, obj{"Deleted": im.id}))
	return nil
}
