package archive

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// rpmbuild packs a folder. more are lines of the spec file.
func rpmbuild(t testing.TB, dir, payload, more string) []byte {
	t.Helper()
	top := t.TempDir()
	return rpmbuildIn(t, top, dir, payload, more)
}

func rpmbuildIn(t testing.TB, top, dir, payload, more string) []byte {
	t.Helper()
	spec := filepath.Join(top, "p.spec")
	text := fmt.Sprintf(`%%define _binary_payload %s
%%define __os_install_post %%{nil}
%%define _build_id_links none
%%define _invalid_encoding_terminates_build 0
%%define _missing_build_ids_terminate_build 0
Name: sample
Epoch: 3
Version: 1.2
Release: 7
Summary: a sample
License: MIT
Vendor: The Vendor
URL: https://example.com/
BuildArch: noarch
AutoReqProv: no
%%description
text
%%install
mkdir -p %%{buildroot}
cp -a %s/. %%{buildroot}/
%s
`, payload, dir, more)
	if !strings.Contains(more, "%files") {
		text += "%files\n/*\n"
	}
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, top, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+top, "--define", "_rpmdir "+top, "--define", "_rpmfilename p.rpm", spec)
	b, err := os.ReadFile(filepath.Join(top, "p.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rpmTree is the sample without the names that a spec file can't hold.
func rpmTree(t testing.TB) (string, unpacktest.Summary) {
	t.Helper()
	dir := unpacktest.SampleTree(t)
	for _, name := range []string{"odd/new\nline", "odd/with space", "odd/b\xfcro", "loop"} {
		os.Remove(filepath.Join(dir, name))
	}
	want := unpacktest.SummaryOfFolder(t, dir)
	for p, s := range want {
		want[p] = strings.Replace(s, " 12:34 ", " 0:0 ", 1)
	}
	return dir, want
}

func TestRPM(t *testing.T) {
	testtool.Need(t, "rpmbuild")
	dir, want := rpmTree(t)
	for _, payload := range []string{"w.ufdio", "w9.gzdio", "w9.bzdio", "w2.xzdio", "w3.zstdio", "w2.lzdio"} {
		t.Run(payload, func(t *testing.T) {
			img := rpmbuild(t, dir, payload, "")
			o := unpacktest.OpenBytes(t, RPM, append(bytes.Clone(img), "something behind it"...))
			if o.Size != int64(len(img)) {
				t.Errorf("size %d of %d", o.Size, len(img))
			}
			for k, v := range map[string]string{"name": "sample", "version": "1.2-7", "epoch": "3", "vendor": "The Vendor", "licence": "MIT", "url": "https://example.com/", "architecture": "noarch"} {
				if o.Info[k] != v {
					t.Errorf("%s: %q", k, o.Info[k])
				}
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		})
	}
}

func TestRPMScripts(t *testing.T) {
	testtool.Need(t, "rpmbuild")
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "tool"), []byte("x"), 0o755)
	os.Link(filepath.Join(dir, "tool"), filepath.Join(dir, "hard"))
	img := rpmbuild(t, dir, "w9.gzdio", `%pre
echo pre
%post
echo post
%preun -p /bin/bash
echo preun
%postun
echo postun
%pretrans -p <lua>
print("x")
%triggerin -- other
echo triggered
%filetriggerin -- /usr/lib
echo by file
%files
%caps(cap_net_raw,cap_net_admin=ep) /tool
%attr(4750,daemon,wheel) /hard
%ghost /ghost
`)
	o := unpacktest.OpenBytes(t, RPM, img)
	var names []string
	for _, e := range o.Entries {
		names = append(names, fmt.Sprintf("%s %v %q %d", e.Path, e.Mode, e.Xattrs["rpm.user"], e.UID))
		if e.Path == "/tool" && e.Xattrs["security.capability"] != "\x01\x00\x00\x02\x00\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" {
			t.Errorf("capability %x", e.Xattrs["security.capability"])
		}
	}
	if want := []string{`/hard urwxr-x--- "daemon" 65534`, `/tool -rwxr-xr-x "" 0`}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	if len(o.Parts) != 1 || o.Parts[0].Object == nil {
		t.Fatalf("%v", o.Parts)
	}
	got := map[string]string{}
	for _, e := range o.Parts[0].Object.Entries {
		b, _ := unpack.ReadAll(e.Data, 1<<20)
		got[e.Path] = string(b)
	}
	for name, text := range map[string]string{
		"preinst": "#!/bin/sh\necho pre", "postinst": "#!/bin/sh\necho post", "prerm": "#!/bin/bash\necho preun", "postrm": "#!/bin/sh\necho postun",
		"pretrans.lua": "print(\"x\")", "trigger-0": "#!/bin/sh\necho triggered", "filetrigger-0": "#!/bin/sh\necho by file",
	} {
		if strings.TrimSpace(got[name]) != text {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	if !strings.Contains(got[RPMHeader], "sample\x00") {
		t.Error("no header")
	}
}

func TestRPMRandom(t *testing.T) {
	testtool.Need(t, "rpmbuild")
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		if done++; done > 6 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		want := unpacktest.SummaryOfFolder(t, dir)
		if len(want) == 0 {
			return
		}
		o := unpacktest.OpenBytes(t, RPM, rpmbuild(t, dir, "w3.zstdio", ""))
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
	})
}

func TestRPMDamage(t *testing.T) {
	testtool.Need(t, "rpmbuild")
	dir := t.TempDir()
	for i := range 5 {
		os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), bytes.Repeat([]byte("the content of a file\n"), 1+900*i), 0o644)
	}
	unpacktest.Damage(t, RPM, rpmbuild(t, dir, "w9.gzdio", ""), unpacktest.Damaged{From: 96})
}

