package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
)

var update = flag.Bool("update", false, "write the golden files anew")

const secret = "hunter2"

func readKey(t testing.TB, name string) *PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	k, err := ReadPrivateKey(text, func() ([]byte, error) { return []byte(secret), nil })
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return k
}

// newKey makes the ECDSA key whose secret number is d.
func newKey(t testing.TB, d string) *PrivateKey {
	t.Helper()
	n, _ := new(big.Int).SetString(d, 10)
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), n.FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := newPrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// specKey is that of the DSSE protocol's example.
const specKey = "97358161215184420915383655311931858321456579547487070936769975997791359926199"

// The example of the DSSE protocol: ECDSA as RFC 6979 has it, r and s as they are.
func TestExampleOfTheProtocol(t *testing.T) {
	pae := PAE("http://example.com/HelloWorld", []byte("hello world"))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; string(pae) != want {
		t.Fatalf("got %q, want %q", pae, want)
	}
	sig, err := newKey(t, specKey).sign(pae)
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	got := base64.StdEncoding.EncodeToString(append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...))
	if want := "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The keys in testdata were made by openssl 3.0 and by the library that cosign
// uses; of each pair the second holds the same key as the first.
func TestKeysOfOthers(t *testing.T) {
	for _, pair := range [][2]string{{"ed25519.key", "pbkdf2.key"}, {"sec1.key", "scrypt.key"}, {"ed25519.key", "cosign.key"}} {
		if a, b := readKey(t, pair[0]), readKey(t, pair[1]); !a.Same(b.PublicKey) {
			t.Errorf("%s is %s, %s is %s", pair[0], a.Fingerprint, pair[1], b.Fingerprint)
		}
	}
	for _, name := range []string{"pbkdf2.key", "scrypt.key", "cosign.key"} {
		text, _ := os.ReadFile(filepath.Join("testdata", name))
		if _, err := ReadPrivateKey(text, func() ([]byte, error) { return []byte("wrong"), nil }); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s with a wrong passphrase: %v", name, err)
		}
	}
}

