package firmware

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/rootca"
)

// testSubject is how makers of firmware name the keys that come with the
// development kit, and whose private half many people have.
var testSubject = regexp.MustCompile(`(?i)\bdo not (?:trust|ship)\b|\bsnake ?oil\b|\btest (?:pk|kek|db|platform key|secure ?boot)\b`)

// keyVariables are the variables whose certificates decide what boots.
var keyVariables = map[string]string{"PK": "may change all other keys", "KEK": "may change what is trusted and what is revoked", "db": "may sign what boots",
	"PKDefault": "is what a reset of the keys brings back", "KEKDefault": "is what a reset of the keys brings back", "dbDefault": "is what a reset of the keys brings back"}

// testCert is a test certificate and where it was found.
type testCert struct {
	cert  *x509.Certificate
	files []*product.File
	roles []string
	at    int64
}

// testKeys finds test certificates among secure boot's keys, and those that the
// firmware carries to enrol.
func (b *bootFirmware) testKeys() {
	found := map[string]*testCert{}
	var order []string
	for _, f := range b.product.Files {
		role := path.Base(path.Dir(f.Path))
		inVariable := keyVariables[role] != "" && path.Ext(f.Path) == ".cer"
		carried := (f.Has("DO NOT TRUST") || f.Has("DO NOT SHIP")) && f.Volume != nil && f.Volume.Format == "efi-volume"
		if !inVariable && !carried || f.Deleted() {
			continue
		}
		b.out.Looked(doorward.KindKey, 1, "certificate of secure boot")
		if !inVariable {
			role = "firmware"
		}
		c, at := certificateIn(f)
		if c == nil || !testSubject.MatchString(c.Subject.String()+" "+c.Issuer.String()) {
			continue
		}
		id := hexFingerprint(c.RawSubjectPublicKeyInfo)
		if found[id] == nil {
			found[id] = &testCert{cert: c, at: at}
			order = append(order, id)
		}
		found[id].files = append(found[id].files, f)
		found[id].roles = append(found[id].roles, role)
	}
	for _, id := range order {
		b.testKey(id, found[id])
	}
}

// certificateIn is the certificate that a file is, in DER or PEM, or the one
// around the words of a test key.
func certificateIn(f *product.File) (*x509.Certificate, int64) {
	b := f.Bytes()
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	if c, err := x509.ParseCertificate(b); err == nil {
		return c, 0
	}
	for _, words := range []string{"DO NOT TRUST", "DO NOT SHIP"} {
		for _, hit := range f.Hits(words) {
			for at := hit; at > 0 && hit-at < 1024; at-- {
				if at+4 > int64(len(b)) || !bytes.HasPrefix(b[at:], []byte{0x30, 0x82}) {
					continue
				}
				size := int64(b[at+2])<<8 | int64(b[at+3]) + 4
				if at+size > int64(len(b)) || at+size < hit {
					continue
				}
				if c, err := x509.ParseCertificate(b[at : at+size]); err == nil {
					return c, at
				}
			}
		}
	}
	return nil, 0
}

func (b *bootFirmware) testKey(id string, t *testCert) {
	var notes []string
	for _, r := range t.roles {
		if what := keyVariables[r]; what != "" && !contains(notes, r+" "+what) {
			notes = append(notes, r+" "+what)
		}
	}
	if len(notes) == 0 {
		notes = append(notes, "the firmware carries it to enrol it")
	}
	d := doorward.Door{
		Kind: doorward.KindKey, Title: "secure boot trusts a test key: " + strings.TrimSuffix(rootca.Name(t.cert), " /"), Reach: doorward.Local, Stages: []doorward.Stage{doorward.Access}, Certainty: doorward.Likely,
		Weight: doorward.Weigh(doorward.Change, doorward.Local, doorward.Open, false), References: []string{"CWE-1392", "CWE-321", "T1542.001"},
		Detail: doorward.Detail{"path": t.files[0].Path, "private": false, "fingerprint": id, "algorithm": algorithmName(t.cert.PublicKeyAlgorithm.String())},
		Check:  "Read the variable with efi-readvar, or the certificate with openssl x509, and compare the fingerprint with published test keys.",
	}
	for _, f := range t.files {
		d.Where = append(d.Where, f.Where()...)
	}
	d.Evidence = []doorward.Evidence{{What: "certificate of " + t.cert.Subject.String(), Path: t.files[0].Path,
		Note: strings.Join(notes, "; ") + "; assumes that the private key of a test certificate is known to others than the product's owner"}}
	b.out.Door(d)
}

