package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
)

// evidence is a folder with a signed decision and every sort of input.
func evidence(t *testing.T) (dir string, inputs []string) {
	t.Helper()
	dir = t.TempDir()
	put := func(name string, text []byte) File {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		return File{name, text}
	}
	newKey := func() *attest.PrivateKey {
		k, err := attest.Generate(attest.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(list []*attest.Envelope, k *attest.PrivateKey) []byte {
		for _, e := range list {
			if err := e.Sign(k); err != nil {
				t.Fatal(err)
			}
		}
		return attest.Write(list...)
	}
	officer, user, maker := newKey(), newKey(), newKey()
	document := []byte(`{"bomFormat": "CycloneDX", "specVersion": "1.6"}`)
	declaration, err := attest.Declaration(document)
	if err != nil {
		t.Fatal(err)
	}
	in := Inputs{Level: "internal", At: "2026-11-25", Parameters: map[string]string{"use": "office"}}
	in.Policy = put("p.yaml", fmt.Appendf(nil, evidencePolicy, officer.Fingerprint, maker.Fingerprint))
	in.Reports = []File{put("box.json", []byte(`{"schema":"doorward/report/v1","subject":{"name":"box","sha256":"`+strings.Repeat("a", 64)+`"},"summary":{"read_bytes":9},
"coverage":[{"kind":"service","detectors":["x"],"looked_at":"","found":1}],"declarations":[{"document":"d","sha256":"`+digest(document)+`","pointer":"","text":"","matched":0}],
"doors":[{"id":"door-1","kind":"service","title":"telnet","weight":"high","reach":"remote","status":"undeclared"}]}`))}
	in.Facts = []File{put("facts.json", []byte(`{"schema":"doorward/facts/v1","source":"us","date":"2026-11-01","entities":[],"facts":[{"subject":"product","axis":"development","country":"CH","basis":"asked","class":"attested"}]}`))}
	in.Declarations = []File{put("d.dsse.json", sign([]*attest.Envelope{declaration}, maker))}
	in.Keys = []File{put("maker.pub", maker.PublicKey.PEM())}
	refused, err := in.decide()
	if err != nil {
		t.Fatal(err)
	}
	request, err := attest.Request(doorward.Exception{Findings: []string{"rule:doors"}, PolicySHA256: refused.PolicySHA256, Level: "internal",
		Reason: "x", Issued: "2026-11-25", Until: "2026-12-01"}, refused.Subjects, user)
	if err != nil {
		t.Fatal(err)
	}
	approved, _, err := attest.Approve(attest.Write(request), officer)
	if err != nil {
		t.Fatal(err)
	}
	in.Exceptions = []File{put("pass.json", attest.Write(approved))}
	d, err := in.decide()
	if err != nil {
		t.Fatal(err)
	}
	if d.Result != doorward.Conditional || len(d.Inputs) != 6 {
		t.Fatalf("%s of %d inputs: %+v", d.Result, len(d.Inputs), d)
	}
	list, err := attest.Decision(d, tool)
	if err != nil {
		t.Fatal(err)
	}
	put("evidence.json", sign(list, officer))
	put("officer.pub", officer.PublicKey.PEM())
	for _, x := range d.Inputs {
		inputs = append(inputs, x.Name)
	}
	return dir, inputs
}

const evidencePolicy = `schema: doorward/policy/v1
name: sample
levels: [public, internal]
parameters: {use: {text: what it is for}}
rules:
  - {id: doors, title: No undeclared way in, then: refuse, doors: {weight: high}}
  - {id: signed, title: The maker answers for it, then: refuse, declaration: {unsigned: true}}
  - {id: otherwise, title: What nothing refuses, then: permit}
exceptions: {allowed: true}
keys: {approvers: ['%s'], makers: ['%s']}
`

func verifyIn(dir string) (code int, out string) {
	var b bytes.Buffer
	s := &streams{out: &b, err: &b}
	c := verifyCmd{Envelope: filepath.Join(dir, "evidence.json"), Key: []string{filepath.Join(dir, "officer.pub")}}
	switch err := c.Run(s).(type) {
	case nil:
		return 0, b.String()
	case status:
		return int(err), b.String()
	default:
		return exitFailed, err.Error()
	}
}

// Whatever byte of whatever file is changed: verify fails, in one line, and
// names the input.
func TestAnyChangedByteFailsAndIsNamed(t *testing.T) {
	dir, inputs := evidence(t)
	if code, out := verifyIn(dir); code != 0 {
		t.Fatal(out)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(append([]string{"evidence.json"}, inputs...)).Draw(t, "file")
		file := filepath.Join(dir, name)
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		defer os.WriteFile(file, good, 0o600)
		bad := bytes.Clone(good)
		i := rapid.IntRange(0, len(bad)-1).Draw(t, "byte")
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			bad = append(bad[:i], bad[i+1:]...)
		case 1:
			bad = append(bad[:i+1], bad[i:]...)
		default:
			bad[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		}
		if bytes.Equal(bad, good) {
			return
		}
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out := verifyIn(dir)
		if code != exitUndeclared || strings.Count(out, "\n") != 1 || !strings.Contains(out, name) {
			t.Fatalf("%s: status %d, %q", name, code, out)
		}
	})
}

func TestMissingInputIsNamed(t *testing.T) {
	dir, inputs := evidence(t)
	for _, name := range inputs {
		file := filepath.Join(dir, name)
		if err := os.Rename(file, file+".away"); err != nil {
			t.Fatal(err)
		}
		if code, out := verifyIn(dir); code != exitUndeclared || !strings.Contains(out, name+" is missing") {
			t.Errorf("without %s: status %d, %q", name, code, out)
		}
		if err := os.Rename(file+".away", file); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := verifyIn(dir); code != 0 {
		t.Error(out)
	}
}

// Evidence can't make the verifier read elsewhere.
func TestInputsAreNamesOfFiles(t *testing.T) {
	for _, name := range []string{"../x", "/etc/passwd", "a/b", "..", "", "."} {
		if _, err := (given{}).find(doorward.DecisionInput{Role: roleReport, Name: name}, t.TempDir()); err == nil || strings.Contains(err.Error(), "missing") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
