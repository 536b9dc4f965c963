package signature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/doorward/doorward/internal/testtool"
)

// signer writes a key and a certificate for it into a folder.
func signer(t testing.TB, dir string, elliptical bool) {
	t.Helper()
	var key any
	var err error
	if elliptical {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), SubjectKeyId: []byte{1, 2, 3, 4}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		Subject: pkix.Name{CommonName: "Signer", Organization: []string{"Musterwerk GmbH"}, Country: []string{"DE"}}}
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var pub any
	switch k := key.(type) {
	case *rsa.PrivateKey:
		pub = &k.PublicKey
	case *ecdsa.PrivateKey:
		pub = &k.PublicKey
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write("key.pem", "PRIVATE KEY", der)
	write("cert.pem", "CERTIFICATE", cert)
}

// program is a small PE file: headers and one section.
func program() []byte {
	b := make([]byte, 0x400)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[68:], 0x8664) // machine
	le.PutUint16(b[70:], 1)      // sections
	le.PutUint16(b[84:], 240)    // size of the optional header
	le.PutUint16(b[86:], 0x22)
	o := b[88:]
	le.PutUint16(o, 0x20b)
	le.PutUint32(o[4:], 0x200)   // code
	le.PutUint32(o[16:], 0x1000) // entry
	le.PutUint32(o[32:], 0x1000) // alignment
	le.PutUint32(o[36:], 0x200)
	le.PutUint32(o[56:], 0x2000) // size of the image
	le.PutUint32(o[60:], 0x200)  // of the headers
	le.PutUint16(o[68:], 10)
	le.PutUint32(o[108:], 16) // directories
	s := b[88+240:]
	copy(s, ".text")
	le.PutUint32(s[8:], 0x10)
	le.PutUint32(s[12:], 0x1000)
	le.PutUint32(s[16:], 0x200)
	le.PutUint32(s[20:], 0x200)
	le.PutUint32(s[36:], 0x60000020)
	b[0x200] = 0xc3
	return b
}

func signedProgram(t testing.TB, elliptical bool) []byte {
	t.Helper()
	dir := t.TempDir()
	signer(t, dir, elliptical)
	if err := os.WriteFile(filepath.Join(dir, "in.exe"), program(), 0o600); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, dir, "osslsigncode", "sign", "-certs", "cert.pem", "-key", "key.pem", "-h", "sha256", "-in", "in.exe", "-out", "out.exe")
	b, err := os.ReadFile(filepath.Join(dir, "out.exe"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAuthenticodeAgainstItsTool(t *testing.T) {
	for _, elliptical := range []bool{false, true} {
		b := signedProgram(t, elliptical)
		list := Authenticode(b)
		if len(list) != 1 || list[0].Err != nil || list[0].Organization != "Musterwerk GmbH" || list[0].Country != "DE" {
			t.Fatalf("signed: %+v", list)
		}
		b[0x200] ^= 1
		if list = Authenticode(b); len(list) != 1 || !errors.Is(list[0].Err, ErrDigest) {
			t.Errorf("changed: %+v", list)
		}
		b[0x200] ^= 1
		if list = Authenticode(append(b, make([]byte, 64)...)); len(list) != 1 || list[0].Err == nil {
			t.Errorf("with something behind: %+v", list)
		}
	}
	if list := Authenticode(program()); list != nil {
		t.Errorf("not signed: %+v", list)
	}
}

func TestEveryByteOfASignatureCounts(t *testing.T) {
	b := signedProgram(t, true)
	p, ok := peLayout(b)
	if !ok || p.size == 0 {
		t.Fatal("no table")
	}
	held := 0
	for at := p.table + 8; at < p.table+p.size; at += 31 {
		b[at] ^= 0x41
		for _, by := range Authenticode(b) {
			if by.Err == nil {
				held++ // a byte that no digest covers: of the certificate's own signature, of padding
			}
		}
		b[at] ^= 0x41
	}
	if all := p.size / 31; held > all/2 {
		t.Errorf("%d of %d changed bytes were not noticed", held, all)
	}
}

func TestCMSAgainstOpenSSL(t *testing.T) {
	for _, c := range []struct {
		args       []string
		elliptical bool
	}{{nil, false}, {nil, true}, {[]string{"-noattr"}, false}, {[]string{"-keyid"}, true}, {[]string{"-md", "sha512"}, false}} {
		dir := t.TempDir()
		signer(t, dir, c.elliptical)
		content := []byte("Signature-Version: 1.0\n")
		if err := os.WriteFile(filepath.Join(dir, "in"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"cms", "-sign", "-binary", "-in", "in", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-out", "out"}, c.args...)
		testtool.Run(t, dir, "openssl", args...)
		der, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(der)
		if err != nil || len(s.Signers) != 1 {
			t.Fatalf("%v: %v", c.args, err)
		}
		if err := s.Check(s.Signers[0], content); err != nil {
			t.Errorf("%v: %v", c.args, err)
		}
		if s.Check(s.Signers[0], append(content, '!')) == nil {
			t.Errorf("%v: another content is taken", c.args)
		}
	}
}

func FuzzAuthenticode(f *testing.F) {
	f.Add(signedProgram(f, true))
	f.Add(program())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, by := range Authenticode(b) {
			_ = by.Err
		}
		_, _ = Parse(b)
	})
}
