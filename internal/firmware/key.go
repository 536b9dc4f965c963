package firmware

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
	"github.com/doorward/doorward/internal/unpack"
)

// Key finds keys and secrets that are the same on every unit.
var Key = &Detector{
	Name: "key",
	Doc: "Keys and secrets that the product ships: private keys (PEM, DER, OpenSSH, dropbear, PuTTY, PKCS #12, also inside programs), keys that " +
		"may log in, shared secrets of VPN and Wi-Fi, API tokens, keys that check updates, and certificates that are trusted beyond the public roots.",
	Kinds:    []doorward.Kind{doorward.KindKey},
	Requires: []string{"startup"},
	Patterns: slices.Concat(keyPatterns, dropbearHeads, derInners, secretPatterns, tokenPatterns()),
	Scope:    detect.ProductAll,
	Run:      runKey,
}

var keyPatterns = []string{"-----BEGIN ", "PuTTY-User-Key-File-", " AAAA", "PolarSSL Test", selfTests[0], selfTests[1], selfTests[2], selfTests[3], pkcs12Bag}

// selfTests are words of libraries that test themselves with fixed keys.
var selfTests = []string{"elftest", "elf-test", "elf_test", "elf test"}

// pkcs12Bag is the identifier of a key in a PKCS #12 container.
const pkcs12Bag = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02"

// testsItself says that a file is a library of cryptography, whose keys are for
// its power-on test.
func testsItself(f *product.File) bool {
	base := f.Base()
	for _, name := range []string{"libgnutls", "libcrypto", "libssl", "libgcrypt", "libfreebl", "libsoftokn", "libmbed", "libpolarssl", "libwolfssl", "libcyassl", "libtomcrypt", "fips", "libnss", "libhogweed", "libbotan", "libaws-lc"} {
		if strings.HasPrefix(base, name) {
			return f.Type.Executable() && hasAny(f, selfTests)
		}
	}
	return false
}

// keys is one run of the detector.
type keys struct {
	product *product.Product
	log     *startup.Log
	out     *detect.Sink
	found   map[string]*keyFound
	order   []string
	roots   []trusted
}

// keyFound is a key at work; equal ones in several files become one.
type keyFound struct {
	file        *product.File
	offset      int64 // -1: the line says where
	line        int
	algorithm   string
	fingerprint string
	private     bool
	title       string
	found       string // what stands there
	note        string
	usedBy      []string
	gain        doorward.Gain
	reach       doorward.Reach
	hidden      doorward.Hidden
	lighter     int
	weight      doorward.Weight // instead of what Weigh says
	certainty   doorward.Certainty
	references  []string
	secrets     []string
	more        []*keyFound
}

func runKey(ctx context.Context, p *product.Product, out *detect.Sink) error {
	k := &keys{product: p, log: startup.Of(p), out: out, found: map[string]*keyFound{}}
	for _, f := range p.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.Size == 0 || quietFile(f) || testsItself(f) {
			continue
		}
		k.pem(f)
		k.binary(f)
		k.putty(f)
		k.authorized(f)
		k.secrets(f)
		k.tokens(f)
		cutHits(out, f, "-----BEGIN ", "PuTTY-User-Key-File-")
	}
	k.trust()
	k.lightenTestKeys()
	for _, id := range k.order {
		k.report(k.found[id])
	}
	return nil
}

// testKeySizes is how many sizes of one algorithm make a program's private keys
// those of a benchmark or a self-test: a product has no use for its own key in
// three sizes.
const testKeySizes = 3

func (k *keys) lightenTestKeys() {
	sizes := map[*product.File]map[string]bool{}
	for _, x := range k.found {
		if x.private && x.file.Type.Executable() && strings.HasPrefix(x.algorithm, "RSA ") {
			if sizes[x.file] == nil {
				sizes[x.file] = map[string]bool{}
			}
			sizes[x.file][x.algorithm] = true
		}
	}
	for _, x := range k.found {
		if x.private && len(sizes[x.file]) >= testKeySizes {
			x.certainty, x.weight = doorward.Hint, doorward.Low
			x.title = "private key (" + x.algorithm + ") in a program, perhaps for its self-test"
			x.note = fmt.Sprintf("the program holds such keys in %d sizes, as benchmarks and self-tests do", len(sizes[x.file]))
		}
	}
}

