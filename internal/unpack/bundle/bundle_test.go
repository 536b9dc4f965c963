package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/zlib"
)

func program(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parts are the names of what a program carries; a program without anything is
// refused.
func parts(t testing.TB, r *unpack.Reader, b []byte) string {
	t.Helper()
	o, err := r.Open(unpacktest.Input(b))
	if err != nil {
		return "nothing"
	}
	var names []string
	for _, p := range o.Parts {
		names = append(names, fmt.Sprintf("%s at %d: %.12q", p.Name, p.Offset, unpack.ReadSome(p.Data, 0, 12)))
	}
	for _, g := range o.Gaps {
		names = append(names, g.Reason)
	}
	return strings.Join(names, ", ")
}

func TestELF(t *testing.T) {
	b := program(t)
	behind := func(more string) []byte { return append(bytes.Clone(b), more...) }
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"plain", "nothing", b},
		{"padding", "nothing", behind(strings.Repeat("\x00", 5000))},
		{"a module's signature", "nothing", behind("signature signature~Module signature appended~\n")},
		{"payload", fmt.Sprintf("overlay at %d: %.12q", len(b), "hsqs and more"), behind("hsqs and more, more")},
		{"cut", "nothing", b[:len(b)/2]},
		{"no headers", "nothing", b[:64]},
	} {
		if got := parts(t, ELF, c.b); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// elfWith is a program with a section of that name.
func elfWith(t testing.TB, section, content string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	os.WriteFile(in, program(t), 0o755)
	os.WriteFile(filepath.Join(dir, "s"), []byte(content), 0o644)
	testtool.Run(t, dir, "objcopy", "--add-section", section+"=s", in, out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestELFSections(t *testing.T) {
	testtool.Need(t, "objcopy")
	if got := parts(t, ELF, elfWith(t, "pydata", "the content")); !strings.HasPrefix(got, "pydata at ") || !strings.HasSuffix(got, `"the content"`) {
		t.Error(got)
	}
	if got := parts(t, ELF, elfWith(t, "other", "the content")); got != "nothing" {
		t.Error(got)
	}
}

// TestELFOrders: headers of both classes and byte orders, made by hand.
func TestELFOrders(t *testing.T) {
	for _, wide := range []bool{false, true} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			h := []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
			word := func(v uint64) {
				if wide {
					h = order.AppendUint64(h, v)
				} else {
					h = order.AppendUint32(h, uint32(v))
				}
			}
			half := func(v ...uint16) {
				for _, v := range v {
					h = order.AppendUint16(h, v)
				}
			}
			head, seg := uint64(52), uint16(32)
			if wide {
				h[4], head, seg = 2, 64, 56
			}
			if order.String() == "BigEndian" {
				h[5] = 2
			}
			half(2, 40)
			h = order.AppendUint32(h, 1)
			word(0)
			word(head)
			word(0)
			h = order.AppendUint32(h, 0)
			half(uint16(head), seg, 1, 0, 0, 0)
			h = order.AppendUint32(h, 1)
			if wide {
				h = order.AppendUint32(h, 5)
				for _, v := range []uint64{0, 0, 0, 200, 200, 1} {
					word(v)
				}
			} else {
				for _, v := range []uint64{0, 0, 0, 200, 200, 5, 1} {
					word(v)
				}
			}
			h = append(append(h, make([]byte, 200-len(h))...), "the payload that follows"...)
			if got := parts(t, ELF, h); got != `overlay at 200: "the payload "` {
				t.Errorf("%v %v: %s", wide, order, got)
			}
		}
	}
}

func TestUPX(t *testing.T) {
	b := bytes.Clone(program(t)[:64+56])
	binary.LittleEndian.PutUint64(b[40:], 0)
	binary.LittleEndian.PutUint16(b[56:], 1)
	binary.LittleEndian.PutUint16(b[60:], 0)
	binary.LittleEndian.PutUint64(b[64+32:], 64)
	b = append(append(append(b, "UPX!"...), make([]byte, 1000)...), "UPX!\x0d\x16"...)
	if got := parts(t, ELF, b); got != "compressed" {
		t.Error(got)
	}
}

// peWith is a program with one section, resources in it, and what follows.
func peWith(section []byte, cert string, behind string) []byte {
	le := binary.LittleEndian
	b := make([]byte, 512)
	copy(b, "MZ")
	b[60] = 64
	copy(b[64:], "PE\x00\x00\x4c\x01\x01\x00")
	le.PutUint16(b[64+20:], 224)
	opt := b[88:]
	le.PutUint16(opt, 0x10b)
	le.PutUint32(opt[60:], 512)
	le.PutUint32(opt[92:], 16)
	le.PutUint32(opt[96+16:], 0x1000)
	sec := b[88+224:]
	copy(sec, ".rsrc")
	le.PutUint32(sec[8:], uint32(len(section)))
	le.PutUint32(sec[12:], 0x1000)
	le.PutUint32(sec[16:], uint32(len(section)))
	le.PutUint32(sec[20:], 512)
	b = append(append(b, section...), behind...)
	if cert != "" {
		le.PutUint32(b[88+96+32:], uint32(len(b)))
		le.PutUint32(b[88+96+36:], uint32(len(cert)))
		b = append(b, cert...)
	}
	return b
}

// resource is a tree with one leaf of that type and content.
func resource(kind uint32, content string) []byte {
	le := binary.LittleEndian
	folder := func(id, at uint32) []byte {
		b := make([]byte, 24)
		le.PutUint16(b[14:], 1)
		le.PutUint32(b[16:], id)
		le.PutUint32(b[20:], at)
		return b
	}
	b := append(append(folder(kind, 24|1<<31), folder(7, 48|1<<31)...), folder(1033, 72)...)
	leaf := make([]byte, 16)
	le.PutUint32(leaf, 0x1000+88)
	le.PutUint32(leaf[4:], uint32(len(content)))
	return append(append(b, leaf...), content...)
}

func TestPE(t *testing.T) {
	cab := "MSCF" + strings.Repeat("x", 100)
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"plain", "nothing", peWith(make([]byte, 512), "", "")},
		{"signed", "nothing", peWith(make([]byte, 512), "the certificates of the maker", "")},
		{"overlay", `overlay at 1024: "an archive, "`, peWith(make([]byte, 512), "", "an archive, appended")},
		{"signed overlay", `overlay at 1024: "an archive, "`, peWith(make([]byte, 512), "the certificates of the maker", "an archive, appended")},
		{"resource", `RCDATA/7/1033 at 600: "MSCFxxxxxxxx"`, peWith(resource(10, cab), "", "")},
		{"other resource", "nothing", peWith(resource(10, strings.Repeat("text ", 100)), "", "")},
		{"loop", "nothing", peWith(bytes.Replace(resource(10, cab), []byte{24, 0, 0, 0x80}, []byte{0, 0, 0, 0x80}, 1), "", "")},
	} {
		if got := parts(t, PE, c.b); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestScript(t *testing.T) {
	text := "#!/bin/sh\necho x\nBZh is no archive here\nexit 0\n"
	for _, c := range []struct {
		name, want string
		b          string
	}{
		{"plain", "nothing", text},
		{"gzip", fmt.Sprintf("payload at %d: %.12q", len(text)-31+31, "\x1f\x8b\x08\x00and more of it"), strings.Replace(text, "BZh", "bzh", 1) + "\x1f\x8b\x08\x00and more of it"},
		{"unknown", fmt.Sprintf("payload at %d: %.12q", len(text), "some\x00thing of its own"), strings.Replace(text, "BZh", "bzh", 1) + "some\x00thing of its own"},
	} {
		if got := parts(t, Script, []byte(c.b)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// asar packs files; a value that starts with "->" is a link, one with "!" lies
// beside.
func asar(t testing.TB, files map[string]string, names ...string) []byte {
	t.Helper()
	root := map[string]any{"files": map[string]any{}}
	var body []byte
	for _, name := range names {
		content := files[name]
		dir := root
		steps := strings.Split(name, "/")
		for _, s := range steps[:len(steps)-1] {
			in := dir["files"].(map[string]any)
			if in[s] == nil {
				in[s] = map[string]any{"files": map[string]any{}}
			}
			dir = in[s].(map[string]any)
		}
		var e map[string]any
		sum := sha256.Sum256([]byte(content))
		switch {
		case strings.HasPrefix(content, "->"):
			e = map[string]any{"link": content[2:]}
		case strings.HasPrefix(content, "!"):
			e = map[string]any{"size": len(content), "unpacked": true}
		default:
			e = map[string]any{"size": len(content), "offset": fmt.Sprint(len(body)), "executable": strings.Contains(name, "bin"),
				"integrity": map[string]any{"algorithm": "SHA256", "hash": hex.EncodeToString(sum[:]), "blockSize": 4 << 20, "blocks": []string{hex.EncodeToString(sum[:])}}}
			body = append(body, content...)
		}
		dir["files"].(map[string]any)[steps[len(steps)-1]] = e
	}
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	padded := (len(text) + 3) &^ 3
	b := binary.LittleEndian.AppendUint32(nil, 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(padded+8))
	b = binary.LittleEndian.AppendUint32(b, uint32(padded+4))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = append(append(b, text...), make([]byte, padded-len(text))...)
	return append(b, body...)
}

func asarSample(t testing.TB) []byte {
	return asar(t, map[string]string{"package.json": "{}", "bin/tool": "#!/bin/sh\n", "lib/a.js": strings.Repeat("code();\n", 50), "link": "->lib/a.js", "native.node": "!gone", "empty": ""},
		"package.json", "bin/tool", "lib/a.js", "link", "native.node", "empty")
}

func TestAsar(t *testing.T) {
	b := asarSample(t)
	o := unpacktest.OpenBytes(t, Asar, append(bytes.Clone(b), "more"...))
	if o.Size != int64(len(b)) || !strings.HasPrefix(o.Info["unpacked"], "1 files") {
		t.Errorf("%d of %d bytes, %v", o.Size, len(b), o.Info)
	}
	tree := unpack.NewTree(o.Entries)
	for p, want := range map[string]string{"package.json": "{}", "lib/a.js": strings.Repeat("code();\n", 50), "link": strings.Repeat("code();\n", 50), "empty": ""} {
		if got, err := fs.ReadFile(tree, p); string(got) != want || err != nil {
			t.Errorf("%s: %.20q, %v", p, got, err)
		}
	}
	if tree.Entry("bin/tool").Mode != 0o755 || tree.Entry("native.node") != nil {
		t.Error("modes")
	}
	unpacktest.Damage(t, Asar, b, unpacktest.Damaged{From: len(b) - 400})
}

func FuzzAsar(f *testing.F) { unpacktest.Fuzz(f, Asar, asarSample(f)) }

func sea(t testing.TB, config string) []byte {
	t.Helper()
	testtool.Need(t, "node")
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "main.js"), []byte("console.log('hello');\n"), 0o644)
	os.WriteFile(filepath.Join(dir, "asset.txt"), []byte("an asset"), 0o644)
	os.WriteFile(filepath.Join(dir, "sea.json"), []byte(config), 0o644)
	testtool.Run(t, dir, "node", "--experimental-sea-config", "sea.json")
	b, err := os.ReadFile(filepath.Join(dir, "out.blob"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNodeSEA(t *testing.T) {
	for _, config := range []string{
		`{"main": "main.js", "output": "out.blob"}`,
		`{"main": "main.js", "output": "out.blob", "assets": {"a.txt": "asset.txt"}}`,
		`{"main": "main.js", "output": "out.blob", "useCodeCache": true, "disableExperimentalSEAWarning": true, "assets": {"a.txt": "asset.txt"}}`,
	} {
		o := unpacktest.OpenBytes(t, NodeSEA, sea(t, config))
		got := map[string]string{}
		for _, e := range o.Entries {
			got[e.Path] = string(unpack.ReadSome(e.Data, 0, 100))
		}
		if got["main.js"] != "console.log('hello');\n" || strings.Contains(config, "assets") && got["assets/a.txt"] != "an asset" {
			t.Errorf("%s: %q", config, got)
		}
	}
}

func FuzzNodeSEA(f *testing.F) {
	unpacktest.Fuzz(f, NodeSEA, sea(f, `{"main": "main.js", "output": "out.blob", "assets": {"a.txt": "asset.txt"}}`))
}

func deflated(content string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(content))
	w.Close()
	return b.Bytes()
}

// carchive writes what PyInstaller does: pieces, table, cookie.
func carchive(modules []byte) []byte {
	var b, table []byte
	be := binary.BigEndian
	add := func(name string, kind byte, content string, compress bool) {
		packed, flag := []byte(content), byte(0)
		if compress {
			packed, flag = deflated(content), 1
		}
		padded := (pyEntrySize + len(name) + 1 + 15) &^ 15
		e := be.AppendUint32(nil, uint32(padded))
		e = be.AppendUint32(e, uint32(len(b)))
		e = be.AppendUint32(e, uint32(len(packed)))
		e = be.AppendUint32(e, uint32(len(content)))
		e = append(append(e, flag, kind), name...)
		table = append(table, append(e, make([]byte, padded-len(e))...)...)
		b = append(b, packed...)
	}
	add("main", 's', strings.Repeat("code ", 100), true)
	add("lib\\x.so", 'b', "\x7fELF library", true)
	add("data.txt", 'x', "data", false)
	add("link", 'n', "data.txt\x00", false)
	add("pyi-option", 'o', "", false)
	add("PYZ.pyz", 'z', string(modules), false)
	at := len(b)
	b = append(b, table...)
	size := len(b) + pyCookieSize
	b = append(b, pyCookie...)
	for _, v := range []int{size, at, len(table), 311} {
		b = be.AppendUint32(b, uint32(v))
	}
	return append(b, append([]byte("libpython3.11.so"), make([]byte, 48)...)...)
}

// pyz marshals the table with Python itself.
func pyz(t testing.TB) []byte {
	t.Helper()
	testtool.Need(t, "python3")
	a, c := deflated("the code of a"), deflated("the code of b.c")
	out := testtool.Run(t, "", "python3", "-c", fmt.Sprintf("import marshal,sys;sys.stdout.buffer.write(marshal.dumps([('a',(1,12,%d)),('b.c',(0,%d,%d)),('ns',(3,%d,0))]))", len(a), 12+len(a), len(c), 12+len(a)+len(c)))
	b := binary.BigEndian.AppendUint32([]byte("PYZ\x00\xa7\x0d\x0d\x0a"), uint32(12+len(a)+len(c)))
	return append(append(append(b, a...), c...), out...)
}

func TestPyInstaller(t *testing.T) {
	modules := pyz(t)
	b := carchive(modules)
	o := unpacktest.OpenBytes(t, PyInstaller, b)
	tree := unpack.NewTree(o.Entries)
	for p, want := range map[string]string{"main.pyc": strings.Repeat("code ", 100), "lib/x.so": "\x7fELF library", "link": "data", "PYZ.pyz": string(modules)} {
		if got, err := fs.ReadFile(tree, p); string(got) != want || err != nil {
			t.Errorf("%s: %.20q, %v", p, got, err)
		}
	}
	if o.Info["python"] != "3.11" || o.Size != int64(len(b)) {
		t.Errorf("%v, %d", o.Info, o.Size)
	}
	if _, err := PyInstaller.Open(unpacktest.Input(append(program(t), b...))); err == nil {
		t.Error("a program is no archive")
	}
	o = unpacktest.OpenBytes(t, PYZ, modules)
	tree = unpack.NewTree(o.Entries)
	for p, want := range map[string]string{"a/__init__.pyc": "the code of a", "b/c.pyc": "the code of b.c"} {
		if got, err := fs.ReadFile(tree, p); string(got) != want || err != nil {
			t.Errorf("%s: %.20q, %v", p, got, err)
		}
	}
	unpacktest.Damage(t, PYZ, modules, unpacktest.Damaged{From: 12, To: 48})
}

func FuzzPyInstaller(f *testing.F) { unpacktest.Fuzz(f, PyInstaller, carchive([]byte("x"))) }
func FuzzPYZ(f *testing.F)         { unpacktest.Fuzz(f, PYZ, pyz(f)) }
func FuzzELF(f *testing.F)         { unpacktest.Fuzz(f, ELF, program(f), program(f)[:2000]) }
func FuzzPE(f *testing.F) {
	unpacktest.Fuzz(f, PE, peWith(resource(10, "MSCF"+strings.Repeat("x", 100)), "the certificates of the maker", "an archive"))
}
func FuzzScript(f *testing.F) {
	unpacktest.Fuzz(f, Script, []byte("#!/bin/sh\nexit\n\x1f\x8b\x08\x00"))
}
