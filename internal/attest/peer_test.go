package attest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/testtool"
)

// openssl checks what is signed here, and reads the keys that are written here.
func TestOpensslAgrees(t *testing.T) {
	testtool.Need(t, "openssl")
	dir := t.TempDir()
	put := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	pass := put("pass", []byte("a passphrase\n"))
	for _, algorithm := range []string{Ed25519, ECDSAP256} {
		k, err := Generate(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		list, err := Decision(sampleDecision(doorward.Refuse), Tool{"doorward", "1"})
		if err != nil {
			t.Fatal(err)
		}
		signed(t, []*PrivateKey{k}, list...)
		public := put("pub", k.PublicKey.PEM())
		for _, e := range list {
			pae, sig := put("pae", PAE(e.PayloadType, e.Payload)), put("sig", e.Signatures[0].Sig)
			if algorithm == Ed25519 {
				testtool.Run(t, "", "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", pae, "-sigfile", sig)
			} else {
				testtool.Run(t, "", "openssl", "dgst", "-sha256", "-verify", public, "-signature", sig, pae)
			}
		}
		text, err := k.PEM([]byte("a passphrase"))
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "out")
		testtool.Run(t, "", "openssl", "pkey", "-in", put("key", text), "-passin", "file:"+pass, "-pubout", "-out", out)
		theirs, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := ReadPublicKey(theirs); err != nil || !p.Same(k.PublicKey) {
			t.Errorf("%s: openssl reads another key: %v", algorithm, err)
		}
	}
}

// What openssl makes is read, for each of its ways to encrypt a key.
func TestReadsKeysOfOpenssl(t *testing.T) {
	testtool.Need(t, "openssl")
	dir := t.TempDir()
	plain, pass := filepath.Join("testdata", "sec1.key"), filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	want := readKey(t, "sec1.key")
	for _, options := range [][]string{
		{"-v2", "aes-128-cbc"}, {"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512"}, {"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"},
		{"-v2", "aes256", "-v2prf", "hmacWithSHA384"}, {"-scrypt"}, {"-scrypt", "-scrypt_N", "1024", "-scrypt_r", "4", "-scrypt_p", "2"}, {"-nocrypt"},
	} {
		out := filepath.Join(dir, "key")
		testtool.Run(t, "", "openssl", append([]string{"pkcs8", "-topk8", "-in", plain, "-passout", "file:" + pass, "-out", out}, options...)...)
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ReadPrivateKey(text, func() ([]byte, error) { return []byte(secret), nil })
		if err != nil || !k.Same(want.PublicKey) {
			t.Errorf("%v: %v", options, err)
		}
	}
	out := filepath.Join(dir, "des")
	testtool.Run(t, "", "openssl", "pkcs8", "-topk8", "-in", plain, "-passout", "file:"+pass, "-out", out, "-v2", "des3")
	text, _ := os.ReadFile(out)
	if _, err := ReadPrivateKey(text, func() ([]byte, error) { return []byte(secret), nil }); err == nil {
		t.Error("3DES is read")
	}
}
