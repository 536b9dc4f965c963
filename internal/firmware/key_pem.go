package firmware

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/pkcs12"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// maxPEM is the longest block that is read.
const maxPEM = 64 << 10

// maxInners is how many places of one pattern of DER keys are looked at in a file.
const maxInners = 4096

// pem reads the blocks of a file, wherever they lie in it.
func (k *keys) pem(f *product.File) {
	hits := f.Hits("-----BEGIN ")
	if len(hits) == 0 {
		return
	}
	b := f.Bytes()
	line, counted := 1, int64(0)
	for _, at := range hits {
		if at >= int64(len(b)) {
			break
		}
		line += bytes.Count(b[counted:at], []byte("\n"))
		counted = at
		text := b[at:min(at+maxPEM, int64(len(b)))]
		k.out.Looked(doorward.KindKey, 1, "PEM block")
		if block := decodePEM(text); block != nil {
			k.block(f, at, line, block)
		} else if longKey(text) {
			leftOut(k.out, f, at, 0, fmt.Sprintf("a PEM block of a key over %d KiB is not read", maxPEM>>10))
		}
	}
}

// longKey says that text starts like a key in PEM and goes on like one for as
// long as is read.
func longKey(text []byte) bool {
	head, body, _ := bytes.Cut(text, []byte("\n"))
	if len(text) < maxPEM || len(head) > 80 || !bytes.Contains(head, []byte("KEY-----")) {
		return false
	}
	for _, c := range body {
		if c != '\n' && c != '\r' && (!isTextByte(c) || c == '<' || c == ';' || c == '"') {
			return false
		}
	}
	return !bytes.Contains(body, []byte("-----"))
}

// decodePEM decodes the block at the start of text, also one whose line ends are
// written as \n (JSON, C strings).
func decodePEM(text []byte) *pem.Block {
	line, _, ok := bytes.Cut(text, []byte("-----END "))
	if !ok {
		return nil
	}
	whole := text[:min(len(line)+100, len(text))]
	if block, _ := pem.Decode(whole); block != nil {
		return block
	}
	s := strings.NewReplacer(`\r`, "", `\n`, "\n", "\t", "").Replace(string(whole))
	var b strings.Builder
	for l := range strings.Lines(s) {
		b.WriteString(strings.TrimLeft(l, " "))
	}
	if block, _ := pem.Decode([]byte(b.String())); block != nil {
		return block
	}
	return nil
}

// block takes one PEM block.
func (k *keys) block(f *product.File, at int64, line int, block *pem.Block) {
	x := keyFound{file: f, offset: at, found: "-----BEGIN " + block.Type + "-----"}
	if f.Type.IsText() {
		x.line = line
	}
	x.secrets = []string{strings.TrimSpace(string(pem.EncodeToMemory(block)))}
	switch {
	case block.Type == "OPENSSH PRIVATE KEY":
		k.openssh(&x, block.Bytes)
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		x.private, x.algorithm, x.fingerprint = true, "encrypted", hexFingerprint(block.Bytes)
		k.encrypted(&x)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		key, ok := parsePrivate(block.Bytes)
		if !ok {
			return
		}
		k.setPrivate(&x, key, "PEM, "+block.Type)
	case block.Type == "OpenVPN Static key V1":
		x.private, x.algorithm, x.fingerprint = true, "OpenVPN static key", hexFingerprint(block.Bytes)
		k.privateUse(&x, "a shared secret of a VPN")
	case strings.Contains(block.Type, "PUBLIC KEY") && block.Type != "PGP PUBLIC KEY BLOCK":
		x.secrets = nil
		k.publicKey(&x, block)
		return
	case block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE":
		k.certificate(f, at, block.Bytes)
		return
	default:
		return
	}
	k.add(x)
}

func (k *keys) openssh(x *keyFound, b []byte) {
	blob, encrypted, ok := opensshKey(b)
	if !ok {
		return
	}
	x.private, x.algorithm, x.fingerprint = true, sshBlobType(blob), sshFingerprint(blob)
	if encrypted {
		k.encrypted(x)
		return
	}
	k.privateUse(x, "OpenSSH's format")
}

// encrypted is a private key that needs a passphrase.
func (k *keys) encrypted(x *keyFound) {
	k.privateUse(x, "encrypted")
	x.title = "private key that is the same on every unit, with a passphrase"
	x.note = "useless without the passphrase, which the product must have if it uses the key"
	x.weight = doorward.Low
}

