package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func TestAPMOfParted(t *testing.T) {
	testtool.Need(t, "parted")
	rnd := rand.New(rand.NewSource(4))
	for n := range 4 {
		b := make([]byte, 8<<20)
		args := []string{"-s", "IMG", "unit", "s", "mklabel", "mac"}
		at := 64
		var want [][2]int
		for i := range n + 1 {
			from, size := at+rnd.Intn(100), 8+rnd.Intn(2000)
			args = append(args, "mkpart", fmt.Sprintf("part%d", i), "hfs", fmt.Sprint(from), fmt.Sprint(from+size-1))
			want = append(want, [2]int{from * 512, size * 512})
			at = from + size
		}
		b = edit(t, b, "parted", args...)
		for _, w := range want {
			copy(b[w[0]:], noise(int64(w[0]), w[1]))
		}
		o := unpacktest.OpenBytes(t, APM, b)
		if o.Size != int64(len(b)) {
			t.Errorf("%d of %d bytes", o.Size, len(b))
		}
		for i, w := range want {
			p := part(t, o, fmt.Sprintf("part%d", i))
			if p.Info["type"] != "Apple_HFS" || !bytes.Equal(unpacktest.PartBytes(t, p), b[w[0]:w[0]+w[1]]) {
				t.Errorf("%s: %v at 0x%x instead of 0x%x", p.Name, p.Info, p.Offset, w[0])
			}
		}
		if n == 3 {
			unpacktest.Damage(t, APM, b, unpacktest.Damaged{Unchecked: true, To: 4096, Rounds: 60})
		}
	}
}

// makeAPM is a map of blocks with one partition of so many blocks.
func makeAPM(block, blocks int) []byte {
	be := binary.BigEndian
	b := make([]byte, block*(3+blocks))
	copy(b, "ER")
	be.PutUint16(b[2:], uint16(block))
	for i, e := range []struct {
		name, kind string
		off, size  int
	}{{"Apple", "Apple_partition_map", 1, 2}, {"system", "Apple_HFS", 3, blocks}} {
		p := b[(i+1)*block:]
		copy(p, "PM")
		for at, v := range map[int]int{4: 2, 8: e.off, 12: e.size} {
			be.PutUint32(p[at:], uint32(v))
		}
		copy(p[16:], e.name)
		copy(p[48:], e.kind)
	}
	copy(b[3*block:], noise(1, blocks*block))
	return b
}

func TestAPMBlocks(t *testing.T) {
	for _, block := range []int{512, 2048, 4096} {
		b := makeAPM(block, 5)
		o := unpacktest.OpenBytes(t, APM, append(b, "behind"...))
		if o.Size != int64(len(b)) || !bytes.Equal(unpacktest.PartBytes(t, part(t, o, "system")), b[3*block:]) {
			t.Errorf("%d: %+v", block, o)
		}
	}
	b := makeAPM(512, 5)
	if o, err := APM.Open(unpacktest.Input(b[:2000])); err != nil || o.Err == nil {
		t.Error("cut off in silence", err)
	}
	clear(b[1024:1026])
	if o, err := APM.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
		t.Error("a damaged entry in silence", err)
	}
	if _, err := APM.Open(unpacktest.Input(noise(1, 10000))); err != unpack.ErrNotThis {
		t.Error(err)
	}
}

func FuzzAPM(f *testing.F) { unpacktest.Fuzz(f, APM, makeAPM(512, 2), makeAPM(2048, 1)) }
