package boot

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

var boards = map[string]string{
	"qemu_arm": "arm", "qemu_arm64": "aarch64", "qemu-riscv64": "riscv", "qemu-riscv64_smode": "riscv", "qemu-ppce500": "powerpc",
	"maltael": "mips-le", "malta64el": "mips-le", "qemu-x86": "x86", "qemu-x86_64": "x86",
}

func uboot(t testing.TB, board string) []byte {
	if testing.Short() {
		t.Skip("fetches a package")
	}
	return testtool.DebFile(t, "u-boot-qemu", "usr/lib/u-boot/"+board+"/u-boot.bin")
}

func TestBootLoaderReal(t *testing.T) {
	for board, arch := range boards {
		b := uboot(t, board)
		o := unpacktest.OpenBytes(t, BootLoader, b)
		if o.Size != int64(len(b)) || o.Info["loader"] != "U-Boot" || o.Info["architecture"] != arch || !strings.HasPrefix(o.Info["version"], "2023.01") || o.Info["built"] == "" {
			t.Errorf("%s: %d of %d bytes, %v", board, o.Size, len(b), o.Info)
		}
		res, err := unpack.Explore(context.Background(), board, unpack.Slice(b), unpack.Options{Readers: slices.Concat(List, Last)})
		if err != nil {
			t.Fatal(err)
		}
		env := false
		var inside []*unpack.Node
		for _, n := range res.Root.Content.Children {
			inside = append(append(inside, n), n.Content.Children...)
		}
		for _, n := range inside {
			env = env || n.Content.Reader == "ubootdefaults"
			if len(n.Content.Gaps) > 0 {
				t.Errorf("%s: %s: %v", board, n.Step, n.Content.Gaps)
			}
		}
		if !env && board != "malta64el" && board != "maltael" {
			t.Errorf("%s: no default environment", board)
		}
	}
	o := unpacktest.OpenBytes(t, BootLoader, testtool.DebFile(t, "opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin"))
	if o.Info["loader"] != "OpenSBI" || o.Info["version"] != "" {
		t.Error(o.Info)
	}
}

// TestBootLoaderInFlash finds a boot loader at the start of flash and one behind
// something else, and hides nothing that follows.
func TestBootLoaderInFlash(t *testing.T) {
	for _, board := range []string{"qemu_arm", "qemu_arm64", "maltael"} {
		b := uboot(t, board)
		flash := bytes.Repeat([]byte{0xff}, 4<<20)
		copy(flash, b)
		copy(flash[0x100000:], makeTRX(binary.LittleEndian, 1, unpacktest.Noise(3, 5000)))
		copy(flash[0x180000:], b)
		copy(flash[0x300000:], makeUImage(uimageMagic, unpacktest.Noise(4, 5000)))
		res, err := unpack.Explore(context.Background(), "flash", unpack.Slice(flash), unpack.Options{Readers: slices.Concat(List, Last)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range res.Root.Content.Children {
			got = append(got, n.Step)
			if len(n.Content.Gaps) > 0 && strings.HasPrefix(n.Step, "bootloader") {
				t.Error(n.Content.Gaps)
			}
		}
		if want := []string{"bootloader@0x0", "trx@0x100000", "bootloader@0x180000", "uimage@0x300000"}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, expected %v", board, got, want)
		}
	}
}

func TestBootLoaderLeavesAlone(t *testing.T) {
	kernel := []byte("Linux version 4.4.60 (a@b) (gcc) #1\x00Kernel panic - not syncing: %s\x00")
	code := uboot(t, "qemu_arm")
	i := bytes.Index(code, []byte("U-Boot 2023"))
	without := bytes.Replace(code, []byte("U-Boot 2023"), []byte("V-Boot 2023"), -1)
	for name, b := range map[string][]byte{
		"a kernel":      append(bytes.Clone(code), kernel...),
		"another":       without,
		"text":          []byte(strings.Repeat("U-Boot 2023.01 (Jun 22 2026 - 08:38:07 +0000)\n", 40)),
		"noise":         append(unpacktest.Noise(7, 70000), code[i:i+100]...),
		"a banner only": code[i : i+100],
	} {
		if o, err := BootLoader.Open(unpacktest.Input(b)); err == nil {
			t.Errorf("%s: %v", name, o.Info)
		}
	}
}

func FuzzBootLoader(f *testing.F) {
	b := uboot(f, "maltael")
	i := bytes.Index(b, []byte("U-Boot 2023"))
	unpacktest.Fuzz(f, BootLoader, append(bytes.Clone(b[:40000]), b[i:i+4000]...))
}