func TestKeysComeBack(t *testing.T) {
	for _, algorithm := range []string{Ed25519, ECDSAP256} {
		k, err := Generate(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		for _, pass := range []string{"", "a passphrase, ä"} {
			text, err := k.PEM([]byte(pass))
			if err != nil {
				t.Fatal(err)
			}
			back, err := ReadPrivateKey(text, func() ([]byte, error) { return []byte(pass), nil })
			if err != nil || !back.Same(k.PublicKey) {
				t.Errorf("%s, passphrase %q: %v", algorithm, pass, err)
			}
		}
		public, err := ReadPublicKey(k.PublicKey.PEM())
		if err != nil || public.Fingerprint != k.Fingerprint {
			t.Errorf("%s: the public key does not come back: %v", algorithm, err)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	private, _ := os.ReadFile("testdata/ed25519.key")
	public := readKey(t, "ed25519.key").PublicKey.PEM()
	none := func() ([]byte, error) { return nil, errors.New("nobody asks") }
	for name, x := range map[string]struct {
		read func() error
		want string
	}{
		"private as public": {func() error { _, err := ReadPublicKey(private); return err }, "a private key"},
		"public as private": {func() error { _, err := ReadPrivateKey(public, none); return err }, "a public key"},
		"no PEM":            {func() error { _, err := ReadPublicKey([]byte("ssh-ed25519 AAAA")); return err }, "no key in PEM"},
		"cut":               {func() error { _, err := ReadPublicKey(public[:len(public)-40]); return err }, "no key in PEM"},
		"a certificate": {func() error {
			_, err := ReadPublicKey([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
			return err
		}, "no key that is read"},
		"costly scrypt": {func() error {
			_, err := newScrypt(scryptParams{N: 1 << 24, R: 8, P: 1})
			return err
		}, "is not done"},
	} {
		if err := x.read(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func sampleDecision(result doorward.Result) *doorward.Decision {
	return &doorward.Decision{
		Schema: doorward.DecisionSchema, Level: "internal", Result: result, At: "2026-11-25", Policy: "sample", PolicySHA256: strings.Repeat("1", 64),
		Subjects:   []doorward.DecisionSubject{{Name: "camera.bin", SHA256: strings.Repeat("a", 64)}, {Name: "app <1>.apk", SHA256: strings.Repeat("b", 64)}},
		Inputs:     []doorward.DecisionInput{{Role: "policy", Name: "p.yaml", SHA256: strings.Repeat("1", 64)}, {Role: "report", Name: "camera.json", SHA256: strings.Repeat("2", 64)}},
		Parameters: map[string]string{"use": "office"},
		Reasons:    []doorward.Reason{{Rule: "otherwise", Effect: "permit", Known: doorward.Applies, Text: "What nothing refuses", Facts: []string{}}},
		Conditions: map[bool][]string{true: {"seal the case"}}[result == doorward.Conditional],

		WouldChange: []string{}, Rules: map[string]doorward.Outcome{"otherwise": doorward.Applies},
	}
}

func signed(t testing.TB, keys []*PrivateKey, list ...*Envelope) []byte {
	t.Helper()
	for _, e := range list {
		for _, k := range keys {
			if err := e.Sign(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	return Write(list...)
}

func sampleRequest(t testing.TB, key *PrivateKey) *Envelope {
	t.Helper()
	d := sampleDecision(doorward.Refuse)
	e, err := Request(doorward.Exception{
		Findings: []string{"door-0123456789abcdef"}, PolicySHA256: d.PolicySHA256, Level: "internal", Reason: "until the spare part comes",
		Issued: "2026-11-25", Until: "2026-12-31",
	}, d.Subjects, key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The same statement gives the same bytes, in this version and in later ones.
func TestGolden(t *testing.T) {
	ed, ec := readKey(t, "ed25519.key"), newKey(t, specKey)
	tool := Tool{"doorward", "0.1.0"}
	approved, _, err := Approve(Write(sampleRequest(t, ed)), ec)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{"exception": Write(approved)}
	for _, result := range []doorward.Result{doorward.Admit, doorward.Refuse, doorward.Conditional, doorward.Undetermined} {
		list, err := Decision(sampleDecision(result), tool)
		if err != nil {
			t.Fatal(err)
		}
		got[string(result)] = signed(t, []*PrivateKey{ed, ec}, list...)
	}
	report, err := Report("r.json", []byte("{}"), &doorward.Report{Subject: doorward.Subject{Name: "x", SHA256: strings.Repeat("c", 64)}}, tool)
	if err != nil {
		t.Fatal(err)
	}
	got["report"] = signed(t, []*PrivateKey{ed}, report)
	declaration, err := Declaration([]byte(`{"bomFormat": "CycloneDX", "specVersion": "1.6"}`))
	if err != nil {
		t.Fatal(err)
	}
	got["declaration"] = signed(t, []*PrivateKey{ec}, declaration)
	for name, text := range got {
		file := filepath.Join("testdata", name+".intoto.jsonl")
		if *update {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", file, text, want)
		}
	}
}

func TestDecisionComesBack(t *testing.T) {
	for result, envelopes := range map[doorward.Result]int{doorward.Admit: 2, doorward.Refuse: 2, doorward.Conditional: 1, doorward.Undetermined: 1} {
		d := sampleDecision(result)
		list, err := Decision(d, Tool{"doorward", "1"})
		if err != nil || len(list) != envelopes {
			t.Fatalf("%s has %d envelopes: %v", result, len(list), err)
		}
		again, _, err := OpenDecision(list)
		if err != nil || !bytes.Equal(CanonicalDecision(again), CanonicalDecision(d)) {
			t.Errorf("%s does not come back: %v", result, err)
		}
	}
	d := sampleDecision(doorward.Admit)
	d.Subjects[1].SHA256 = ""
	if _, err := Decision(d, Tool{}); err == nil || !strings.Contains(err.Error(), "app <1>.apk") {
		t.Errorf("an artifact without a digest: %v", err)
	}
}

// The summary must say what the decision says, even if its signature is good.
func TestSummaryMustAgree(t *testing.T) {
	k := readKey(t, "ed25519.key")
	admit, _ := Decision(sampleDecision(doorward.Admit), Tool{})
	refuse, _ := Decision(sampleDecision(doorward.Refuse), Tool{})
	mixed := []*Envelope{refuse[0], admit[1]}
	signed(t, []*PrivateKey{k}, mixed...)
	if _, _, err := OpenDecision(mixed); err == nil {
		t.Error("a refusal passes with the summary of an admission")
	}
	if _, _, err := OpenDecision(refuse[:1]); err == nil {
		t.Error("a refusal passes without its summary")
	}
}

func TestExceptionSignatures(t *testing.T) {
	a, b, c := readKey(t, "ed25519.key"), newKey(t, specKey), readKey(t, "sec1.key")
	request := Write(sampleRequest(t, a))
	x, err := OpenException(request)
	if err != nil || x.Requester != a.Fingerprint || x.Approver != "" || len(x.Products) != 2 {
		t.Fatalf("a request is %+v, %v", x, err)
	}
	if _, _, err := Approve(request, a); err == nil {
		t.Error("the requester approves")
	}
	e, _, err := Approve(request, b)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := OpenException(Write(e)); err != nil || x.Approver != b.Fingerprint {
		t.Errorf("approved: %+v, %v", x, err)
	}
	if _, _, err := Approve(Write(e), c); err == nil {
		t.Error("it is approved twice")
	}
	twice := *e
	twice.Signatures = append(twice.Signatures[:1:1], twice.Signatures[0])
	if x, err := OpenException(Write(&twice)); err == nil && x.Approver != x.Requester {
		t.Errorf("one signature, written twice, makes %+v", x)
	}
	swapped := *e
	swapped.Signatures = []Signature{e.Signatures[1], e.Signatures[0]}
	if _, err := OpenException(Write(&swapped)); err == nil {
		t.Error("who approves passes for who asks")
	}
}

// Whatever byte of a signed file is changed: it does not pass.
func TestAnyChangedByteIsSeen(t *testing.T) {
	ed, ec := readKey(t, "ed25519.key"), newKey(t, specKey)
	keys := []*PublicKey{ed.PublicKey, ec.PublicKey}
	list, err := Decision(sampleDecision(doorward.Refuse), Tool{"doorward", "1"})
	if err != nil {
		t.Fatal(err)
	}
	decision := signed(t, []*PrivateKey{ed, ec}, list...)
	approved, _, err := Approve(Write(sampleRequest(t, ed)), ec)
	if err != nil {
		t.Fatal(err)
	}
	exception := Write(approved)
	check := func(text []byte) error {
		list, err := Read(text)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := e.SignedBy(keys); err != nil {
				return err
			}
		}
		return Unchanged(list, text)
	}
	if err := errors.Join(check(decision), check(exception)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := bytes.Clone(rapid.SampledFrom([][]byte{decision, exception}).Draw(t, "file"))
		i := rapid.IntRange(0, len(text)-1).Draw(t, "byte")
		text[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		if check(text) == nil {
			t.Fatalf("byte %d may be %q", i, text[i])
		}
		if _, err := OpenException(text); err == nil {
			t.Fatalf("the exception with byte %d as %q passes", i, text[i])
		}
	})
}

// Every single byte of one envelope, left out and changed: chance might pass
// over the few that stand in the name of a key.
func TestEveryByteOfAnEnvelope(t *testing.T) {
	k := readKey(t, "ed25519.key")
	for _, e := range []*Envelope{sampleRequest(t, k), {PayloadType: CycloneDXType, Payload: []byte("{}")}} {
		if len(e.Signatures) == 0 {
			signed(t, []*PrivateKey{k}, e)
		}
		good := Write(e)
		for i := range good {
			flipped := bytes.Clone(good)
			flipped[i] ^= 0x20 // the other case, in letters
			for _, bad := range [][]byte{flipped, append(bytes.Clone(good[:i]), good[i+1:]...)} {
				list, err := Read(bad)
				if err == nil {
					err = list[0].SignedBy([]*PublicKey{k.PublicKey})
				}
				if err == nil && Unchanged(list, bad) == nil {
					t.Errorf("%s passes", bad)
				}
			}
		}
	}
}

// Declarations of other tools: base64 of the other alphabet, white space, no key
// in the envelope, an attestation of an SBOM as cosign makes it.
func TestDeclarationsOfOthers(t *testing.T) {
	k := newKey(t, specKey)
	e := &Envelope{PayloadType: InTotoType, Payload: []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://cyclonedx.org/bom/v1.6","predicate":{"bomFormat":"CycloneDX", "é?>~":"ÿ"}}`)}
	if err := e.Sign(k); err != nil {
		t.Fatal(err)
	}
	text := []byte("{\n \"payload\": \"" + base64.RawURLEncoding.EncodeToString(e.Payload) + "\",\n \"payloadType\": \"" + e.PayloadType +
		"\",\n \"signatures\": [{\"sig\": \"" + base64.URLEncoding.EncodeToString(e.Signatures[0].Sig) + "\"}]\n}")
	d, err := OpenDeclaration(text, []*PublicKey{readKey(t, "ed25519.key").PublicKey, k.PublicKey})
	if err != nil || string(d.Text) != `{"bomFormat":"CycloneDX", "é?>~":"ÿ"}` || len(d.Keys) != 1 || d.Keys[0] != k.Fingerprint {
		t.Fatalf("got %+v, %v", d, err)
	}
	if d, err := OpenDeclaration(text, nil); err != nil || len(d.Keys) != 0 {
		t.Errorf("without the key: %+v, %v", d, err)
	}
}
