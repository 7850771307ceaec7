package steps

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// The code of a program that ends at once with status 0: exit(0) as a Linux system call.
// Sources: the x86-64 psABI (call number in rax, 60 is exit) and the kernel's generic call
// table for AArch64 (number in x8, 93 is exit).
var exitCode = map[string]struct {
	machine elf.Machine
	code    []byte
}{
	"x86_64": {elf.EM_X86_64, []byte{
		0x31, 0xff, // xor edi, edi
		0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60
		0x0f, 0x05, // syscall
	}},
	"aarch64": {elf.EM_AARCH64, []byte{
		0x00, 0x00, 0x80, 0xd2, // mov x0, #0
		0xa8, 0x0b, 0x80, 0xd2, // mov x8, #93
		0x01, 0x00, 0x00, 0xd4, // svc #0
	}},
}

// executable is a static ELF program that exits with 0, for a machine as `uname -m` names
// it. Layout by the ELF-64 object file format, version 1.5: file header, one program
// header, code.
func executable(machine string) ([]byte, error) {
	m, ok := exitCode[machine]
	if !ok {
		return nil, fmt.Errorf("no canary for machine %q: x86_64 and aarch64 are known", machine)
	}
	const (
		base    = 0x400000
		headers = 64 + 56
	)
	size := uint64(headers + len(m.code))
	var b bytes.Buffer
	head := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(m.machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	prog := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x10000,
	}
	for _, part := range []any{head, prog, m.code} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			return nil, fmt.Errorf("writing the canary's program: %w", err)
		}
	}
	return b.Bytes(), nil
}

// rootFS is the whole file system of the canary's image: one program.
func rootFS(machine string) (*bytes.Buffer, error) {
	program, err := executable(machine)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "canary", Mode: 0o755, Size: int64(len(program)), Format: tar.FormatUSTAR}); err != nil {
		return nil, fmt.Errorf("writing the canary's image: %w", err)
	}
	if _, err := w.Write(program); err != nil {
		return nil, fmt.Errorf("writing the canary's image: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("writing the canary's image: %w", err)
	}
	return &b, nil
}
