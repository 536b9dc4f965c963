package origin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/testtool"
)

// certificateFor makes a key and a certificate of an organisation, both in PEM.
func certificateFor(t testing.TB, organisation, country string, change func(*x509.Certificate)) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: "Signer", Organization: []string{organisation}, Country: []string{country}}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func TestCertificates(t *testing.T) {
	usage := func(u x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{u} }
	}
	authority := func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }
	update, _ := certificateFor(t, "Updatewerk", "DE", nil)
	code, _ := certificateFor(t, "Codewerk", "NL", usage(x509.ExtKeyUsageCodeSigning))
	server, key := certificateFor(t, "Serverwerk", "PT", usage(x509.ExtKeyUsageServerAuth))
	own, _ := certificateFor(t, "Eigenwerk", "", authority)
	other, _ := certificateFor(t, "Anderswerk", "FR", nil)
	silly, sillyKey := certificateFor(t, "Internet Widgits Pty Ltd", "AU", usage(x509.ExtKeyUsageServerAuth))
	public, _ := certificateFor(t, "DigiCert Inc", "US", authority)
	boot, _ := certificateFor(t, "Bootwerk", "SE", nil)
	block, _ := pem.Decode([]byte(boot))
	same(t, gathered(t, made(t, map[string]string{
		"etc/ota/update.pem": update, "etc/x/cert.pem": code, "etc/web/server.crt": server, "etc/web/server.key": key, "etc/vendor/root-ca.pem": own,
		"efi/db/x509-1.cer": string(block.Bytes),
		// left alone: nothing says what for, a default subject, a public authority, a test, a bundle
		"etc/y/some.pem": other, "etc/z/https.crt": silly, "etc/z/https.key": sillyKey, "etc/trust/ca.pem": public,
		"usr/share/examples/ota/update.pem": other, "etc/ota/bundle.pem": other + other + other + other + other,
	})),
		"product operation Eigenwerk claimed certificate", "product operation Serverwerk claimed certificate",
		"product signing-key Bootwerk claimed certificate", "product signing-key Codewerk claimed certificate", "product signing-key Updatewerk claimed certificate",
		"entity:bootwerk legal-seat SE claimed certificate", "entity:codewerk legal-seat NL claimed certificate", "entity:serverwerk legal-seat PT claimed certificate", "entity:updatewerk legal-seat DE claimed certificate")
}