//go:embed data/testkeys.txt
var testKeyTable string

// isTestKey says that a key in a program is one that it tests itself with. In a
// file of its own such a key is a door all the same.
func isTestKey(x *keyFound) bool {
	sum, ok := strings.CutPrefix(x.fingerprint, "sha256:")
	return ok && x.private && x.file.Type.Executable() && strings.Contains(testKeyTable, "\n"+sum+" ")
}

// add takes a key; one that is known gets another place.
func (k *keys) add(x keyFound) {
	if isTestKey(&x) {
		return
	}
	id := x.fingerprint
	if x.private {
		id += " private"
	}
	if x.fingerprint == "" {
		id = innerPath(x.file) + "\x00" + x.title + "\x00" + x.found
	}
	if old := k.found[id]; old != nil {
		if len(old.more) < 50 {
			old.more = append(old.more, &x)
		}
		return
	}
	k.found[id] = &x
	k.order = append(k.order, id)
}

func (k *keys) report(x *keyFound) {
	for _, m := range x.more { // the strongest place stands for all
		if m.rank().Rank() > x.rank().Rank() {
			m.more = append(x.more, x)
			x = m
			break
		}
	}
	detail := doorward.Detail{"path": x.file.Path, "private": x.private}
	if x.algorithm != "" {
		detail["algorithm"] = algorithmName(x.algorithm)
	}
	if x.fingerprint != "" {
		detail["fingerprint"] = x.fingerprint
	}
	usedBy := x.usedBy
	where := x.where()
	evidence := []doorward.Evidence{x.evidence()}
	deleted := x.file.Deleted()
	for _, m := range x.more {
		if m == x || m.file == x.file && m.offset == x.offset && m.line == x.line {
			continue
		}
		where = append(where, m.where()...)
		e := m.evidence()
		e.Path = innerPath(m.file)
		evidence = append(evidence, e)
		usedBy = append(usedBy, m.usedBy...)
		deleted = deleted && m.file.Deleted()
	}
	slices.Sort(usedBy)
	if usedBy = slices.Compact(usedBy); len(usedBy) > 0 {
		detail["used_by"] = strings.Join(usedBy, " ")
	}
	certainty, weight := x.certainty, x.rank()
	if deleted {
		certainty, weight = doorward.Hint, doorward.Low
		evidence[0].Note += "; only in a deleted layer or file: still in the artifact"
	}
	k.out.Door(doorward.Door{
		Kind: doorward.KindKey, Title: clip(x.title, 90), Weight: weight, Reach: x.reach, Stages: []doorward.Stage{doorward.Access}, Certainty: certainty,
		Where: where, Evidence: evidence, Check: checkLine(x.file, x.line), References: append([]string{}, x.references...), Detail: detail, Secrets: withoutEmpty(x.secrets),
	})
}

func (x *keyFound) rank() doorward.Weight {
	if x.weight != "" {
		return x.weight
	}
	return doorward.Weigh(x.gain, x.reach, x.hidden, false).Down(x.lighter)
}

func (x *keyFound) where() []doorward.Where {
	if x.offset >= 0 {
		return x.file.WhereAt(x.offset)
	}
	return x.file.Where()
}

func (x *keyFound) evidence() doorward.Evidence {
	e := doorward.Evidence{What: clip(x.found, 300), Note: x.note, Line: x.line}
	if x.offset >= 0 {
		e.Offset = &x.offset
	}
	return e
}

