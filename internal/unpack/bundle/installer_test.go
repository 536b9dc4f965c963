package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// sampleFiles are what installers and compound files are made of.
func sampleFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	prog, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 70_001)
	rand.New(rand.NewSource(5)).Read(noise)
	files := map[string][]byte{"a.txt": bytes.Repeat([]byte("some text, again and again\r\n"), 3000), "noise": noise, "prog.exe": prog, "one": {7}, "small": []byte("a small stream")}
	for n, b := range files {
		os.WriteFile(filepath.Join(dir, n), b, 0o644)
	}
	return files
}

const nsisScript = `%s
Name "sample"
OutFile "out.exe"
InstallDir "$PROGRAMFILES\Sample"
Section
  SetOutPath "$INSTDIR"
  File a.txt
  File noise
  SetOutPath "$INSTDIR\sub"
  File prog.exe
  File one
  File "/oname=other name.txt" small
  WriteRegStr HKLM "Software\Sample" "Key" "Value"
SectionEnd
`

func makensis(t testing.TB, options string) ([]byte, map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	files := sampleFiles(t, dir)
	os.WriteFile(filepath.Join(dir, "s.nsi"), []byte(fmt.Sprintf(nsisScript, options)), 0o644)
	testtool.Run(t, dir, "makensis", "-V1", "s.nsi")
	b, err := os.ReadFile(filepath.Join(dir, "out.exe"))
	if err != nil {
		t.Fatal(err)
	}
	return b, files
}

