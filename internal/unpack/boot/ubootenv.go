package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// UBootEnv opens saved environments of U-Boot: a CRC-32 (of either byte
// order), a flag byte if there are two copies, then NUL-separated variables and
// padding, which the checksum covers (include/env_internal.h there). The size
// stands nowhere: it is the one over which the checksum is right.
var UBootEnv = &unpack.Reader{
	Name:    "ubootenv",
	Checked: "mkenvimage",
	Doc:     "U-Boot environments in flash, single or redundant, proved by their checksum",
	Block:   startsEnv,
	Open:    openUBootEnv,
}

// UBootDefaults opens the environment that a U-Boot binary carries for the case
// that none was saved.
var UBootDefaults = &unpack.Reader{
	Name:    "ubootdefaults",
	Checked: "boot loaders of Debian; hand-made images",
	Doc:     "default environments inside U-Boot binaries, told by their structure",
	Magics: []unpack.Magic{
		{At: 0, Bytes: "\x00.callbacks="}, {At: 0, Bytes: "\x00.flags="}, {At: 0, Bytes: "\x00bootargs="}, {At: 0, Bytes: "\x00bootcmd="}, {At: 0, Bytes: "\x00bootdelay="}, {At: 0, Bytes: "\x00baudrate="},
		{At: 0, Bytes: "\x00ramboot="}, {At: 0, Bytes: "\x00nfsboot="}, {At: 0, Bytes: "\x00arch="}, {At: 0, Bytes: "\x00ipaddr="}, {At: 0, Bytes: "\x00ethaddr="},
		// The first variable may follow other data without a NUL between.
		{At: 0, Bytes: "bootargs="}, {At: 0, Bytes: "bootcmd="},
	},
	Carve: true,
	Open:  openUBootDefaults,
}

const (
	minEnv = 256
	maxEnv = 256 << 10
)

func startsEnv(b []byte) bool {
	return len(b) > 16 && (startsVariable(b[4:]) || startsVariable(b[5:]))
}

// startsVariable says that b begins with a name and an equals sign.
func startsVariable(b []byte) bool {
	for i, c := range b[:min(len(b), 64)] {
		switch {
		case c == '=':
			return i > 0
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-', c == '#', c == '+', c == ':':
		default:
			return false
		}
	}
	return false
}

func openUBootEnv(in *unpack.Input) (*unpack.Object, error) {
	head := unpack.ReadSome(in.Data, 0, unpack.BlockSize)
	if !startsEnv(head) {
		return nil, unpack.ErrNotThis
	}
	b := unpack.ReadSome(in.Data, 0, maxEnv)
	for _, start := range []int{4, 5} {
		if !startsVariable(b[start:]) || bytes.IndexByte(b[start:], 0) < 0 {
			continue
		}
		size, order := envSize(b, start)
		if size == 0 {
			continue
		}
		vars, _ := splitEnv(b[start:size])
		o := envObject("u-boot environment", vars, int64(start))
		o.Size = int64(size)
		o.Info["checksum"] = order
		if start == 5 {
			o.Format = "u-boot environment, redundant"
			o.Info["flag"] = fmt.Sprint(b[4])
		}
		return o, nil
	}
	return nil, unpack.ErrNotThis
}

// envSize finds the size over which the checksum is right, and the byte order
// in which that is stored; 0 if there is none.
func envSize(b []byte, start int) (size int, order string) {
	le, be := binary.LittleEndian.Uint32(b), binary.BigEndian.Uint32(b)
	sum, at := uint32(0), start
	step := 64 // sizes are multiples of it, from 4 KiB on of a sector
	for size := minEnv; size <= len(b); size += step {
		if size >= 4096 {
			step = 512
		}
		sum = crc32.Update(sum, crc32.IEEETable, b[at:size])
		at = size
		switch sum {
		case le:
			return size, "little endian"
		case be:
			return size, "big endian"
		}
	}
	return 0, ""
}

// splitEnv returns the variables up to the empty one that ends them, and how
// many bytes they take; 0 if they have no end.
func splitEnv(b []byte) (vars []string, size int) {
	for size < len(b) && b[size] != 0 {
		n := bytes.IndexByte(b[size:], 0)
		if n < 0 {
			return append(vars, string(b[size:])), 0
		}
		vars = append(vars, string(b[size:size+n]))
		size += n + 1
	}
	return vars, min(size+1, len(b))
}

func openUBootDefaults(in *unpack.Input) (*unpack.Object, error) {
	b := unpack.ReadSome(in.Data, 0, maxEnv)
	start := 0
	if len(b) > 0 && b[0] == 0 {
		start = 1
	}
	vars, size := splitEnv(b[start:])
	boots := false
	for _, v := range vars {
		if !startsVariable([]byte(v)) || !unpack.IsText([]byte(v)) {
			return nil, unpack.ErrNotThis
		}
		boots = boots || strings.HasPrefix(v, "bootcmd=") || strings.HasPrefix(v, "bootdelay=")
	}
	if size == 0 || len(vars) < 3 || !boots {
		return nil, unpack.ErrNotThis
	}
	o := envObject("u-boot default environment", vars, int64(start))
	o.Size = int64(start + size)
	return o, nil
}

// envObject gives the variables as text, a line each; a line break in a value
// is written \n.
func envObject(format string, vars []string, off int64) *unpack.Object {
	info := map[string]string{"variables": fmt.Sprint(len(vars))}
	var text bytes.Buffer
	for _, v := range vars {
		text.WriteString(strings.ReplaceAll(v, "\n", `\n`) + "\n")
		switch name, value, _ := strings.Cut(v, "="); name {
		case "bootcmd", "bootargs", "bootdelay", "bootfile", "preboot", "ver", "stdin", "silent":
			info[name] = value
		}
	}
	return &unpack.Object{Format: format, Info: info, Parts: []unpack.Part{{Name: "environment", Data: unpack.Slice(text.Bytes()), Offset: off, Format: "environment"}}}
}
