package steps

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

func TestExecutable(t *testing.T) {
	// The machine that runs this test, as uname -m names it; empty where it cannot run one.
	own := ""
	if runtime.GOOS == "linux" {
		own = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	}
	for name, machine := range map[string]elf.Machine{"x86_64": elf.EM_X86_64, "aarch64": elf.EM_AARCH64} {
		image, err := rootFS(name)
		if err != nil {
			t.Fatal(err)
		}
		r := tar.NewReader(image)
		head, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		program, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if head.Name != "canary" || head.Mode != 0o755 {
			t.Errorf("%s: file %s, mode %o", name, head.Name, head.Mode)
		}
		f, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f.Machine != machine || f.Type != elf.ET_EXEC || f.Entry != f.Progs[0].Vaddr+64+56 {
			t.Errorf("%s: %+v", name, f.FileHeader)
		}
		if name != own {
			continue
		}
		path := filepath.Join(t.TempDir(), "canary")
		if err := os.WriteFile(path, program, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("running it: %v %s", err, out)
		}
	}
}
