package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Algorithms of keys.
const (
	Ed25519   = "ed25519"
	ECDSAP256 = "ecdsa-p256"
)

// PublicKey is a key that checks signatures: Ed25519, or ECDSA on P-256.
type PublicKey struct {
	Algorithm   string
	Fingerprint string // sha256:HEX of the SubjectPublicKeyInfo
	key         crypto.PublicKey
	der         []byte // SubjectPublicKeyInfo
}

// PrivateKey is a key that signs.
type PrivateKey struct {
	*PublicKey
	signer crypto.Signer
}

const (
	pemPublic    = "PUBLIC KEY"
	pemPrivate   = "PRIVATE KEY"
	pemEncrypted = "ENCRYPTED PRIVATE KEY"
	pemEC        = "EC PRIVATE KEY"
)

// pemSigstore are what cosign calls its own format, today and formerly.
var pemSigstore = []string{"ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"}

// maxKey is the size up to which a key file is read, in bytes.
const maxKey = 1 << 20

// ErrPassphrase says that a passphrase does not open a key.
var ErrPassphrase = errors.New("the passphrase does not open the key")

// ReadPublicKey reads a public key in PEM: a SubjectPublicKeyInfo, as openssl
// and cosign write it.
func ReadPublicKey(text []byte) (*PublicKey, error) {
	block, err := keyBlock(text, pemPublic)
	if err != nil {
		return nil, err
	}
	return parsePublic(block.Bytes)
}

func keyBlock(text []byte, types ...string) (*pem.Block, error) {
	if len(text) > maxKey {
		return nil, errors.New("too large for a key")
	}
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil:
			return nil, errors.New("no key in PEM (-----BEGIN ...)")
		case block.Type == "EC PARAMETERS": // openssl writes it before the key
		case slices.Contains(types, block.Type):
			return block, nil
		case block.Type == pemPublic:
			return nil, errors.New("a public key; the private one is needed here")
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && slices.Contains(types, pemPublic):
			return nil, errors.New("a private key; the public one is needed here")
		default:
			return nil, fmt.Errorf("%.60q is no key that is read: give Ed25519 or ECDSA P-256 in PEM", block.Type)
		}
	}
}

func parsePublic(der []byte) (*PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("not a public key: %w", err)
	}
	return newPublic(key)
}

func newPublic(key crypto.PublicKey) (*PublicKey, error) {
	out := &PublicKey{key: key}
	switch k := key.(type) {
	case ed25519.PublicKey:
		out.Algorithm = Ed25519
	case *ecdsa.PublicKey:
		out.Algorithm = ECDSAP256
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("an ECDSA key on %s: only P-256 is read", k.Curve.Params().Name)
		}
	default:
		return nil, errors.New("neither an Ed25519 nor an ECDSA key")
	}
	var err error
	if out.der, err = x509.MarshalPKIXPublicKey(key); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(out.der)
	out.Fingerprint = "sha256:" + hex.EncodeToString(sum[:])
	return out, nil
}

// PEM writes the key as ReadPublicKey reads it.
func (k *PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: k.der})
}

// verify checks a signature over a message.
func (k *PublicKey) verify(message, sig []byte) bool {
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(key, sum[:], sig)
	}
	return false
}

// Generate makes a new key.
func Generate(algorithm string) (*PrivateKey, error) {
	switch algorithm {
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return newPrivate(key)
	case ECDSAP256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return newPrivate(key)
	}
	return nil, fmt.Errorf("there is no algorithm %q: %s or %s", algorithm, Ed25519, ECDSAP256)
}

func newPrivate(key any) (*PrivateKey, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("neither an Ed25519 nor an ECDSA key")
	}
	public, err := newPublic(signer.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{public, signer}, nil
}

// ReadPrivateKey reads a private key in PEM: PKCS #8, plain or encrypted
// (RFC 5208, RFC 8018), a SEC 1 key of openssl, or one of cosign. passphrase is
// called if the key needs one.
func ReadPrivateKey(text []byte, passphrase func() ([]byte, error)) (*PrivateKey, error) {
	block, err := keyBlock(text, append([]string{pemPrivate, pemEncrypted, pemEC}, pemSigstore...)...)
	if err != nil {
		return nil, err
	}
	der := block.Bytes
	switch {
	case block.Type == pemEC && block.Headers["DEK-Info"] != "":
		return nil, errors.New("encrypted in a way that is no longer safe: convert it with openssl pkcs8 -topk8")
	case block.Type == pemEC:
		key, err := x509.ParseECPrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("not an EC key: %w", err)
		}
		return newPrivate(key)
	case block.Type == pemEncrypted:
		der, err = decryptPKCS8(der, passphrase)
	case block.Type != pemPrivate:
		der, err = decryptSigstore(der, passphrase)
	}
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	switch {
	case err != nil && block.Type != pemPrivate:
		return nil, ErrPassphrase
	case err != nil:
		return nil, fmt.Errorf("not a private key in PKCS #8: %w", err)
	}
	return newPrivate(key)
}

// PEM writes the key as PKCS #8, encrypted if there is a passphrase.
func (k *PrivateKey) PEM(passphrase []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}), nil
	}
	if der, err = encryptPKCS8(der, passphrase); err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncrypted, Bytes: der}), nil
}

// sign signs a message. It gives the same bytes each time.
func (k *PrivateKey) sign(message []byte) ([]byte, error) {
	if key, ok := k.signer.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, message), nil
	}
	sum := sha256.Sum256(message)
	return k.signer.Sign(nil, sum[:], crypto.SHA256) // no source of chance: RFC 6979
}

// Same says that two keys are one.
func (k *PublicKey) Same(other *PublicKey) bool { return bytes.Equal(k.der, other.der) }
