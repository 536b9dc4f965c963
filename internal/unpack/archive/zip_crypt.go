package archive

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// Encryption of members: PKWARE's first one (APPNOTE 6.1) and WinZip's AES
// (https://www.winzip.com/en/support/aes-encryption/).
const (
	zipAES       = 99 // the method that stands for it
	zipStrong    = 0x40
	zipCryptHead = 12
	zipAESRounds = 1000
	zipAESCode   = 10
)

// decrypted is a member's packed content. Each key is tried; what proves it is
// the content's checksum, for AES its authentication code. What it takes is
// decoded once more when it is read.
func (m *zipMember) decrypted(packed unpack.Bytes, budget *unpack.Budget) (unpack.Bytes, error) {
	switch {
	case m.flags&zipStrong != 0 || m.method == zipAES:
		return nil, fmt.Errorf("%w in a way that is not read", unpack.ErrEncrypted)
	case len(budget.Keys) == 0:
		return nil, budget.NoKey()
	case m.aes > 0:
		return m.decryptAES(packed, budget)
	}
	for _, pass := range budget.Keys.Passphrases() {
		plain := m.decryptOld(packed, pass)
		if plain == nil {
			continue
		}
		// One byte or two of the head are no proof: the content must be right.
		if ok, err := m.proved(plain, budget); err != nil {
			return nil, err
		} else if ok {
			return plain, nil
		}
	}
	return nil, budget.NoKey()
}

// proved says that packed content unpacks to what the checksum says.
func (m *zipMember) proved(packed unpack.Bytes, budget *unpack.Budget) (bool, error) {
	if m.method != 0 && zipDecoders[m.method] == nil {
		return false, fmt.Errorf("%w compression method %d", unpack.ErrUnsupported, m.method)
	}
	if m.unpacked > max(unpack.RatioFree, 2000*m.packed) {
		return false, unpack.ErrLimit
	}
	if err := budget.AddBytes(m.packed); err != nil {
		return false, err
	}
	if m.unpacked == 0 {
		return packed.Size() == 0 || m.method != 0, nil
	}
	sum, size := uint32(0), int64(0)
	err := unpack.Chunks(m.content(packed), 0, m.unpacked, func(p []byte) {
		sum = crc32.Update(sum, crc32.IEEETable, p)
		size += int64(len(p))
	})
	return err == nil && size == m.unpacked && sum == m.crc, nil
}

// zipKeys are the three of PKWARE's first encryption.
type zipKeys [3]uint32

func (k *zipKeys) update(b byte) {
	k[0] = crc32.IEEETable[byte(k[0])^b] ^ k[0]>>8
	k[1] = (k[1]+k[0]&0xff)*134775813 + 1
	k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
}

func (k *zipKeys) decrypt(b byte) byte {
	t := uint16(k[2]) | 2
	b ^= byte(uint32(t) * uint32(t^1) >> 8)
	k.update(b)
	return b
}

// decryptOld returns a reader of what a passphrase makes of a member; nil if its
// head is wrong.
func (m *zipMember) decryptOld(packed unpack.Bytes, pass []byte) unpack.Bytes {
	start := zipKeys{0x12345678, 0x23456789, 0x34567890}
	for _, b := range pass {
		start.update(b)
	}
	head, err := unpack.ReadFull(packed, 0, zipCryptHead)
	if err != nil {
		return nil
	}
	last := byte(0)
	for _, b := range head {
		last = start.decrypt(b)
	}
	// The checksum's highest byte, or the time's if the sum came later.
	if last != byte(m.crc>>24) && m.flags&zipDescriptor == 0 {
		return nil
	}
	body := unpack.Window(packed, zipCryptHead, packed.Size())
	return &packedFile{size: body.Size(), open: func() (io.Reader, error) {
		keys := start
		return &zipStream{r: io.NewSectionReader(body, 0, body.Size()), keys: &keys}, nil
	}}
}

type zipStream struct {
	r    io.Reader
	keys *zipKeys
}

func (s *zipStream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for i := range p[:n] {
		p[i] = s.keys.decrypt(p[i])
	}
	return n, err
}

// decryptAES tries the keys: two bytes of the derived key tell most wrong ones,
// the code behind the content proves the right one.
func (m *zipMember) decryptAES(packed unpack.Bytes, budget *unpack.Budget) (unpack.Bytes, error) {
	if m.aes > 3 || packed.Size() < int64(4+4*m.aes)+2+zipAESCode {
		return nil, fmt.Errorf("%w with AES of strength %d", unpack.ErrEncrypted, m.aes)
	}
	salt, size := int(4+4*m.aes), int(8+8*m.aes)
	head, err := unpack.ReadFull(packed, 0, int64(salt)+2)
	if err != nil {
		return nil, err
	}
	body := unpack.Window(packed, int64(salt)+2, packed.Size()-int64(salt)-2-zipAESCode)
	code, err := unpack.ReadFull(packed, packed.Size()-zipAESCode, zipAESCode)
	if err != nil {
		return nil, err
	}
	for _, pass := range budget.Keys.Passphrases() {
		if !budget.KeyWork(zipAESRounds * 4) {
			return nil, fmt.Errorf("%w: too many keys were tried", unpack.ErrEncrypted)
		}
		key, err := pbkdf2.Key(sha1.New, string(pass), head[:salt], zipAESRounds, 2*size+2)
		if err != nil || !bytes.Equal(key[2*size:], head[salt:]) {
			continue
		}
		mac := hmac.New(sha1.New, key[size:2*size])
		if err := unpack.Chunks(body, 0, body.Size(), func(p []byte) { mac.Write(p) }); err != nil {
			return nil, err
		}
		if !bytes.Equal(mac.Sum(nil)[:zipAESCode], code) {
			continue
		}
		block, err := aes.NewCipher(key[:size])
		if err != nil {
			return nil, err
		}
		return m.aesContent(body, block), nil
	}
	return nil, budget.NoKey()
}

// aesContent decrypts in counter mode, whose counter begins at one and is little
// endian: any place can be read.
func (m *zipMember) aesContent(body unpack.Bytes, block cipher.Block) unpack.Bytes {
	if m.aesVersion == 2 {
		m.noSum = true // AE-2 has no checksum: the code stands for it
	}
	return unpack.Mapped([]unpack.Extent{{Offset: 0, Size: body.Size()}}, body.Size(), func(_ unpack.Extent, p []byte, at int64) (int, error) {
		n, err := body.ReadAt(p, at)
		var counter, pad [16]byte
		for i := range p[:n] {
			if in := (at + int64(i)) % 16; in == 0 || i == 0 {
				binary.LittleEndian.PutUint64(counter[:], uint64(at+int64(i))/16+1)
				block.Encrypt(pad[:], counter[:])
			}
			p[i] ^= pad[(at+int64(i))%16]
		}
		if n == len(p) {
			err = nil
		}
		return n, err
	})
}