const globalVariable = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

// secureBoot looks at variables that were in use: without a platform key nobody
// checks who changes the others.
func (b *bootFirmware) secureBoot(v *product.Volume) {
	order := v.File("BootOrder" + globalVariable)
	if order == nil {
		return // no variables, or a template that no firmware has used yet
	}
	b.out.Looked(doorward.KindPrivilege, 1, "variable store")
	enable := v.File("SecureBootEnable-f0a30bc7-af08-4556-99c4-001009c93a44")
	switch {
	case v.File("PK"+globalVariable) == nil:
		b.secureBootOff(order, "secure boot has no platform key: it is in setup mode, and checks nothing", "there is no variable PK beside it")
	case enable != nil && bytes.HasPrefix(enable.Bytes(), []byte{0}):
		b.secureBootOff(enable, "secure boot is switched off", "the variable SecureBootEnable is 0")
	}
}

func (b *bootFirmware) secureBootOff(f *product.File, title, note string) {
	b.out.Door(doorward.Door{
		Kind: doorward.KindPrivilege, Title: title, Reach: doorward.Local, Stages: []doorward.Stage{doorward.Access}, Certainty: doorward.Shown,
		Weight: doorward.Weigh(doorward.Contact, doorward.Local, doorward.Checked, false), References: []string{"CWE-1326"},
		Detail: doorward.Detail{"what": "secure-boot", "path": f.Path}, Where: f.Where(),
		Evidence: []doorward.Evidence{{What: f.Path, Note: note, Path: f.Path}},
		Check:    "On the running product, mokutil --sb-state says if secure boot is on.",
	})
}

// descriptor finds flash descriptors that let the host write what it must not:
// the descriptor itself, or the management engine.
func (b *bootFirmware) descriptor(f *product.File) {
	if !f.Type.IsText() || !strings.HasPrefix(f.Text(), descriptorMark) {
		return
	}
	b.out.Looked(doorward.KindPrivilege, 1, "flash descriptor")
	n := 0
	for line := range strings.Lines(f.Text()) {
		n++
		may, ok := strings.CutPrefix(strings.TrimSpace(line), "host writes ")
		if !ok {
			continue
		}
		var regions []string
		for _, r := range strings.Fields(may) {
			if r == "descriptor" || r == "me" {
				regions = append(regions, r)
			}
		}
		if len(regions) == 0 {
			continue
		}
		b.out.Door(doorward.Door{
			Kind: doorward.KindPrivilege, Title: fmt.Sprintf("the flash is not locked: the host may write the %s", strings.Join(regions, " and the ")), Reach: doorward.Local,
			Stages: []doorward.Stage{doorward.Access}, Certainty: doorward.Shown, Weight: doorward.Weigh(doorward.Control, doorward.Local, doorward.Open, false),
			References: []string{"CWE-1233", "T1542.001"}, Detail: doorward.Detail{"what": "flash-descriptor", "path": f.Path}, Where: f.Where(),
			Evidence: []doorward.Evidence{{What: strings.TrimSpace(line), Line: n, Path: f.Path, Note: "the manufacturing setting: software with enough rights can change firmware that outlives the system"}},
			Check:    "ifdtool -d of coreboot on the image, or flashrom on the product, tells the rights of the masters.",
		})
	}
}
