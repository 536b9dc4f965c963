package stream

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/doorward/doorward/internal/unpack"
)

// OpenSSL opens what `openssl enc` makes of a passphrase: a mark, a salt, data in
// CBC mode. Nothing in it says how the key is derived or whether it is right, so
// the usual ways are tried, and one counts if the padding is right and the
// content makes sense.
var OpenSSL = &unpack.Reader{
	Name:    "openssl-enc",
	Doc:     "files of openssl enc, with --key: AES-128, -192 and -256 and triple DES in CBC mode; keys derived by one round of MD5, SHA-1, SHA-256 or SHA-512, or by PBKDF2 of 10,000",
	Limits:  "other ciphers, modes and counts of rounds; bare keys (-K), which leave no mark",
	Checked: "openssl 3.0 enc with 14 option sets",
	Magics:  []unpack.Magic{{At: 0, Bytes: opensslMark}},
	Carve:   true,
	Open:    openOpenSSL,
}

const (
	opensslMark   = "Salted__"
	opensslHead   = 16
	opensslRounds = 10000
)

func openOpenSSL(in *unpack.Input) (*unpack.Object, error) {
	head, err := unpack.ReadFull(in.Data, 0, opensslHead)
	if err != nil || string(head[:8]) != opensslMark {
		return nil, unpack.ErrNotThis
	}
	data := unpack.Window(in.Data, opensslHead, in.Data.Size())
	if data.Size() == 0 || data.Size()%8 != 0 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "openssl enc", Size: in.Data.Size()}
	for _, pass := range in.Budget.Keys.Passphrases() {
		for _, k := range opensslKDFs {
			if !in.Budget.KeyWork(k.work) || in.Context.Err() != nil {
				break
			}
			material := k.derive(pass, head[8:])
			for _, c := range opensslCiphers {
				if out := c.try(in, data, material); out != nil {
					o.Info = map[string]string{"cipher": c.name, "key": k.name}
					o.Parts = []unpack.Part{{Data: out, Offset: -1}}
					return o, nil
				}
			}
		}
	}
	if !in.Whole {
		return nil, unpack.ErrNotThis // the text stands in programs, too
	}
	o.Gaps = []unpack.Gap{{Offset: opensslHead, Size: data.Size(), Reason: "encrypted", Note: "openssl enc: " + in.Budget.NoKey().Error()}}
	return o, nil
}

// opensslKDF derives 48 bytes, of which a cipher takes its key and then its
// vector.
type opensslKDF struct {
	name   string
	work   int64
	derive func(pass, salt []byte) []byte
}

var opensslKDFs = []opensslKDF{
	{"PBKDF2 with SHA-256", opensslRounds * 2, pbkdf(sha256.New)}, {"SHA-256", 1, once(sha256.New)}, {"MD5", 1, once(md5.New)},
	{"SHA-1", 1, once(sha1.New)}, {"SHA-512", 1, once(sha512.New)}, {"PBKDF2 with SHA-512", opensslRounds, pbkdf(sha512.New)}, {"PBKDF2 with SHA-1", opensslRounds * 3, pbkdf(sha1.New)},
}

func pbkdf(h func() hash.Hash) func(pass, salt []byte) []byte {
	return func(pass, salt []byte) []byte {
		key, err := pbkdf2.Key(h, string(pass), salt, opensslRounds, 48)
		if err != nil {
			return nil
		}
		return key
	}
}

// once is EVP_BytesToKey with one round: each hash over the one before, the
// passphrase and the salt.
func once(h func() hash.Hash) func(pass, salt []byte) []byte {
	return func(pass, salt []byte) (key []byte) {
		var last []byte
		for len(key) < 48 {
			d := h()
			d.Write(last)
			d.Write(pass)
			d.Write(salt)
			last = d.Sum(nil)
			key = append(key, last...)
		}
		return key[:48]
	}
}

type opensslCipher struct {
	name string
	key  int
	make func(key []byte) (cipher.Block, error)
}

var opensslCiphers = []opensslCipher{
	{"AES-256-CBC", 32, aes.NewCipher}, {"AES-128-CBC", 16, aes.NewCipher}, {"AES-192-CBC", 24, aes.NewCipher}, {"DES-EDE3-CBC", 24, des.NewTripleDESCipher},
}

// try decrypts; nil if what comes out can't be right.
func (c opensslCipher) try(in *unpack.Input, data unpack.Bytes, material []byte) unpack.Slice {
	if len(material) < 48 {
		return nil
	}
	block, err := c.make(material[:c.key])
	if err != nil {
		return nil
	}
	iv := material[c.key:][:block.BlockSize()]
	pad := unpack.CBCPadding(data, block, iv)
	if pad == 0 {
		return nil
	}
	head, err := unpack.ReadFull(data, 0, min(data.Size(), 4096))
	if err != nil {
		return nil
	}
	plain := make([]byte, len(head))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, head)
	if int64(len(head)) == data.Size() {
		plain = plain[:len(plain)-pad]
	}
	if !unpack.Plausible(plain) {
		return nil
	}
	out, err := in.Budget.DecryptCBC(data, block, iv)
	if err != nil {
		return nil
	}
	return out[:len(out)-pad]
}
