package unpack

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeyForms(t *testing.T) {
	for file, want := range map[string]struct {
		pass string
		n    int
		raw  string
	}{
		"secret\n":                                           {"secret", 6, "secret"},
		"00 11:22\t0x33\r\n":                                 {"00 11:22\t0x33", 4, "\x00\x11\x22\x33"},
		"0123456789abcdef0123456789ABCDEF\n":                 {"0123456789abcdef0123456789ABCDEF", 16, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"},
		"\x00\x01\x02\x03\x04\x05\x06\x07":                   {"\x00\x01\x02\x03\x04\x05\x06\x07", 8, "\x00\x01\x02\x03\x04\x05\x06\x07"},
		"-----BEGIN KEY-----\nAQIDBA==\n-----END KEY-----\n": {"-----BEGIN KEY-----\nAQIDBA==\n-----END KEY-----", 4, "\x01\x02\x03\x04"},
	} {
		k, err := NewKey([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(k.Passphrases()[0]); got != want.pass {
			t.Errorf("%q: passphrase %q", file, got)
		}
		if got := k.Bytes(want.n); len(got) == 0 || string(got[0]) != want.raw {
			t.Errorf("%q: %q", file, got)
		}
		// A key that is printed by mistake shows nothing.
		if text := fmt.Sprintf("%v %+v %#v %s", k, k, Keys{k}, k); strings.Contains(text, want.pass) || strings.Contains(text, fmt.Sprint([]byte(want.pass))) {
			t.Error(text)
		}
	}
	if _, err := NewKey(nil); err == nil {
		t.Error("an empty key")
	}
	if a, _ := NewKey([]byte("a")); true {
		if b, _ := NewKey([]byte("b")); a.Digest() == b.Digest() {
			t.Error("two keys of one digest")
		}
	}
}