// cms signs a content in the way of JAR files and kernel modules.
func cms(t testing.TB, content, cert, key string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"in": content, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testtool.Run(t, dir, "openssl", append([]string{"cms", "-sign", "-binary", "-in", "in", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-out", "out"}, args...)...)
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestArchives(t *testing.T) {
	const list = "Signature-Version: 1.0\n"
	cert, key := certificateFor(t, "Jarwerk", "DE", nil)
	signature := cms(t, list, cert, key)
	same(t, gathered(t, made(t, map[string]string{"META-INF/CERT.SF": list, "META-INF/CERT.RSA": signature})),
		"product signing-key Jarwerk claimed jar-signature", "entity:jarwerk legal-seat DE claimed jar-signature")
	// left alone: a signature of another list, one without a list
	same(t, gathered(t, made(t, map[string]string{"META-INF/CERT.SF": list + "x", "META-INF/CERT.RSA": signature, "META-INF/B.RSA": signature})))
}

// module makes a kernel module that is signed.
func signedModule(t testing.TB, organisation string) string {
	t.Helper()
	cert, key := certificateFor(t, organisation, "DE", nil)
	signature := cms(t, "x", cert, key, "-nocerts", "-noattr")
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	const names = "\x00.modinfo\x00.gnu.linkonce.this_module\x00.shstrtab\x00"
	le.PutUint16(b[16:], 1)  // relocatable
	le.PutUint16(b[18:], 62) // amd64
	le.PutUint32(b[20:], 1)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[58:], 64)
	const info = "license=GPL\x00vermagic=6.1.0 SMP\x00name=x\x00"
	body := append(b, info...)
	nameAt := len(body)
	body = append(body, names...)
	for len(body)%8 != 0 {
		body = append(body, 0)
	}
	le.PutUint64(body[40:], uint64(len(body)))
	le.PutUint16(body[60:], 4)
	le.PutUint16(body[62:], 3)
	section := func(name, kind uint32, at, size int) {
		var s [64]byte
		le.PutUint32(s[0:], name)
		le.PutUint32(s[4:], kind)
		le.PutUint64(s[24:], uint64(at))
		le.PutUint64(s[32:], uint64(size))
		body = append(body, s[:]...)
	}
	section(0, 0, 0, 0)
	section(1, 1, 64, len(info))
	section(10, 1, 64, len(info))
	section(36, 3, nameAt, len(names))
	body = append(body, signature...)
	body = append(body, 0, 0, 2, 0, 0, 0, 0, 0)
	body = binary.BigEndian.AppendUint32(body, uint32(len(signature)))
	return string(append(body, moduleMark...))
}

func TestModules(t *testing.T) {
	if info, err := executable.Parse([]byte(signedModule(t, "Kernwerk"))); err != nil || info.Kind != executable.KernelModule {
		t.Fatalf("the fixture is no module: %v %v", info, err)
	}
	same(t, gathered(t, made(t, map[string]string{"lib/modules/x.ko": signedModule(t, "Kernwerk"), "lib/modules/y.ko": signedModule(t, "Kernwerk")})),
		"product signing-key Kernwerk claimed module-signature", "entity:kernwerk legal-seat DE claimed module-signature")
	// left alone: a key that the build made for itself
	same(t, gathered(t, made(t, map[string]string{"lib/modules/x.ko": signedModule(t, "Build time autogenerated kernel key")})))
}

// pe makes a PE file whose resources name a company.
func pe(company string) []byte {
	b := make([]byte, 0x600)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[68:], 0x8664)
	le.PutUint16(b[70:], 1)
	le.PutUint16(b[84:], 240)
	le.PutUint16(b[86:], 0x22)
	o := b[88:]
	le.PutUint16(o, 0x20b)
	le.PutUint32(o[32:], 0x1000)
	le.PutUint32(o[36:], 0x200)
	le.PutUint32(o[56:], 0x2000)
	le.PutUint32(o[60:], 0x200)
	le.PutUint16(o[68:], 3)
	le.PutUint32(o[108:], 16)
	s := b[88+240:]
	copy(s, ".rsrc")
	le.PutUint32(s[8:], 0x400)
	le.PutUint32(s[12:], 0x1000)
	le.PutUint32(s[16:], 0x400)
	le.PutUint32(s[20:], 0x200)
	le.PutUint32(s[36:], 0x40000040)
	at := 0x200
	for _, text := range []string{"CompanyName\x00", company + "\x00"} {
		for _, c := range text {
			le.PutUint16(b[at:], uint16(c))
			at += 2
		}
		at = (at + 3) &^ 3
	}
	return b
}

func TestPrograms(t *testing.T) {
	cert, key := certificateFor(t, "Programmwerk GmbH", "DE", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} })
	dir := t.TempDir()
	for name, text := range map[string]string{"in.exe": string(pe("Programmwerk")), "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testtool.Run(t, dir, "osslsigncode", "sign", "-certs", "cert.pem", "-key", "key.pem", "-h", "sha256", "-in", "in.exe", "-out", "out.exe")
	signed, err := os.ReadFile(filepath.Join(dir, "out.exe"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(signed)
	changed[0x5ff] ^= 1
	same(t, gathered(t, made(t, map[string]string{"a.exe": string(signed)})),
		"product development Programmwerk signed pe-version", "product signing-key Programmwerk GmbH signed authenticode", "entity:programmwerk legal-seat DE claimed authenticode")
	same(t, gathered(t, made(t, map[string]string{"a.exe": string(changed)})),
		"product development Programmwerk claimed pe-version", "product signing-key Programmwerk GmbH claimed authenticode", "entity:programmwerk legal-seat DE claimed authenticode")
	// left alone: a placeholder
	same(t, gathered(t, made(t, map[string]string{"a.exe": string(pe("Your Company"))})))
	notice := bytes.Clone(pe("Unknown"))
	copy(notice[0x500:], "\x00Copyright (C) 2019 Quellwerk AB. All rights reserved.\x00Copyright (C) %d %s\x00")
	same(t, gathered(t, made(t, map[string]string{"a.exe": string(notice), "a.txt": "Copyright (C) 2019 Somebody in a text\n"})),
		"product development Quellwerk AB claimed copyright-line")
}
