package firmware

import (
	"bytes"
	"crypto/x509"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/rootca"
)

// trusted is a self-signed certificate that may be trusted.
type trusted struct {
	file   *product.File
	offset int64
	cert   *x509.Certificate
	public bool
}

// certificate takes a certificate in DER.
func (k *keys) certificate(f *product.File, at int64, der []byte) {
	c, err := x509.ParseCertificate(der)
	if err != nil || !bytes.Equal(c.RawSubject, c.RawIssuer) {
		return // leaves and intermediates are trusted by what signed them
	}
	k.out.Looked(doorward.KindKey, 1, "self-signed certificate")
	k.roots = append(k.roots, trusted{f, at, c, rootca.Has(c)})
}

// trust reports what the product trusts beyond the public roots.
func (k *keys) trust() {
	public := map[string]int{} // folder or file -> public roots
	for _, t := range k.roots {
		if t.public {
			public[t.file.Path]++
			public[path.Dir(t.file.Path)]++
		}
	}
	for _, t := range k.roots {
		if t.public || t.file.Type.Executable() {
			continue
		}
		store := public[t.file.Path] >= 10 || public[path.Dir(t.file.Path)] >= 10
		k.trustOne(t, store)
	}
}

func (k *keys) trustOne(t trusted, store bool) {
	fingerprint := hexFingerprint(t.cert.RawSubjectPublicKeyInfo)
	if k.found[fingerprint+" private"] != nil {
		return // its own certificate, which the private key's door covers
	}
	name := rootca.Name(t.cert)
	known := rootca.IsMaker(name)
	fake := rootca.Names(name) && strings.Contains(name, " / ") && t.cert.IsCA
	x := keyFound{file: t.file, offset: t.offset, algorithm: t.cert.PublicKeyAlgorithm.String(), fingerprint: fingerprint, found: "certificate of " + t.cert.Subject.String(),
		reach: doorward.Remote, certainty: doorward.Shown, weight: doorward.Low, references: []string{"CWE-295", "T1553.004"}}
	switch {
	case fake:
		x.certainty, x.weight = doorward.Likely, doorward.Medium
		x.title = "certificate with the name of a public root, but another key: " + name
		x.note = "assumes that the authority did not issue it itself under the same name"
	case known && (store || !k.isTrustPlace(t.file)):
		return
	case store:
		x.weight = doorward.Medium
		x.title = "certificate of " + name + " is trusted among the public roots"
		x.note = "whoever has its key can pass for any server; it is no public root"
	case t.cert.IsCA || k.isTrustPlace(t.file):
		x.usedBy = k.users(t.file)
		if len(x.usedBy) == 0 && !k.isTrustPlace(t.file) {
			return
		}
		x.certainty = doorward.Likely
		x.title = "certificate of " + name + " is trusted"
		x.note = "whoever has its key can pass for the servers that are checked with it; it is no public root (assumes that the product trusts it)"
	default:
		return
	}
	k.add(x)
}

var trustNames = regexp.MustCompile(`(?i)(^|[^a-z])(ca|cacerts?|ca-?bundle|root|rootca|trust(ed)?|anchors?)([^a-z]|$)`)

// isTrustPlace says by its name, or by the line that names it, that a file is
// what the product checks others with.
func (k *keys) isTrustPlace(f *product.File) bool {
	if trustNames.MatchString(f.Base()) || trustNames.MatchString(path.Base(path.Dir(f.Path))) {
		return true
	}
	for _, m := range k.product.Mentions(f.Base()) {
		if m == f || !m.Type.IsText() || quietFile(m) {
			continue
		}
		for line := range strings.Lines(m.Text()) {
			lower := strings.ToLower(line)
			if strings.Contains(line, f.Base()) && (strings.Contains(lower, "cafile") || strings.Contains(lower, "ca_cert") || strings.Contains(lower, "cacert") ||
				strings.Contains(lower, "ca-cert") || strings.Contains(lower, "verify")) {
				return true
			}
		}
	}
	return false
}

// certificateFile takes a certificate that stands in DER in a file of its own.
func (k *keys) certificateFile(f *product.File) {
	switch path.Ext(strings.ToLower(f.Path)) {
	case ".der", ".cer", ".crt", ".cert":
	default:
		return
	}
	if f.Type.IsText() || f.Size > 64<<10 {
		return
	}
	if b := f.Bytes(); len(b) > 4 && b[0] == 0x30 && b[1] == 0x82 {
		k.certificate(f, 0, b)
	}
}
