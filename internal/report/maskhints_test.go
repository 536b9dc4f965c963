package report

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestHintsHideNothing makes texts of what the rules look for: those that hints
// leave out would have found nothing.
func TestHintsHideNothing(t *testing.T) {
	bits := []string{
		"pass", "PassWord", "paſs", "pwd", "secret", "Token", "psk", "api", "API_KEY", "key", "-", "_", ".", "=", ":", ":=", "==", " ", "\n", "'", `"`, "\\", "<", ">", "</", "|", ";", "@",
		"http://u:", "x", "Vq7", "Authorization", "AUTHORIZATION: Basic ", "bearer", "option ", "name=", " value=", "--", "curl", "curl -u a:", " -p", "sshpass", "-U", "echo ", "chpasswd", "passwd", "cryptsetup", "<<<", "openssl", "pass:", "é",
	}
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(bits), 0, 14).Draw(t, "bits"), "")
		program := rapid.SampledFrom([]string{"", "/usr/bin/curl", "sshpass", "cat"}).Draw(t, "program")
		own := rapid.Bool().Draw(t, "own")
		want := spansOf(text, program, own, hints{naming: true})
		found += len(want)
		if got := spans(text, program, own); !slices.Equal(got, want) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	})
	if found == 0 {
		t.Error("no text had a secret")
	}
}