// publicKey is one that checks something: updates, as a rule.
func (k *keys) publicKey(x *keyFound, block *pem.Block) {
	x.fingerprint = hexFingerprint(block.Bytes)
	x.algorithm = "public key"
	if pub, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		x.fingerprint = hexFingerprint(subjectPublicKey(pub))
	} else if pub, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		x.fingerprint, x.algorithm = hexFingerprint(subjectPublicKey(pub)), rsaName(pub.N)
	} else {
		return
	}
	x.usedBy = k.users(x.file)
	if len(x.usedBy) == 0 {
		return
	}
	x.weight, x.reach, x.certainty = doorward.Info, doorward.Remote, doorward.Likely
	x.title = "public key with which " + strings.Join(x.usedBy, ", ") + " checks what it gets"
	x.note = "whoever has its private half can sign what the product accepts (assumes that it checks updates or messages)"
	x.references = []string{"CWE-347"}
	k.add(*x)
}

// binary reads keys without a PEM header: dropbear's, DER, PKCS #12.
func (k *keys) binary(f *product.File) {
	if !isBlob(f) {
		return
	}
	for _, head := range dropbearHeads {
		for _, at := range f.Hits(head) {
			b := f.Bytes()
			if at >= int64(len(b)) {
				break
			}
			if blob, algorithm, size := dropbearKey(b[at:]); blob != nil {
				x := keyFound{file: f, offset: at, private: true, algorithm: algorithm, fingerprint: sshFingerprint(blob),
					found: "dropbear private key, " + algorithm, secrets: []string{string(b[at : at+int64(size)])}}
				k.privateUse(&x, "dropbear's format")
				k.add(x)
			}
		}
	}
	for _, inner := range derInners {
		hits := f.Hits(inner)
		if len(hits) > maxInners {
			leftOut(k.out, f, hits[maxInners], 0, fmt.Sprintf("more than %d places look like a key in DER: the others were not looked at", maxInners))
		}
		for _, at := range hits[:min(len(hits), maxInners)] {
			k.der(f, at)
		}
	}
	if f.Has(pkcs12Bag) || strings.HasSuffix(f.Path, ".p12") || strings.HasSuffix(f.Path, ".pfx") {
		k.container(f)
	}
}

func (k *keys) der(f *product.File, at int64) {
	start, der := derAround(f.Bytes(), at)
	if der == nil {
		return
	}
	key, ok := parsePrivate(der)
	if !ok || key.public == nil {
		return
	}
	x := keyFound{file: f, offset: start, found: "private key in DER, " + key.algorithm, secrets: []string{string(der)}}
	k.setPrivate(&x, key, "DER, without a header that names it")
	k.add(x)
}

// container opens a PKCS #12 file with the passwords that such files mostly
// have.
func (k *keys) container(f *product.File) {
	b := f.Bytes()
	if len(b) < 32 || len(b) > 1<<20 || b[0] != 0x30 || !bytes.Contains(b[:32], []byte("\x02\x01\x03\x30")) {
		return
	}
	x := keyFound{file: f, offset: 0, private: true, algorithm: "PKCS #12", fingerprint: hexFingerprint(b), found: "PKCS #12 container"}
	k.encrypted(&x)
	for _, password := range []string{"", "changeit", "password", "changeme", "123456", "1234", "admin", "secret", "test"} {
		blocks, err := pkcs12.ToPEM(b, password)
		if err != nil {
			continue
		}
		for _, block := range blocks {
			if key, ok := parsePrivate(block.Bytes); ok && strings.Contains(block.Type, "PRIVATE KEY") {
				x.weight = ""
				k.setPrivate(&x, key, "PKCS #12 with the password \""+password+"\"")
				x.secrets = append(x.secrets, password)
			}
		}
		break
	}
	k.add(x)
}

// putty reads PuTTY's format.
func (k *keys) putty(f *product.File) {
	for _, at := range f.Hits("PuTTY-User-Key-File-") {
		b := f.Bytes()
		if !f.Type.IsText() || at >= int64(len(b)) {
			continue
		}
		text := string(b[at:min(at+maxPEM, int64(len(b)))])
		blob, encrypted, ok := puttyKey(text)
		if !ok {
			continue
		}
		x := keyFound{file: f, offset: at, private: true, algorithm: sshBlobType(blob), fingerprint: sshFingerprint(blob), found: firstLine(text), secrets: []string{strings.TrimSpace(text)}}
		k.privateUse(&x, "PuTTY's format")
		if encrypted {
			k.encrypted(&x)
		}
		k.add(x)
	}
}
