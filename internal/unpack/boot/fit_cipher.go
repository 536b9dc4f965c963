package boot

import (
	"bytes"
	"crypto/aes"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// fitKeys are the lengths of the keys by the name of the cipher
// (boot/image-cipher.c of U-Boot), in CBC mode with padding.
var fitKeys = map[string]int{"aes128": 16, "aes192": 24, "aes256": 32}

// decipher decrypts an image. The vector stands in the node, or is a key of its
// own. The size that the tree states must be that of the padding, and the
// content make sense: the hashes are those of the encrypted data.
func (f *fit) decipher(n, c *FDTNode, p *unpack.Part) {
	size := fitKeys[strings.TrimSuffix(c.str("algo"), "-cbc")]
	keys := f.in.Budget.Keys
	vectors := keys.Bytes(aes.BlockSize)
	stated := false
	if iv := c.prop("iv").bytes(); len(iv) == aes.BlockSize {
		vectors, stated = [][]byte{iv}, true
	}
	plainSize, sized := n.num("data-size-unciphered")
	for _, key := range keys.Bytes(size) {
		block, err := aes.NewCipher(key)
		if err != nil {
			continue
		}
		for _, iv := range vectors {
			if !stated && (bytes.Equal(iv, key) || others(vectors, key, iv)) {
				continue // a wrong vector spoils but the first block: it can't be told
			}
			pad := unpack.CBCPadding(p.Data, block, iv)
			if pad == 0 || sized && p.Data.Size()-int64(pad) != plainSize {
				continue
			}
			out, err := f.in.Budget.DecryptCBC(p.Data, block, iv)
			if err != nil {
				f.fail(fmt.Errorf("image %s: %w", n.name, err))
				return
			}
			if out = out[:len(out)-pad]; unpack.Plausible(out) {
				p.Data, p.Offset, p.Info["deciphered"] = out, -1, "yes"
				return
			}
			f.in.Budget.Release(out)
		}
	}
	note := fmt.Sprintf("image %s: %v", n.name, f.in.Budget.NoKey())
	f.object.Gaps = append(f.object.Gaps, unpack.Gap{Offset: max(p.Offset, 0), Size: p.Data.Size(), Reason: "encrypted", Note: note})
	p.Data = nil // what it is is known, and said
}

// others says that there are further vectors besides the key and this one.
func others(vectors [][]byte, key, iv []byte) bool {
	for _, v := range vectors {
		if !bytes.Equal(v, key) && !bytes.Equal(v, iv) {
			return true
		}
	}
	return false
}
