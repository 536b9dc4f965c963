package attest

import (
	"encoding/json"
	"errors"

	"golang.org/x/crypto/nacl/secretbox"
)

// sigstoreKey is how cosign keeps a private key: JSON in PEM, of which the
// ciphertext is a NaCl secret box with a key of scrypt
// (go-securesystemslib/encrypted).
type sigstoreKey struct {
	KDF struct {
		Name   string `json:"name"`
		Params struct {
			N int `json:"N"`
			R int `json:"r"`
			P int `json:"p"`
		} `json:"params"`
		Salt []byte `json:"salt"`
	} `json:"kdf"`
	Cipher struct {
		Name  string `json:"name"`
		Nonce []byte `json:"nonce"`
	} `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

func decryptSigstore(text []byte, passphrase func() ([]byte, error)) ([]byte, error) {
	var k sigstoreKey
	var nonce [24]byte
	var key [32]byte
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, errors.New("damaged: it is not what cosign writes")
	}
	if k.KDF.Name != "scrypt" || k.Cipher.Name != "nacl/secretbox" || len(k.Cipher.Nonce) != len(nonce) {
		return nil, errors.New("encrypted otherwise than by scrypt and nacl/secretbox: cosign writes no such key")
	}
	p := k.KDF.Params
	derive, err := newScrypt(scryptParams{Salt: k.KDF.Salt, N: p.N, R: p.R, P: p.P})
	if err != nil {
		return nil, err
	}
	secret, err := passphrase()
	if err != nil {
		return nil, err
	}
	derived, err := derive(secret, len(key))
	if err != nil {
		return nil, err
	}
	copy(key[:], derived)
	copy(nonce[:], k.Cipher.Nonce)
	der, ok := secretbox.Open(nil, k.Ciphertext, &nonce, &key)
	if !ok {
		return nil, ErrPassphrase
	}
	return der, nil
}
