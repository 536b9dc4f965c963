package uefi

import (
	"bytes"
	"crypto/sha256"
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

const global = "8BE4DF61-93CA-11D2-AA0D-00E098032B8C"

// mkVariable is one variable of a store.
func mkVariable(auth bool, state byte, attr uint32, name, vendor string, data []byte) []byte {
	b := []byte{0xaa, 0x55, state, 0}
	b = binary.LittleEndian.AppendUint32(b, attr)
	if auth {
		b = append(b, make([]byte, 28)...)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(wide(name))))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(append(b, parseGUID(vendor)...), wide(name)...)
	return append(b, data...)
}

// mkStore is a store: kind is auth, plain or $VSS.
func mkStore(kind string, size int, variables ...[]byte) []byte {
	var b []byte
	switch kind {
	case "auth":
		b = append(storeAuth[:], 0, 0, 0, 0, 0x5a, 0xfe, 0, 0, 0, 0, 0, 0)
		binary.LittleEndian.PutUint32(b[16:], uint32(size))
	case "plain":
		b = append(storePlain[:], 0, 0, 0, 0, 0x5a, 0xfe, 0, 0, 0, 0, 0, 0)
		binary.LittleEndian.PutUint32(b[16:], uint32(size))
	default:
		b = append([]byte("$VSS"), 0, 0, 0, 0, 0x5a, 0xfe, 0, 0, 0, 0, 0, 0)
		binary.LittleEndian.PutUint32(b[4:], uint32(size))
	}
	for _, v := range variables {
		b = append(b, v...)
		if kind != "$VSS" {
			b = padTo(b, 4, 0xff)
		}
	}
	return append(b, bytes.Repeat([]byte{0xff}, size-len(b))...)
}

// mkSignatures is one EFI_SIGNATURE_LIST.
func mkSignatures(kind string, data ...[]byte) []byte {
	b := parseGUID(kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(28+len(data)*(16+len(data[0]))))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(16+len(data[0])))
	for _, d := range data {
		b = append(append(b, parseGUID(guidB)...), d...)
	}
	return b
}

func sampleVariables(auth bool) [][]byte {
	digest := sha256.Sum256(nil)
	return [][]byte{
		mkVariable(auth, 0x3f, 7, "Lang", global, []byte("eng\x00")),
		mkVariable(auth, 0x3d, 7, "Timeout", global, []byte{9, 9}),
		mkVariable(auth, 0x3f, 7, "Timeout", global, []byte{0, 0}),
		mkVariable(auth, 0x3f, 0x27, "db", "D719B2CB-3D3A-4596-A3BC-DAD00E67656F", append(mkSignatures("A5C059A1-94E4-4AA7-87B5-AB155C2BF072", []byte("a certificate")), mkSignatures("C1C41626-504C-4092-ACA9-41F936934328", digest[:], digest[:])...)),
		mkVariable(auth, 0x3e, 3, "a/b", guidA, bytes.Repeat([]byte("x"), 101)),
	}
}

