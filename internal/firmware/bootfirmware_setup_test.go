package firmware

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// This is an independent writer of forms and strings, from UEFI 2.10, chapter 33.

type hiiWriter struct {
	texts []string
	code  []byte
}

func (w *hiiWriter) text(s string) uint16 {
	w.texts = append(w.texts, s)
	return uint16(len(w.texts))
}

func (w *hiiWriter) op(code byte, scope bool, fields ...any) {
	var b bytes.Buffer
	for _, f := range fields {
		binary.Write(&b, binary.LittleEndian, f)
	}
	n := byte(2 + b.Len())
	if scope {
		n |= 0x80
	}
	w.code = append(append(w.code, code, n), b.Bytes()...)
}

func (w *hiiWriter) end() { w.op(0x29, false) }

// option is a question with two answers; marked is the default's value, or -1.
func (w *hiiWriter) option(prompt, zero, one string, marked int) {
	w.op(0x05, true, w.text(prompt), w.text("help"), uint16(1), uint16(7), uint16(3), byte(0), byte(0), byte(0), byte(1), byte(0))
	for i, s := range []string{zero, one} {
		flags := byte(0)
		if i == marked {
			flags = 0x10
		}
		w.op(0x09, false, w.text(s), flags, byte(0), byte(i))
	}
	w.end()
}

func hiiForm(body func(w *hiiWriter)) string {
	w := &hiiWriter{}
	w.text("English")
	w.op(0x0e, true, make([]byte, 16), w.text("Setup"), w.text("help"), byte(1), make([]byte, 16))
	w.op(0x24, false, []byte("0123456789abcdef"), uint16(7), uint16(16), []byte("Setup\x00"))
	w.op(0x01, true, uint16(1), w.text("Main"))
	body(w)
	w.end()
	w.end()
	forms := append(pkg(2, len(w.code)), w.code...)
	var blocks []byte
	for i, s := range w.texts {
		if i%2 == 0 {
			blocks = append(append(append(blocks, 0x10), s...), 0)
			continue
		}
		blocks = append(append(append(blocks, 0x14), utf16(s)...), 0, 0)
	}
	head := make([]byte, 48) // behind the package's own header
	copy(head[42:], "en-US\x00")
	head[0], head[4], head[40] = 52, 52, 1
	blocks = append(blocks, 0)
	strs := append(append(pkg(4, len(head)+len(blocks)), head...), blocks...)
	return string(forms) + "between" + string(strs)
}

func pkg(kind byte, n int) []byte {
	n += 4
	return []byte{byte(n), byte(n >> 8), byte(n >> 16), kind}
}

func setupDoors(t *testing.T, text string, more ...file) []string {
	t.Helper()
	return lines(doorsOf(t, BootFirmware, append([]file{{path: "Setup/Setup.efi", text: mkPE(11, text)}}, more...)...), "what", "condition", "default")
}

func TestSetup(t *testing.T) {
	for _, c := range []struct {
		body func(w *hiiWriter)
		want string
	}{
		{func(w *hiiWriter) { w.option("Debug Interface", "Disabled", "Enabled", 1) }, "debug medium what=jtag condition=setup option Debug Interface default=Enabled"},
		{func(w *hiiWriter) { w.option("Debug Interface", "Disabled", "Enabled", 0) }, "debug info what=jtag condition=setup option Debug Interface default=Disabled"},
		{func(w *hiiWriter) { w.option("Debug Interface", "Disabled", "Enabled", -1) }, "debug info what=jtag condition=setup option Debug Interface"},
		{func(w *hiiWriter) { w.option("Debug Interface Lock", "Disabled", "Enabled", 0) }, "debug medium what=jtag condition=setup option Debug Interface Lock default=Disabled"},
		{func(w *hiiWriter) { w.option("BIOS  Lock", "Disabled", "Enabled", 0) }, "privilege medium what=flash-lock condition=setup option BIOS Lock default=Disabled"},
		{func(w *hiiWriter) { w.option("Console Redirection", "Disabled", "Enabled", 1) }, "debug low what=serial-console condition=setup option Console Redirection default=Enabled"},
		{func(w *hiiWriter) { w.option("Debug Level", "Disabled", "Enabled", 1) }, ""},
		{func(w *hiiWriter) { w.option("Debug Interface", "Port A", "Port B", 1) }, "debug info what=jtag condition=setup option Debug Interface default=Port B"},
		{func(w *hiiWriter) {
			w.op(0x0a, true)
			w.op(0x46, false)
			w.op(0x06, false, w.text("ME FW Image Re-Flash"), w.text("help"), uint16(1), uint16(7), uint16(3), byte(0), byte(1))
			w.end()
		}, "privilege medium what=flash-descriptor condition=setup option ME FW Image Re-Flash default=on"},
	} {
		if got := strings.Join(setupDoors(t, hiiForm(c.body)), ", "); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	// What is stored in the variable counts.
	form := hiiForm(func(w *hiiWriter) { w.option("Debug Interface", "Disabled", "Enabled", 0) })
	got := setupDoors(t, form, file{path: "Setup-33323130-3534-3736-3839-616263646566", text: "\x00\x00\x00\x01\x00"})
	if !slices.Equal(got, []string{"debug medium what=jtag condition=setup option Debug Interface default=Enabled"}) {
		t.Error(got)
	}
	// Texts alone, or damaged forms, are nothing.
	if got := setupDoors(t, form[:len(form)-3]); len(got) > 0 {
		t.Error(got)
	}
	if got := setupDoors(t, "en-US\x00Debug Interface\x00Enabled\x00"); len(got) > 0 {
		t.Error(got)
	}
}

func FuzzSetup(f *testing.F) {
	f.Add([]byte(hiiForm(func(w *hiiWriter) { w.option("Debug Interface", "Disabled", "Enabled", 1) })))
	f.Fuzz(func(t *testing.T, b []byte) {
		var hits []int64
		for i := range b {
			if bytes.HasPrefix(b[i:], []byte(englishMark)) {
				hits = append(hits, int64(i))
			}
		}
		texts := englishTexts(b, hits)
		for _, forms := range formPackages(b) {
			textsFor(forms, texts)
		}
	})
}
