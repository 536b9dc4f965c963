package attest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func seeds(f *testing.F, pattern string) {
	files, _ := filepath.Glob(filepath.Join("testdata", pattern))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

// Whatever is read and unchanged is written as it was; what is not signed by
// the keys of the seeds passes for nothing.
func FuzzRead(f *testing.F) {
	seeds(f, "*.jsonl")
	f.Add([]byte(`{"payload":"aGVsbG8gd29ybGQ=","payloadType":"x","signatures":[{"sig":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Read(text)
		if err != nil {
			return
		}
		again, err := Read(Write(list...))
		if err != nil || !bytes.Equal(Write(again...), Write(list...)) {
			t.Fatalf("what was read can't be written: %v", err)
		}
		for _, e := range list {
			e.Signers(nil)
			e.document()
		}
		OpenDecision(list)
		OpenReport(list[0])
		OpenDeclaration(text, nil)
		IsEnvelope(text)
	})
}

// No key makes a reader ask for a passphrase that it then does not need, or
// panic.
func FuzzKey(f *testing.F) {
	seeds(f, "*.key")
	f.Add(readKey(f, "ed25519.key").PublicKey.PEM())
	f.Fuzz(func(t *testing.T, text []byte) {
		stop := errors.New("stop")
		if k, err := ReadPrivateKey(text, func() ([]byte, error) { return nil, stop }); err == nil {
			if b, err := k.PEM(nil); err != nil || len(b) == 0 {
				t.Fatal(err)
			}
		}
		if k, err := ReadPublicKey(text); err == nil {
			if again, err := ReadPublicKey(k.PEM()); err != nil || again.Fingerprint != k.Fingerprint {
				t.Fatal("a key does not come back")
			}
		}
	})
}

// An exception that is read was signed by its requester.
func FuzzException(f *testing.F) {
	seeds(f, "exception*.jsonl")
	f.Fuzz(func(t *testing.T, text []byte) {
		if x, err := OpenException(text); err == nil && (x.Requester == "" || len(x.Findings) == 0) {
			t.Fatalf("%+v", x)
		}
	})
}

// A decision that is read is written as it was understood.
func FuzzDecision(f *testing.F) {
	f.Add(CanonicalDecision(sampleDecision("admit")))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ReadDecision(text)
		if err != nil {
			return
		}
		again, err := ReadDecision(CanonicalDecision(d))
		if err != nil || !bytes.Equal(CanonicalDecision(again), CanonicalDecision(d)) {
			t.Fatal(err)
		}
	})
}