func TestVariables(t *testing.T) {
	want := "Lang-8be4df61-93ca-11d2-aa0d-00e098032b8c Timeout-8be4df61-93ca-11d2-aa0d-00e098032b8c a%2Fb-11111111-2222-3333-4444-555566667777 db-d719b2cb-3d3a-4596-a3bc-dad00e67656f db/sha256.txt db/x509-1.cer deleted/Timeout-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	for _, kind := range []string{"auth", "plain", "$VSS"} {
		img := mkStore(kind, 8192, sampleVariables(kind == "auth")...)
		o := unpacktest.OpenBytes(t, Variables, append(bytes.Clone(img), "behind"...))
		got := contents(t, o)
		if names(got) != want || o.Size != 8192 || o.Info["variables"] != "4" || string(got["db/x509-1.cer"]) != "a certificate" || len(got["a%2Fb-11111111-2222-3333-4444-555566667777"]) != 101 {
			t.Errorf("%s: %s", kind, names(got))
		}
		if text := string(got["db/sha256.txt"]); strings.Count(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n") != 2 {
			t.Errorf("%s: %s", kind, text)
		}
		// A variable that is broken costs no other.
		bad := bytes.Clone(img)
		copy(bad[bytes.Index(bad, wide("Lang"))-24:], "\xff\xff\xff\xff")
		o, err := Variables.Open(unpacktest.Input(bad))
		if err != nil || o.Err == nil || len(o.Entries) != len(got)-1 {
			t.Errorf("%s: %v %v", kind, err, o.Err)
		}
		if o, err := Variables.Open(unpacktest.Input(img[:300])); err != nil || o.Err == nil {
			t.Errorf("%s: cut: %v", kind, err)
		}
	}
	if _, err := Variables.Open(unpacktest.Input(make([]byte, 100))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

func mkNVAR(attr byte, next int, body ...[]byte) []byte {
	b := append([]byte("NVAR"), 0, 0, byte(next), byte(next>>8), byte(next>>16), attr)
	b = append(b, bytes.Join(body, nil)...)
	binary.LittleEndian.PutUint16(b[4:], uint16(len(b)))
	return b
}

func sampleNVAR() []byte {
	setup := mkNVAR(nvarValid|nvarASCII, 0, []byte{1}, []byte("Setup\x00"), []byte("old content"))
	wideName := mkNVAR(nvarValid|nvarGUID|nvarRuntime, nvarLast, parseGUID(guidA), wide("Wide"), []byte("w"))
	gone := mkNVAR(nvarASCII, nvarLast, []byte{0}, []byte("Gone\x00"), []byte("g"))
	put24(setup[6:], len(setup)+len(wideName)+len(gone))
	newer := mkNVAR(nvarValid|nvarDataOnly|nvarExtended, nvarLast, []byte("new content"), []byte{0, 3, 0})
	b := bytes.Join([][]byte{setup, wideName, gone, newer}, nil)
	b = append(b, bytes.Repeat([]byte{0xff}, 100)...)
	return append(append(b, parseGUID(guidB)...), parseGUID(global)...)
}

func TestNVAR(t *testing.T) {
	got := contents(t, unpacktest.OpenBytes(t, NVAR, sampleNVAR()))
	if names(got) != "Setup-a1b2c3d4-e5f6-0718-293a-4b5c6d7e8f90 Wide-11111111-2222-3333-4444-555566667777 deleted/Gone-8be4df61-93ca-11d2-aa0d-00e098032b8c" ||
		string(got["Setup-a1b2c3d4-e5f6-0718-293a-4b5c6d7e8f90"]) != "new content" {
		t.Errorf("%s %q", names(got), got)
	}
	if _, err := NVAR.Open(unpacktest.Input([]byte("NVARNVARNVARNVARNVAR"))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
}

// TestVariablesReal opens the variables of Debian's OVMF with Microsoft's keys:
// efitools finds the same certificates.
func TestVariablesReal(t *testing.T) {
	b := testtool.DebFile(t, "ovmf", "usr/share/OVMF/OVMF_VARS_4M.ms.fd")
	v := unpacktest.OpenBytes(t, Volume, b)
	if len(v.Parts) != 2 || v.Parts[0].Name != "variables" {
		t.Fatalf("%v", v.Parts)
	}
	store, _ := unpack.ReadAll(v.Parts[0].Data, 1<<20)
	got := contents(t, unpacktest.OpenBytes(t, Variables, store))
	spare, _ := unpack.ReadAll(v.Parts[1].Data, 1<<20)
	if o := unpacktest.OpenBytes(t, FaultTolerant, spare[0x1000:]); o.Size != 0x1000 {
		t.Errorf("working block of %d bytes", o.Size)
	}
	if string(got["CustomMode-c076ec0c-7028-4399-a072-71ee5c448b9f"]) != "\x00" || string(got["SecureBootEnable-f0a30bc7-af08-4556-99c4-001009c93a44"]) != "\x01" {
		t.Error("modes of secure boot")
	}
	testtool.Need(t, "sig-list-to-certs")
	for name, count := range map[string]int{"PK-8be4df61-93ca-11d2-aa0d-00e098032b8c": 1, "KEK-8be4df61-93ca-11d2-aa0d-00e098032b8c": 2, "db-d719b2cb-3d3a-4596-a3bc-dad00e67656f": 2} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "list"), got[name], 0o600); err != nil {
			t.Fatal(err)
		}
		testtool.Run(t, dir, "sig-list-to-certs", "list", "cert")
		files, _ := filepath.Glob(filepath.Join(dir, "cert-*.der"))
		if len(files) != count {
			t.Errorf("%s: %d certificates", name, len(files))
		}
		for _, f := range files {
			want, _ := os.ReadFile(f)
			found := false
			for path, data := range got {
				found = found || strings.HasPrefix(path, strings.SplitN(name, "-", 2)[0]+"/x509-") && bytes.Equal(data, want)
			}
			if !found {
				t.Errorf("%s is missing", f)
			}
		}
	}
}

func FuzzVariables(f *testing.F) {
	unpacktest.Fuzz(f, Variables, mkStore("auth", 1024, sampleVariables(true)...), mkStore("$VSS", 1024, sampleVariables(false)...))
}

func FuzzNVAR(f *testing.F) { unpacktest.Fuzz(f, NVAR, sampleNVAR()) }
