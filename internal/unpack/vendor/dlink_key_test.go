package vendor

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func TestSHRSWithKey(t *testing.T) {
	key, iv := unpacktest.Noise(1, 16), unpacktest.Noise(2, 16)
	plain := unpacktest.MixedBytes(30_001)
	padded := append(bytes.Clone(plain), make([]byte, 15)...)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, padded)
	b := make([]byte, 0x6dc)
	copy(b, "SHRS")
	binary.BigEndian.PutUint32(b[4:], uint32(len(padded)))
	binary.BigEndian.PutUint32(b[8:], uint32(len(plain)))
	copy(b[0x0c:], iv)
	before, after := sha512.Sum512(plain), sha512.Sum512(data)
	copy(b[0x5c:], before[:])
	copy(b[0x9c:], after[:])
	b = append(b, data...)
	o := unpacktest.OpenWithKeys(t, SHRS, b, "0123456789abcdef", fmt.Sprintf("%x", key))
	if len(o.Parts) != 1 || len(o.Gaps) != 0 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), plain) {
		t.Errorf("%+v", o)
	}
	if o := unpacktest.OpenWithKeys(t, SHRS, b, "0123456789abcdef"); len(o.Parts) != 0 || len(o.Gaps) != 1 {
		t.Errorf("%+v", o)
	}
}
