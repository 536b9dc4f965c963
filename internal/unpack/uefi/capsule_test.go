package uefi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func mkCapsule(guid string, head int, body []byte) []byte {
	b := parseGUID(guid)
	b = binary.LittleEndian.AppendUint32(b, uint32(head))
	b = binary.LittleEndian.AppendUint32(b, 0x50000)
	b = binary.LittleEndian.AppendUint32(b, uint32(head+len(body)))
	return append(append(b, make([]byte, head-28)...), body...)
}

// mkFMP is the body of a capsule with drivers and payloads.
func mkFMP(version uint32, drivers [][]byte, payloads ...[]byte) []byte {
	n := len(drivers) + len(payloads)
	b := []byte{1, 0, 0, 0, byte(len(drivers)), 0, byte(len(payloads)), 0}
	items := append([][]byte{}, drivers...)
	for _, p := range payloads {
		h := binary.LittleEndian.AppendUint32(nil, version)
		h = append(append(h, parseGUID(guidB)...), 1, 0, 0, 0)
		h = binary.LittleEndian.AppendUint32(h, uint32(len(p)))
		h = binary.LittleEndian.AppendUint32(h, 4)
		h = append(h, make([]byte, 8*(version-1))...)
		items = append(items, append(append(h, p...), "code"...))
	}
	at := 8 + 8*n
	for _, i := range items {
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
		at += len(i)
	}
	return append(b, bytes.Join(items, nil)...)
}

func mkSigned(certificate, image []byte) []byte {
	b := make([]byte, 8)
	b = binary.LittleEndian.AppendUint32(b, uint32(24+len(certificate)))
	b = append(b, 0, 2, 0xf1, 0x0e)
	b = append(append(b, parseGUID("4AAFD29D-68DF-49EE-8AA9-347D375665A7")...), certificate...)
	b = append(b, "MSS1\x10\x00\x00\x00\x05\x00\x00\x00\x02\x00\x00\x00"...)
	return append(b, image...)
}

func parts(o *unpack.Object) map[string]string {
	m := map[string]string{}
	for _, p := range o.Parts {
		b, err := unpack.ReadAll(p.Data, 1<<20)
		if err != nil {
			panic(err)
		}
		m[p.Name] = string(b)
	}
	return m
}

func TestCapsule(t *testing.T) {
	fmp := capsuleFMP.String()
	for v := uint32(1); v <= 3; v++ {
		img := mkCapsule(fmp, 28, mkFMP(v, [][]byte{[]byte("MZ driver")}, []byte("plain image"), mkSigned([]byte("certificate"), []byte("signed image"))))
		o := unpacktest.OpenBytes(t, Capsule, append(bytes.Clone(img), "behind"...))
		got := parts(o)
		if o.Size != int64(len(img)) || names(got) != "driver-0 payload-0 payload-1 signature-1 vendor-code-0 vendor-code-1" || got["payload-0"] != "plain image" || got["payload-1"] != "signed image" || got["signature-1"] != "certificate" {
			t.Errorf("version %d: %q", v, got)
		}
		for _, p := range o.Parts {
			if p.Name == "payload-1" && (p.Info["version"] != "0x5" || !strings.HasPrefix(p.Info["signed"], "yes")) {
				t.Errorf("%v", p.Info)
			}
			if b := img[p.Offset:][:p.Data.Size()]; string(b) != got[p.Name] {
				t.Errorf("%s is not at 0x%x", p.Name, p.Offset)
			}
		}
	}
	plain := mkCapsule("4A3CA68B-7723-48FB-803D-578CC1FEC44D", 4096, []byte("image"))
	if got := parts(unpacktest.OpenBytes(t, Capsule, plain)); got["image"] != "image" {
		t.Errorf("%q", got)
	}
	own := mkCapsule("11111111-2222-3333-8444-555566667777", 28, []byte("image"))
	if got := parts(unpacktest.OpenBytes(t, CapsuleOther, own)); got["image"] != "image" {
		t.Errorf("%q", got)
	}
	if _, err := CapsuleOther.Open(unpacktest.Input(append(own, 0))); !errors.Is(err, unpack.ErrNotThis) {
		t.Error(err)
	}
	if o, err := Capsule.Open(unpacktest.Input(plain[:4099])); err != nil || o.Err == nil {
		t.Error("cut, and no error")
	}
}

func FuzzCapsule(f *testing.F) {
	unpacktest.Fuzz(f, Capsule, mkCapsule(capsuleFMP.String(), 28, mkFMP(3, [][]byte{[]byte("MZ driver")}, mkSigned([]byte("certificate"), []byte("signed image")))))
}
