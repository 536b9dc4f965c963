package boot_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/boot"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// doJumps is the packer's side of the filter.
func doJumps(b []byte) {
	limit := len(b) - 5
	for at := 0; at <= limit; at++ {
		if b[at]&0xfe != 0xe8 {
			continue
		}
		v := int(int32(binary.LittleEndian.Uint32(b[at+1:])))
		if v >= -at && v < limit-at {
			v += at
		} else if v >= limit-at && v < limit {
			v -= limit
		}
		binary.LittleEndian.PutUint32(b[at+1:], uint32(v))
		at += 4
	}
}

// rawLZMA is a stream without a header, with its end mark.
func rawLZMA(t testing.TB, plain []byte) []byte {
	return unpacktest.PackWith(t, plain, "plain.lzma", "xz", "-k", "--format=raw", "--suffix=.lzma", "--lzma1=lc=2,lp=0,pb=0", "plain")
}

func TestIPXE(t *testing.T) {
	plain := unpacktest.MixedBytes(60_000)
	copy(plain[110:], "iPXE initialising devices")
	for i := 0; i < 40_000; i += 50 { // near, far and out of range
		plain[i] = 0xe8
		binary.LittleEndian.PutUint32(plain[i+1:], uint32([]int{i, -i, 70_000, 59_000, -100, -80_000, 59_994 - i}[i/50%7]))
	}
	filtered := bytes.Clone(plain)
	doJumps(filtered)
	head := append(bytes.Repeat([]byte{0x66, 0x01, 0x90}, 900), "http://ipxe.org"...)
	image := append(append(bytes.Clone(head), rawLZMA(t, filtered)...), "and what follows"...)
	o := unpacktest.OpenBytes(t, boot.IPXE, image)
	if len(o.Parts) != 3 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[1]), plain) || string(unpacktest.PartBytes(t, o.Parts[2])) != "and what follows" {
		t.Errorf("%v", o.Parts)
	}
	for _, b := range [][]byte{append(bytes.Clone(head), unpacktest.Noise(1, 60_000)...), append(bytes.Clone(head), rawLZMA(t, make([]byte, 70_000))...), unpacktest.Noise(2, 100_000)} {
		if _, err := boot.IPXE.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
			t.Error(err)
		}
	}
}

// TestIPXEReal: the programs of Debian's iPXE.
func TestIPXEReal(t *testing.T) {
	for _, f := range []struct{ deb, path string }{{"ipxe", "usr/lib/ipxe/undionly.kpxe"}, {"ipxe", "usr/lib/ipxe/ipxe.pxe"}, {"ipxe", "boot/ipxe.lkrn"}, {"ipxe-qemu", "usr/lib/ipxe/qemu/pxe-e1000.rom"}} {
		all := ""
		for path, n := range explored(t, testtool.DebFile(t, f.deb, f.path)) {
			if strings.Contains(path, "ipxe:packed") && n.Content != nil {
				b, _ := unpack.ReadAll(n.Content.Data, 4<<20)
				all += string(b)
			}
		}
		for _, want := range []string{"Press Ctrl-B for the iPXE command line", "DHCP user class", "autoboot", "#!ipxe"} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: no %q in %d bytes", f.path, want, len(all))
			}
		}
	}
}

func FuzzIPXE(f *testing.F) {
	plain := append([]byte("iPXE"), make([]byte, 3000)...)
	unpacktest.Fuzz(f, boot.IPXE, append(append(make([]byte, 3000), "http://ipxe.org"...), rawLZMA(f, plain)...))
}
