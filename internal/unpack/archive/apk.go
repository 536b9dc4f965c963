package archive

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// The APK signing block lies between the last member and the directory (Android
// Open Source Project, "APK Signature Scheme v2" and "v3"): its size, pairs of
// size, id and value, its size again, a mark.
const (
	apkMark     = "APK Sig Block 42"
	apkMaxBlock = 64 << 20
	apkMaxPairs = 64
	apkPadding  = 0x42726577
)

var apkSchemes = map[uint32]string{0x7109871a: "v2", 0xf05368c0: "v3", 0x1b93ad61: "v3.1"}

// apkOther are ids that say nothing about who signed.
var apkOther = map[uint32]string{0x2b09189e: "source stamp v1", 0x6dff800d: "source stamp v2", 0x504b4453: "dependencies", 0x2146444e: "Play metadata", 0x42726577: "padding"}

// signingBlock reads the block that ends at the directory, if there is one, and
// returns where it starts; it can't start before from.
func (z *zipReader) signingBlock(from, dir int64) int64 {
	le := binary.LittleEndian
	foot, err := unpack.ReadFull(z.data, dir-24, 24)
	if err != nil || string(foot[8:]) != apkMark {
		return dir
	}
	size := le.Uint64(foot)
	if size < 24 || size > apkMaxBlock || int64(size) > dir-from-8 {
		z.note("the APK signing block has an impossible size")
		return dir
	}
	start := dir - int64(size) - 8
	b, err := unpack.ReadFull(z.data, start, int64(size)+8)
	if err != nil || le.Uint64(b) != size {
		z.note("the APK signing block states two sizes")
		return dir
	}
	b = b[8 : len(b)-24]
	for range apkMaxPairs {
		if len(b) == 0 {
			return start
		}
		if len(b) < 12 {
			break
		}
		n := le.Uint64(b)
		if n < 4 || n > uint64(len(b)-8) {
			break
		}
		z.signingPair(le.Uint32(b[8:]), b[12:8+n])
		b = b[8+n:]
	}
	z.note("the APK signing block is damaged")
	return start
}

func (z *zipReader) signingPair(id uint32, v []byte) {
	scheme := apkSchemes[id]
	if scheme == "" {
		if id == apkPadding && unpack.OnlyByte(v, 0) || len(v) == 0 {
			return
		}
		name := apkOther[id]
		if name == "" {
			name = fmt.Sprintf("0x%08x", id)
		}
		z.parts = append(z.parts, unpack.Part{Name: "signing block " + name, Data: unpack.Slice(v), Offset: -1})
		return
	}
	if !slices.Contains(z.schemes, scheme) {
		z.schemes = append(z.schemes, scheme)
	}
	ok := false
	if signers, rest, good := apkPiece(v); good && len(rest) == 0 {
		ok = z.signersOf(scheme, signers)
	}
	if !ok {
		z.note("the signature of scheme %s is damaged", scheme)
		z.parts = append(z.parts, unpack.Part{Name: "signing block " + scheme, Data: unpack.Slice(v), Offset: -1})
	}
}

// apkPiece takes a piece with its length before it.
func apkPiece(b []byte) (piece, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// signersOf lists the first certificate of each signer: the signed data have
// digests, then certificates.
func (z *zipReader) signersOf(scheme string, b []byte) bool {
	for n := 1; len(b) > 0 && n <= apkMaxPairs; n++ {
		signer, rest, ok := apkPiece(b)
		b = rest
		data, _, ok1 := apkPiece(signer)
		_, data, ok2 := apkPiece(data)
		certs, _, ok3 := apkPiece(data)
		der, _, ok4 := apkPiece(certs)
		if !ok || !ok1 || !ok2 || !ok3 || !ok4 {
			return false
		}
		text := fmt.Sprintf("%s: certificate sha256:%x", scheme, sha256.Sum256(der))
		if c, err := x509.ParseCertificate(der); err == nil {
			text = fmt.Sprintf("%s: %s, sha256:%x", scheme, c.Subject, sha256.Sum256(der))
		}
		z.signers = append(z.signers, text)
		z.parts = append(z.parts, unpack.Part{Name: fmt.Sprintf("certificate %s %d", scheme, n), Data: unpack.Slice(der), Offset: -1})
	}
	return true
}