// overlayOf is what a program carries behind its end.
func overlayOf(t testing.TB, r *unpack.Reader, b []byte) []byte {
	t.Helper()
	o := unpacktest.OpenBytes(t, r, b)
	for _, p := range o.Parts {
		if p.Name == "overlay" {
			b, err := unpack.ReadAll(p.Data, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("%v", o.Parts)
	return nil
}

func TestNSIS(t *testing.T) {
	testtool.Need(t, "makensis")
	for _, options := range []string{
		"SetCompressor lzma", "SetCompressor /SOLID lzma", "SetCompressor zlib", "SetCompressor /SOLID zlib", "SetCompress off",
		"Unicode false\nSetCompressor /SOLID lzma", "Unicode false\nSetCompressor zlib", "Unicode true\nSetCompressor /FINAL zlib",
	} {
		b, files := makensis(t, options)
		o := unpacktest.OpenBytes(t, NSIS, overlayOf(t, PE, b))
		want := map[string]string{"$INSTDIR/a.txt": "a.txt", "$INSTDIR/noise": "noise", "$INSTDIR/sub/prog.exe": "prog.exe", "$INSTDIR/sub/one": "one", "$INSTDIR/sub/other name.txt": "small"}
		for _, e := range o.Entries {
			if e.Data == nil {
				t.Errorf("%s: %v", e.Path, e.Err)
				continue
			}
			got, err := unpack.ReadAll(e.Data, 1<<30)
			if name, ok := want[e.Path]; !ok || err != nil || !bytes.Equal(got, files[name]) {
				t.Errorf("%s: %q has %d bytes: %v", options, e.Path, len(got), err)
			}
			delete(want, e.Path)
		}
		if len(want) > 0 || len(o.Parts) != 1 {
			t.Errorf("%s: missing %v", options, want)
		}
		header, _ := unpack.ReadAll(o.Parts[0].Data, 1<<30)
		if !bytes.Contains(bytes.ReplaceAll(header, []byte{0}, nil), []byte(`Software\Sample`)) {
			t.Errorf("%s: no strings", options)
		}
	}
	b, _ := makensis(t, "SetCompressor bzip2")
	o, err := NSIS.Open(unpacktest.Input(overlayOf(t, PE, b)))
	if err != nil || !errors.Is(o.Err, unpack.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func FuzzNSIS(f *testing.F) {
	solid, _ := makensis(f, "SetCompressor /SOLID zlib")
	single, _ := makensis(f, "SetCompress off")
	unpacktest.Fuzz(f, NSIS, overlayOf(f, PE, solid)[:5000], overlayOf(f, PE, single)[:20000])
}

// gsfOLE makes a compound file of the samples.
func gsfOLE(t testing.TB) ([]byte, map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	files := sampleFiles(t, dir)
	args := []string{"createole", "out.ole"}
	for n := range files {
		args = append(args, n)
	}
	testtool.Run(t, dir, "gsf", args...)
	b, err := os.ReadFile(filepath.Join(dir, "out.ole"))
	if err != nil {
		t.Fatal(err)
	}
	return b, files
}

func TestCFB(t *testing.T) {
	testtool.Need(t, "gsf")
	b, files := gsfOLE(t)
	o := unpacktest.OpenBytes(t, CFB, append(bytes.Clone(b), bytes.Repeat([]byte("behind"), 1000)...))
	if o.Size != int64(len(b)) {
		t.Errorf("%d of %d bytes", o.Size, len(b))
	}
	for _, e := range o.Entries {
		got, err := unpack.ReadAll(e.Data, 1<<30)
		if want, ok := files[e.Path]; !ok || err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d: %v", e.Path, len(got), len(want), err)
		}
		delete(files, e.Path)
	}
	if len(files) > 0 {
		t.Errorf("%d are missing", len(files))
	}
	// The format has no checksums: damage to its structure must not loop.
	unpacktest.Damage(t, CFB, b, unpacktest.Damaged{Rounds: 200, Unchecked: true})
}

func msi(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	sampleFiles(t, dir)
	os.WriteFile(filepath.Join(dir, "s.wxs"), []byte(`<?xml version="1.0"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name="Sample" Language="1033" Version="1.2.3" Manufacturer="The Vendor" UpgradeCode="{2AA5F5A7-1B0B-4E43-9C40-5B7B4F0CA0F1}">
<Package InstallerVersion="200" Compressed="yes"/>
<Media Id="1" Cabinet="sample.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder"><Directory Id="INSTALLDIR" Name="Sample">
<Component Id="c" Guid="{2AA5F5A7-1B0B-4E43-9C40-5B7B4F0CA0F2}"><File Id="f1" Source="a.txt"/><File Id="f2" Source="prog.exe"/></Component>
</Directory></Directory></Directory>
<Feature Id="Complete" Level="1"><ComponentRef Id="c"/></Feature>
</Product></Wix>
`), 0o644)
	testtool.Run(t, dir, "wixl", "-o", "out.msi", "s.wxs")
	b, err := os.ReadFile(filepath.Join(dir, "out.msi"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMSI(t *testing.T) {
	testtool.Need(t, "wixl")
	b := msi(t)
	o := unpacktest.OpenBytes(t, CFB, b)
	if o.Format != "cfb msi" || o.Info["name"] != "Sample" || o.Info["version"] != "1.2.3" || o.Info["vendor"] != "The Vendor" || o.Size != int64(len(b)) {
		t.Errorf("%s %v, %d of %d bytes", o.Format, o.Info, o.Size, len(b))
	}
	found := map[string]string{}
	for _, e := range o.Entries {
		found[e.Path] = string(unpack.ReadSome(e.Data, 0, 4))
	}
	if found["sample.cab"] != "MSCF" || found["!Property"] == "" || found["[5]SummaryInformation"] == "" {
		t.Errorf("%q", found)
	}
}

func TestCFBLoop(t *testing.T) {
	testtool.Need(t, "gsf")
	b, _ := gsfOLE(t)
	for i := 512; i < len(b); i += 4 { // all chains become loops on the first sectors
		if b[i+1] == 0 && b[i+2] == 0 && b[i+3] == 0 && b[i] > 0 {
			b[i] = 1
		}
	}
	if o, err := CFB.Open(unpacktest.Input(b)); err == nil && o.Err == nil {
		t.Error("no error")
	}
}

func FuzzCFB(f *testing.F) {
	b, _ := gsfOLE(f)
	unpacktest.Fuzz(f, CFB, b[:min(len(b), 40_000)], msi(f))
}