// sshFingerprint is OpenSSH's SHA256: of a public blob.
func sshFingerprint(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func hexFingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// isForSSH says by place that a key is one of SSH, whatever its format.
func isForSSH(p string) bool {
	base := strings.ToLower(path.Base(p))
	return strings.HasPrefix(base, "ssh_host") || strings.HasPrefix(base, "id_") || strings.Contains(base, "dropbear") || strings.Contains(p, ".ssh/") || strings.Contains(p, "/ssh/") ||
		strings.Contains(p, "dropbear/") || strings.HasPrefix(base, "ssh-")
}

// setPrivate fills in what a private key is, how it is identified and how much
// it matters.
func (k *keys) setPrivate(x *keyFound, key secretKey, form string) {
	x.private, x.algorithm = true, key.algorithm
	blob := sshPublic(key.public)
	if isForSSH(x.file.Path) && blob != nil {
		x.fingerprint = sshFingerprint(blob)
	} else if spki := subjectPublicKey(key.public); spki != nil {
		x.fingerprint = hexFingerprint(spki)
	}
	k.privateUse(x, form)
}

// privateUse says who uses a private key.
func (k *keys) privateUse(x *keyFound, form string) {
	x.gain, x.reach, x.certainty = doorward.UserData, doorward.Remote, doorward.Shown
	x.references = []string{"CWE-321", "CWE-798", "T1552.004"}
	x.title = "private key (" + x.algorithm + ") that is the same on every unit"
	x.note = form + ": whoever has one unit, or the image, has the key of all"
	x.usedBy = k.users(x.file)
	switch {
	case x.file.Has("PolarSSL Test"):
		x.certainty, x.weight = doorward.Hint, doorward.Low
		x.note = "a test key of a TLS library that came along"
	case len(x.usedBy) > 0:
		x.title = "private key (" + x.algorithm + ") of " + strings.Join(x.usedBy, ", ") + ", the same on every unit"
	case x.file.Type.Executable():
		x.note += "; it lies in a program"
	case k.hostKeyOf(x.file) != "":
		x.usedBy = []string{k.hostKeyOf(x.file)}
		x.title = "private key (" + x.algorithm + ") of " + x.usedBy[0] + ", the same on every unit"
	case keyFolder.MatchString(path.Dir(x.file.Path)):
		x.certainty = doorward.Likely
		x.note += "; nothing that names the file was found, but it lies where keys that are used lie"
	default:
		x.certainty = doorward.Likely
		x.note += "; nothing that names the file was found: assumes that something uses it"
		x.lighter = 1
	}
}

var keyFolder = regexp.MustCompile(`(?i)(^|/)(certs?|certificates?|ssl|tls|keys?|private|pki|openvpn|ssh|\.ssh|dropbear|stunnel|https?)(/|$)`)

// hostKeyOf is the SSH server that reads a file by its usual name.
func (k *keys) hostKeyOf(f *product.File) string {
	server := k.sshServer(f.Volume)
	if server == "dropbear" && strings.HasPrefix(f.Base(), "dropbear_") || server == "sshd" && strings.HasPrefix(f.Base(), "ssh_host_") {
		return server
	}
	return ""
}

// users names the programs and configurations that name a key's file.
func (k *keys) users(f *product.File) []string {
	var list []string
	if f.Type.Executable() {
		return []string{f.Base()}
	}
	if len(f.Base()) < 4 {
		return nil
	}
	for _, m := range k.product.Mentions(f.Base()) {
		if m == f || m.Volume != f.Volume || quietFile(m) || !m.Type.IsText() && !m.Type.Executable() || isPackageList(m.Path) {
			continue
		}
		if m.Type.Executable() && bytes.Contains([]byte(m.Base()), []byte("keygen")) {
			continue
		}
		if !contains(list, m.Base()) {
			list = append(list, m.Base())
		}
		if len(list) >= 6 {
			break
		}
	}
	slices.Sort(list)
	return list
}

func isPackageList(p string) bool {
	return strings.HasSuffix(p, ".list") || strings.HasSuffix(p, ".md5sums") || strings.HasSuffix(p, ".control") || strings.HasSuffix(p, "dpkg/status") || strings.HasSuffix(p, ".conffiles")
}

// isBlob says that keys may lie anywhere in the bytes. A key of some length
// looks like packed data: those types count too.
func isBlob(f *product.File) bool {
	switch f.Type {
	case unpack.TypeObject, unpack.TypeCarved, unpack.TypePadding, unpack.TypeMedia:
		return false
	}
	return true
}

// algorithmName is the algorithm as detail has it, one word for a family
// whatever the format that named it.
func algorithmName(s string) string {
	low := strings.ToLower(s)
	for _, family := range []struct{ mark, name string }{{"ed25519", "ed25519"}, {"ecdsa", "ecdsa"}, {"rsa", "rsa"}, {"dss", "dsa"}, {"dsa", "dsa"}} {
		if strings.Contains(low, family.mark) {
			return family.name
		}
	}
	return low
}
