package boot

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// makeTRX writes an image as Broadcom's boot loader reads it.
func makeTRX(order binary.ByteOrder, version int, parts ...[]byte) []byte {
	slots := version + 2
	b := make([]byte, 16+4*slots)
	for i, p := range parts {
		order.PutUint32(b[16+4*i:], uint32(len(b)))
		b = append(b, p...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	copy(b, "HDR0")
	order.PutUint32(b[12:], uint32(version)<<16)
	if order == binary.BigEndian {
		copy(b, "0RDH")
	}
	order.PutUint32(b[4:], uint32(len(b)))
	order.PutUint32(b[8:], ^crc32.ChecksumIEEE(b[12:]))
	return b
}

func TestTRX(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var order binary.ByteOrder = rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order")
		version := rapid.IntRange(1, 2).Draw(t, "version")
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 4, 64), 1, version+2).Draw(t, "parts")
		b := makeTRX(order, version, parts...)
		o, err := TRX.Open(unpacktest.Input(append(bytes.Clone(b), "behind"...)))
		if err != nil || o.Err != nil || o.Size != int64(len(b)) || len(o.Parts) != len(parts) {
			t.Fatalf("%+v %v", o, err)
		}
		for i, p := range o.Parts {
			if !bytes.HasPrefix(p.Data.(unpack.Slice), parts[i]) || p.Data.Size()-int64(len(parts[i])) > 3 {
				t.Fatalf("partition %d", i)
			}
		}
	})
}

func TestTRXDamage(t *testing.T) {
	b := makeTRX(binary.LittleEndian, 1, unpacktest.Noise(1, 100), unpacktest.Noise(2, 200))
	cut := b[:len(b)-20]
	o, err := TRX.Open(unpacktest.Input(cut))
	if err != nil || o.Err == nil || o.Size != int64(len(cut)) || len(o.Parts) != 2 {
		t.Errorf("truncated: %+v %v", o, err)
	}
	b[60]++
	if o, err = TRX.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
		t.Errorf("wrong data: %+v %v", o, err)
	}
	b[16] = 3 // a partition inside the header
	if _, err = TRX.Open(unpacktest.Input(b)); err == nil {
		t.Error("impossible offset: accepted")
	}
}

func TestTRXCorpus(t *testing.T) {
	o := unpacktest.Open(t, TRX, unpacktest.Corpus(t, "formats/trx.img"))
	if len(o.Parts) != 1 || string(unpacktest.PartBytes(t, o.Parts[0])[:4]) != "PK\x03\x04" || o.Size != 4096 {
		t.Errorf("%+v", o)
	}
}

func FuzzTRX(f *testing.F) {
	unpacktest.Fuzz(f, TRX, makeTRX(binary.LittleEndian, 1, []byte("abcd"), []byte("efgh")), makeTRX(binary.BigEndian, 2, []byte("abcd")))
}
