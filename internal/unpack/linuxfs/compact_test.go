package linuxfs

import (
	"bytes"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// Images of disks are mostly empty, and too large for a fuzzer. A compact one
// is a list of blocks: the number of each in four bytes, then its bytes.
const compactBlock = 4096

// compact packs what is not zero of an image; the last block gives the size.
func compact(image []byte) (packed []byte) {
	zeros := make([]byte, compactBlock)
	last := (len(image) - 1) / compactBlock
	for i := 0; i <= last; i++ {
		b := image[i*compactBlock : min((i+1)*compactBlock, len(image))]
		if i == last || !bytes.Equal(b, zeros[:len(b)]) {
			packed = le.AppendUint32(packed, uint32(i))
			packed = append(append(packed, b...), zeros[len(b):]...)
		}
	}
	return packed
}

// expand is the image of compact bytes; mend, if any, makes the checksums of a
// block right again.
func expand(packed []byte, mend func(number int64, block []byte)) unpack.Bytes {
	var list []unpack.Extent
	packed = bytes.Clone(packed)
	size := int64(0)
	seen := map[int64]bool{}
	for at := int64(0); at+4+compactBlock <= int64(len(packed)); at += 4 + compactBlock {
		n := int64(le.Uint32(packed[at:])) & 0xffff
		if seen[n] {
			continue
		}
		seen[n] = true
		if mend != nil {
			mend(n, packed[at+4:][:compactBlock])
		}
		list = append(list, unpack.Extent{Offset: n * compactBlock, Size: compactBlock, From: at + 4})
		size = max(size, (n+1)*compactBlock)
	}
	b, err := unpack.Extents(unpack.Slice(packed), list, size)
	if err != nil {
		return unpack.Slice(nil)
	}
	return b
}

// compacted is a reader of compact images.
func compacted(r *unpack.Reader, mend func(number int64, block []byte)) *unpack.Reader {
	return &unpack.Reader{Name: r.Name, Open: func(in *unpack.Input) (*unpack.Object, error) {
		packed, err := unpack.ReadAll(in.Data, 1<<30)
		if err != nil {
			return nil, err
		}
		expanded := *in
		expanded.Data = expand(packed, mend)
		o, err := r.Open(&expanded)
		if o != nil && o.Size <= expanded.Data.Size() {
			o.Size = 0
		}
		return o, err
	}}
}

// damage is unpacktest.Damage of what is not zero of an image: changes of empty
// blocks tell nothing.
func damage(t *testing.T, r *unpack.Reader, image []byte, d unpacktest.Damaged) {
	t.Helper()
	unpacktest.Damage(t, compacted(r, nil), compact(image), d)
}
