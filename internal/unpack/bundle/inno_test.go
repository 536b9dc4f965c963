package bundle

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// innoBlockOf writes a block, packed or not.
func innoBlockOf(packed []byte, flag byte) []byte {
	le := binary.LittleEndian
	var body []byte
	for i := 0; i < len(packed); i += innoChunk {
		c := packed[i:min(i+innoChunk, len(packed))]
		body = append(le.AppendUint32(body, crc32.ChecksumIEEE(c)), c...)
	}
	h := append(le.AppendUint32(nil, uint32(len(body))), flag)
	return append(append(le.AppendUint32(nil, crc32.ChecksumIEEE(h)), h...), body...)
}

func innoOf(blocks ...[]byte) []byte {
	id := make([]byte, innoID)
	copy(id, innoMagic+"5.6.1) (u)")
	return append(id, bytes.Join(blocks, nil)...)
}

func innoSample(t testing.TB) (b, plain []byte) {
	plain = append(bytes.Repeat([]byte("{\x00a\x00p\x00p\x00}\x00"), 30), unpacktest.MixedBytes(30_000)...)
	z := unpacktest.PackBlock(t, "lzma", plain)
	return innoOf(innoBlockOf(append(bytes.Clone(z[:5]), z[13:]...), 1), innoBlockOf([]byte("where files lie"), 0)), plain
}

func TestInno(t *testing.T) {
	testtool.Need(t, "xz")
	b, plain := innoSample(t)
	for name, img := range map[string][]byte{"lzma": b, "zlib": innoOf(innoBlockOf(unpacktest.PackBlock(t, "zlib", plain), 1), innoBlockOf([]byte("where files lie"), 0))} {
		o := unpacktest.OpenBytes(t, Inno, append(bytes.Clone(img), "behind"...))
		if o.Format != "inno 5.6.1" || o.Size != int64(len(img)) || len(o.Parts) != 2 || len(o.Gaps) != 1 {
			t.Fatalf("%s: %+v", name, o)
		}
		if got := unpacktest.PartBytes(t, o.Parts[0]); !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes of %d", name, len(got), len(plain))
		}
		if got := unpacktest.PartBytes(t, o.Parts[1]); string(got) != "where files lie" {
			t.Errorf("%s: %q", name, got)
		}
	}
	// Without the gap that every installer has, which would excuse anything.
	strict := &unpack.Reader{Name: "inno", Open: func(in *unpack.Input) (*unpack.Object, error) {
		o, err := Inno.Open(in)
		if o != nil {
			o.Gaps = nil
		}
		return o, err
	}}
	unpacktest.Damage(t, strict, b, unpacktest.Damaged{Rounds: 300, From: innoID})
}

func FuzzInno(f *testing.F) {
	testtool.Need(f, "xz")
	b, _ := innoSample(f)
	unpacktest.Fuzz(f, Inno, b)
}