// TestRPMStripped: a payload whose headers are only numbers, which rpm writes
// for files over 4 GiB, made here of a usual package.
func TestRPMStripped(t *testing.T) {
	h := &rpmHeader{tags: map[uint32]rpmValue{}}
	add := func(tag, kind, count uint32, b []byte) {
		h.tags[tag] = rpmValue{kind, uint32(len(h.store)), count}
		h.store = append(h.store, b...)
	}
	add(rpmTagBaseNames, rpmTexts, 3, []byte("a\x00b\x00c\x00"))
	add(rpmTagDirNames, rpmTexts, 1, []byte("/x/\x00"))
	add(rpmTagDirIndexes, rpmInt32, 3, make([]byte, 12))
	add(rpmTagModes, rpmInt16, 3, []byte{0x81, 0xa4, 0x81, 0xa4, 0x81, 0xa4})
	add(rpmTagInodes, rpmInt32, 3, []byte{0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1})
	add(rpmTagDevices, rpmInt32, 3, make([]byte, 12))
	add(rpmTagLongSizes, rpmInt64, 3, []byte{0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3})
	add(rpmTagCompressor, rpmText, 1, []byte("identity\x00"))
	payload := []byte("07070X00000001\x00\x00hi\x00\x00" + "07070X00000000\x00\x00" + "07070X00000002\x00\x00abc\x00" +
		"070701" + strings.Repeat("00000000", 11) + "0000000b" + "00000000" + "TRAILER!!!\x00\x00\x00\x00")
	in := unpacktest.Input(payload)
	p := &rpmPackage{in: in, header: h, end: int64(len(payload))}
	g := unpack.NewGatherer(in)
	p.files(g)
	o := &unpack.Object{}
	g.Finish(o)
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	for i, want := range []string{"abc", "hi", "abc"} {
		if got := unpack.ReadSome(o.Entries[i].Data, 0, 9); string(got) != want {
			t.Errorf("%s: %q", o.Entries[i].Path, got)
		}
	}
}

func FuzzRPM(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o755)
	seeds := [][]byte{{}}
	for _, payload := range []string{"w.ufdio", "w9.gzdio"} {
		seeds = append(seeds, rpmbuild(f, dir, payload, "%post\necho x\n"))
	}
	unpacktest.Fuzz(f, RPM, seeds...)
}
