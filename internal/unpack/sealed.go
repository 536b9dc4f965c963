package unpack

import (
	"bytes"
	"crypto/cipher"
	"errors"
)

// CBCPadding is the length of the padding (RFC 5652, section 6.3) at the end of
// data that are encrypted in CBC mode; 0 if the key is wrong. One wrong key in 255
// passes: it is no proof by itself.
func CBCPadding(data Bytes, block cipher.Block, iv []byte) int {
	n := int64(block.BlockSize())
	if data.Size() < n || data.Size()%n != 0 {
		return 0
	}
	last, err := ReadFull(data, data.Size()-n, n)
	if err != nil {
		return 0
	}
	before := iv
	if data.Size() > n {
		if before, err = ReadFull(data, data.Size()-2*n, n); err != nil {
			return 0
		}
	}
	plain := make([]byte, n)
	block.Decrypt(plain, last)
	for i := range plain {
		plain[i] ^= before[i]
	}
	pad := int(plain[n-1])
	if pad == 0 || pad > int(n) || !OnlyByte(plain[int(n)-pad:], byte(pad)) {
		return 0
	}
	return pad
}

// DecryptCBC decrypts data in CBC mode into memory, within the limits.
func (b *Budget) DecryptCBC(data Bytes, block cipher.Block, iv []byte) (Slice, error) {
	if data.Size()%int64(block.BlockSize()) != 0 {
		return nil, errors.New("the encrypted data are no whole blocks")
	}
	out, err := b.Room(data.Size(), data.Size())
	if err != nil {
		return nil, err
	}
	if n, err := data.ReadAt(out, 0); int64(n) < data.Size() {
		b.Release(out)
		return nil, err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, out)
	return out, nil
}

// packedHeads are what packed content begins with that would look like noise.
var packedHeads = []string{
	"\x1f\x8b\x08", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "BZh", "7z\xbc\xaf\x27\x1c", "PK\x03\x04", "\x5d\x00\x00", "hsqs", "sqsh", "\x27\x05\x19\x56",
	"\xd0\x0d\xfe\xed", "\x89LZO", "LZIP", "070701", "\x85\x19", "UBI#", "\x68\x73\x71\x73", "Rar!", "LUKS\xba\xbe", "\x78\x9c", "\x78\xda",
}

// Plausible says that bytes, decrypted with what may be the wrong key, have a
// structure that chance does not make: text, a known beginning, or uneven bytes.
func Plausible(b []byte) bool {
	head := b[:min(len(b), 4096)]
	for _, m := range packedHeads {
		if len(m) > 2 && bytes.HasPrefix(head, []byte(m)) {
			return true
		}
	}
	if len(head) < 512 {
		return len(head) >= 8 && IsText(head)
	}
	return ClassifyHead(head) != TypeData || !IsDense(head)
}
