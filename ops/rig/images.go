package rig

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// buildService compiles the service of package service into path.
func buildService(ctx context.Context, path string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "tandem/ops/rig/service")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the service: %w: %s", err, bytes.TrimSpace(said))
	}
	return nil
}

// writeImages writes one archive for `docker load` with every version of every image.
// They share one layer that holds the binary, so loading them costs little more than
// loading one; `docker import` of each would take some ten times as long.
func writeImages(path, binary string, list []Service) error {
	layer, err := tarOf(binary)
	if err != nil {
		return fmt.Errorf("reading the service: %w", err)
	}
	sum := sha256.Sum256(layer)
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var manifest []entry
	files := map[string][]byte{"layer.tar": layer}
	for _, s := range list {
		for age, tag := range Tags {
			repo := Project + "/" + s.Name
			made := time.Date(2020, 11, 3-7*age, 9, 30, 0, 0, time.UTC)
			config, err := json.Marshal(map[string]any{
				"architecture": runtime.GOARCH, "os": "linux", "created": made,
				"config": map[string]any{
					"Entrypoint":   []string{"/service"},
					"Env":          []string{"VERSION=" + tag, "SERVICE=" + s.Name},
					"ExposedPorts": map[string]any{"8080/tcp": struct{}{}},
					"StopSignal":   "SIGTERM",
				},
				"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
				"history": []map[string]any{{"created": made, "created_by": "tandem rig"}},
			})
			if err != nil {
				return fmt.Errorf("describing an image: %w", err)
			}
			id := sha256.Sum256(config)
			name := hex.EncodeToString(id[:]) + ".json"
			files[name] = config
			tags := []string{repo + ":" + tag}
			if age == 0 {
				tags = append(tags, repo+":latest")
			}
			manifest = append(manifest, entry{Config: name, RepoTags: tags, Layers: []string{"layer.tar"}})
		}
	}
	if files["manifest.json"], err = json.Marshal(manifest); err != nil {
		return fmt.Errorf("listing the images: %w", err)
	}
	out, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the images: %w", err)
	}
	if err := writeTar(out, files); err != nil {
		out.Close()
		return fmt.Errorf("writing the images: %w", err)
	}
	return out.Close()
}

// tarOf is a layer with the one executable in it.
func tarOf(binary string) ([]byte, error) {
	code, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	err = writeTar(&layer, map[string][]byte{filepath.Base(binary): code})
	return layer.Bytes(), err
}

func writeTar(to io.Writer, files map[string][]byte) error {
	archive := tar.NewWriter(to)
	for name, data := range files {
		head := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
		if err := archive.WriteHeader(head); err != nil {
			return err
		}
		if _, err := archive.Write(data); err != nil {
			return err
		}
	}
	return archive.Close()
}
