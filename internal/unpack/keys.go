package unpack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
)

// Key is what the user gave to open encrypted parts: the content of a file. It
// never leaves the process: not into reports, caches or errors.
type Key struct {
	file []byte
	text []byte // as a passphrase: without the end of the line
	bin  []byte // from hex digits or PEM; nil if it is neither
}

// maxKey is how long a key file may be.
const maxKey = 1 << 20

// NewKey takes the content of a key file: hex digits (blanks, colons and 0x are
// left out), PEM, a passphrase in one line, or any bytes.
func NewKey(file []byte) (Key, error) {
	if len(file) == 0 || len(file) > maxKey {
		return Key{}, fmt.Errorf("a key has 1 to %d bytes, this one has %d", maxKey, len(file))
	}
	k := Key{file: file, text: bytes.TrimRight(file, "\r\n")}
	if block, _ := pem.Decode(file); block != nil {
		k.bin = block.Bytes
		return k, nil
	}
	digits := strings.NewReplacer(" ", "", ":", "", "\n", "", "\r", "", "\t", "", "0x", "").Replace(string(file))
	if b, err := hex.DecodeString(digits); err == nil && len(b) > 0 {
		k.bin = b
	}
	return k, nil
}

// Passphrases are the forms in which the key may be a passphrase, likeliest
// first.
func (k Key) Passphrases() [][]byte {
	list := [][]byte{k.text}
	if !bytes.Equal(k.file, k.text) {
		list = append(list, k.file)
	}
	if k.bin != nil {
		list = append(list, k.bin)
	}
	return list
}

// Bytes are the forms in which the key is a raw one of n bytes.
func (k Key) Bytes(n int) [][]byte {
	var list [][]byte
	for _, b := range [][]byte{k.bin, k.file, k.text} {
		if len(b) == n && (len(list) == 0 || !bytes.Equal(list[0], b)) {
			list = append(list, b)
		}
	}
	return list
}

// Digest stands for the key where it must be told from others.
func (k Key) Digest() string {
	sum := sha256.Sum256(append([]byte("doorward key\x00"), k.file...))
	return hex.EncodeToString(sum[:])
}

// String keeps keys out of what is printed.
func (Key) String() string { return "key" }

// GoString does the same.
func (Key) GoString() string { return "key" }

// Keys are the user's.
type Keys []Key

// Passphrases are those of all keys.
func (list Keys) Passphrases() (all [][]byte) {
	for _, k := range list {
		all = append(all, k.Passphrases()...)
	}
	return all
}

// Bytes are all that are raw ones of n bytes.
func (list Keys) Bytes(n int) (all [][]byte) {
	for _, k := range list {
		all = append(all, k.Bytes(n)...)
	}
	return all
}

// NoKey says that something is encrypted in a way that a key would open; it
// wraps ErrEncrypted.
func (b *Budget) NoKey() error {
	switch len(b.Keys) {
	case 0:
		return fmt.Errorf("%w; give its key with --key", ErrEncrypted)
	case 1:
		return fmt.Errorf("%w; the key that was given does not open it", ErrEncrypted)
	}
	return fmt.Errorf("%w; none of the %d keys that were given opens it", ErrEncrypted, len(b.Keys))
}

// KeyWork counts a try of a key that is made to be slow, against a bound for the
// whole artifact; false if it is used up.
func (b *Budget) KeyWork(steps int64) bool { return b.tries.Add(steps) <= maxKeyWork }

// maxKeyWork is the work on slow keys, in rounds of a hash: minutes at most.
const maxKeyWork = 2_000_000_000
