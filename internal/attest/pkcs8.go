package attest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" // PBKDF2 with HMAC-SHA-1 is the standard's default
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// Encrypted PKCS #8 (RFC 5958, section 3) by PBES2 (RFC 8018, section 6.2):
// PBKDF2 or scrypt (RFC 7914, section 7) makes the key, AES-CBC encrypts.

type encryptedKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct {
	KDF, Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	Length     int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParams struct {
	Salt    []byte
	N, R, P int
	Length  int `asn1:"optional"`
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9} // HMAC with it
	oidAES256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// keyLengths are those of AES in CBC mode, in bytes.
var keyLengths = map[string]int{
	"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, oidAES256.String(): 32,
}

// hashes are those of PBKDF2's HMAC.
var hashes = map[string]func() hash.Hash{
	"1.2.840.113549.2.7": sha1.New, oidSHA256.String(): sha256.New,
	"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New,
}

// What a key file may cost to open.
const (
	maxIterations = 20_000_000
	maxScrypt     = 512 << 20 // bytes of memory
)

// newIterations is what OWASP advises for PBKDF2 with SHA-256.
const newIterations = 600_000

var errEncryption = errors.New("encrypted in a way that is not read: use PBES2 with PBKDF2 or scrypt and AES-CBC (openssl pkcs8 -topk8)")

// kdf makes a key of a passphrase.
type kdf func(passphrase []byte, length int) ([]byte, error)

func decryptPKCS8(der []byte, passphrase func() ([]byte, error)) ([]byte, error) {
	var info encryptedKeyInfo
	var params pbes2Params
	if err := parse(der, &info); err != nil {
		return nil, err
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, errEncryption
	}
	if err := parse(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, err
	}
	derive, err := readKDF(params.KDF)
	if err != nil {
		return nil, err
	}
	var iv []byte
	length := keyLengths[params.Cipher.Algorithm.String()]
	if length == 0 {
		return nil, errEncryption
	}
	if err := parse(params.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	if len(iv) != aes.BlockSize || len(info.Data) == 0 || len(info.Data)%aes.BlockSize != 0 {
		return nil, errors.New("damaged: its length can't be")
	}
	secret, err := passphrase()
	if err != nil {
		return nil, err
	}
	key, err := derive(secret, length)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(info.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, info.Data)
	return unpad(out)
}

func parse(der []byte, out any) error {
	rest, err := asn1.Unmarshal(der, out)
	if err != nil || len(rest) > 0 {
		return errors.New("damaged: it is not encoded as an encrypted key is")
	}
	return nil
}

func readKDF(id pkix.AlgorithmIdentifier) (kdf, error) {
	switch {
	case id.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if err := parse(id.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		h := hashes[p.PRF.Algorithm.String()]
		switch {
		case p.PRF.Algorithm == nil:
			h = sha1.New
		case h == nil:
			return nil, errEncryption
		}
		if p.Iterations < 1 || p.Iterations > maxIterations {
			return nil, fmt.Errorf("%d iterations of PBKDF2 are not done", p.Iterations)
		}
		return func(secret []byte, length int) ([]byte, error) {
			return pbkdf2.Key(h, string(secret), p.Salt, p.Iterations, length)
		}, nil
	case id.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if err := parse(id.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		return newScrypt(p)
	}
	return nil, errEncryption
}

func newScrypt(p scryptParams) (kdf, error) {
	const most = 1 << 24
	if p.N < 2 || p.N > most || p.N&(p.N-1) != 0 || p.R < 1 || p.R > 1024 || p.P < 1 || p.P > 64 || 128*int64(p.N)*int64(p.R) > maxScrypt {
		return nil, fmt.Errorf("scrypt with N=%d, r=%d, p=%d is not done", p.N, p.R, p.P)
	}
	return func(secret []byte, length int) ([]byte, error) {
		return scrypt.Key(secret, p.Salt, p.N, p.R, p.P, length)
	}, nil
}

// unpad removes the padding of PKCS #7.
func unpad(b []byte) ([]byte, error) {
	n := int(b[len(b)-1])
	if n == 0 || n > aes.BlockSize || !bytes.Equal(b[len(b)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, ErrPassphrase
	}
	return b[:len(b)-n], nil
}

// encryptPKCS8 encrypts as openssl reads it: PBKDF2 with SHA-256, AES-256-CBC.
func encryptPKCS8(der, passphrase []byte) ([]byte, error) {
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	rand.Read(salt)
	rand.Read(iv)
	key, err := pbkdf2.Key(sha256.New, string(passphrase), salt, newIterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	n := aes.BlockSize - len(der)%aes.BlockSize
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	kdf, err := asn1.Marshal(pbkdf2Params{Salt: salt, Iterations: newIterations, PRF: pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}})
	if err != nil {
		return nil, err
	}
	ivDER, err := asn1.Marshal(iv)
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(pbes2Params{
		KDF:    pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: kdf}},
		Cipher: pkix.AlgorithmIdentifier{Algorithm: oidAES256, Parameters: asn1.RawValue{FullBytes: ivDER}},
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedKeyInfo{pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: params}}, data})
}
