package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func zipNotesOf(o *unpack.Object) string {
	var notes []string
	for _, g := range o.Gaps {
		notes = append(notes, g.Note)
	}
	return strings.Join(notes, "\n")
}

// TestZipDisagreement changes what the local headers say, name by name.
func TestZipDisagreement(t *testing.T) {
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "name-one", []byte("content"))
	unpacktest.WriteFile(t, dir, "name-two", bytes.Repeat([]byte("content\n"), 100))
	b := zipOf(t, dir)
	if o := unpacktest.OpenBytes(t, Zip, b); len(o.Gaps) > 0 || len(o.Parts) > 0 {
		t.Errorf("an honest archive: %q, %v", zipNotesOf(o), o.Parts)
	}
	at := bytes.Index(b, []byte("name-two")) - zipLocalSize
	for want, change := range map[string]func(h []byte){
		`the name "name-twX"`: func(h []byte) { h[zipLocalSize+7] = 'X' },
		"method 0, not 8":     func(h []byte) { h[8] = 0 },
		"if it is encrypted":  func(h []byte) { h[6] |= 1 },
		"the checksum":        func(h []byte) { h[14] ^= 1 },
		"the sizes":           func(h []byte) { h[22] ^= 1 },
	} {
		c := bytes.Clone(b)
		change(c[at:])
		if o := unpacktest.OpenBytes(t, Zip, c); !strings.Contains(zipNotesOf(o), want) {
			t.Errorf("%s: %q", want, zipNotesOf(o))
		}
	}
	c := bytes.ReplaceAll(b, []byte("name-two"), []byte("name-one"))
	if o := unpacktest.OpenBytes(t, Zip, c); !strings.Contains(zipNotesOf(o), "two members are named") {
		t.Errorf("%q", zipNotesOf(o))
	}
}

// unlist takes the first member out of the directory.
func unlist(b []byte) []byte {
	le := binary.LittleEndian
	first := bytes.Index(b, []byte(zipCentral))
	second := first + 1 + bytes.Index(b[first+1:], []byte(zipCentral))
	out := append(bytes.Clone(b[:first]), b[second:]...)
	end := bytes.LastIndex(out, []byte(zipEnd))
	for _, at := range []int{8, 10} {
		le.PutUint16(out[end+at:], le.Uint16(out[end+at:])-1)
	}
	le.PutUint32(out[end+12:], le.Uint32(out[end+12:])-uint32(second-first))
	return out
}

// TestZipUnlisted finds a member that the directory does not name, with and
// without descriptors behind the others.
func TestZipUnlisted(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		unpacktest.WriteFile(t, dir, name, bytes.Repeat([]byte("content of "+name+"\n"), 20))
	}
	for _, args := range [][]string{nil, {"-fd"}} {
		img := packFolder(t, dir, "a.zip", append(append([]string{"zip", "-q"}, args...), "OUT", "a", "b", "c")...)
		le := binary.LittleEndian
		// b leaves the directory: the entry before it takes its place.
		first := bytes.Index(img, []byte(zipCentral))
		n := zipCentralSize + 1 + int(le.Uint16(img[first+30:]))
		swapped := bytes.Clone(img)
		copy(swapped[first:], img[first+n:first+2*n])
		copy(swapped[first+n:], img[first:first+n])
		o := unpacktest.OpenBytes(t, Zip, unlist(swapped))
		if len(o.Entries) != 2 || len(o.Parts) != 1 || !strings.HasPrefix(o.Parts[0].Name, "unlisted") {
			t.Errorf("%v: %v, %v", args, o.Entries, o.Parts)
			continue
		}
		if b := unpacktest.PartBytes(t, o.Parts[0]); !bytes.HasPrefix(b, []byte(zipLocal)) || b[zipLocalSize] != 'b' {
			t.Errorf("%q", b)
		}
	}
}

// TestZipEncrypted has PKWARE's encryption, and AES.
func TestZipEncrypted(t *testing.T) {
	testtool.Need(t, "7z")
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "secret", bytes.Repeat([]byte("content\n"), 100))
	for _, method := range []string{"ZipCrypto", "AES128", "AES256"} {
		b := packFolder(t, dir, "a.zip", "7z", "a", "-tzip", "-bd", "-y", "-psecret", "-mem="+method, "OUT", "secret")
		o := unpacktest.OpenBytes(t, Zip, b)
		if len(o.Entries) != 1 || !errors.Is(o.Entries[0].Err, unpack.ErrEncrypted) {
			t.Errorf("%s: %+v", method, o.Entries)
		}
	}
}

// TestAPK reads who signed.
func TestAPK(t *testing.T) {
	for _, tool := range []string{"apksigner", "openssl"} {
		testtool.Need(t, tool)
	}
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "classes.dex", bytes.Repeat([]byte("code"), 500))
	os.WriteFile(filepath.Join(dir, "plain.zip"), zipOf(t, dir), 0o644)
	testtool.Run(t, dir, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=Doorward test")
	testtool.Run(t, dir, "openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER", "-out", "key.pk8")
	testtool.Run(t, dir, "apksigner", "sign", "--key", "key.pk8", "--cert", "cert.pem", "--min-sdk-version", "24", "--v1-signing-enabled", "false", "--v2-signing-enabled", "true", "--v3-signing-enabled", "true", "--out", "signed.apk", "plain.zip")
	b, err := os.ReadFile(filepath.Join(dir, "signed.apk"))
	if err != nil {
		t.Fatal(err)
	}
	o := unpacktest.OpenBytes(t, Zip, b)
	if o.Info["signature schemes"] != "v2 v3" || !strings.Contains(o.Info["signer"], "CN=Doorward test, sha256:") || len(o.Gaps) > 0 {
		t.Errorf("%v, %q", o.Info, zipNotesOf(o))
	}
	if len(o.Parts) != 2 || !strings.HasPrefix(o.Parts[0].Name, "certificate v2") {
		t.Errorf("%v", o.Parts)
	}
	at := bytes.Index(b, []byte(apkMark))
	for _, change := range []int{at - 8, at - 7, at - 600} {
		c := bytes.Clone(b)
		c[change] ^= 0x55
		if o, err := Zip.Open(unpacktest.Input(c)); err == nil && len(o.Gaps) == 0 && change > at-100 {
			t.Errorf("the byte at 0x%x is changed, and nothing says so", change)
		}
	}
}
