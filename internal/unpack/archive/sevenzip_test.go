package archive

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

func sevenPack(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), "a.7z")
	testtool.Run(t, dir, "7z", append(append([]string{"a", "-t7z", "-bd", "-y", "-snl"}, args...), img, ".")...)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plainTree is the sample without what most archives can't hold: devices and
// pipes; owners and setuid are not kept either.
func plainTree(t testing.TB) (string, unpacktest.Summary) {
	t.Helper()
	dir := unpacktest.SampleTree(t)
	for _, name := range []string{"var/pipe", "var/null", "var/disk", "odd/b\xfcro", "bin/su"} {
		os.Remove(filepath.Join(dir, name))
	}
	// Programs, for the branch filters.
	prog, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "bin/prog"), prog, 0o755)
	return dir, unpacktest.SummaryOfFolder(t, dir)
}

func TestSevenZip(t *testing.T) {
	testtool.Need(t, "7z")
	dir, want := plainTree(t)
	for _, args := range []string{
		"", "-mx=0", "-mx=9 -ms=off", "-m0=LZMA", "-m0=LZMA:lc=4:lp=0:pb=0", "-m0=Deflate", "-m0=Deflate64", "-m0=BZip2", "-m0=PPMd", "-m0=PPMd:o=32:mem=1m", "-m0=PPMd:o=2:mem=64k", "-m0=Copy", "-mhc=off", "-ms=200k",
		"-mf=BCJ2", "-mf=BCJ", "-mf=ARM64", "-mf=ARM", "-mf=ARMT", "-mf=PPC", "-mf=SPARC", "-mf=IA64", "-mf=RISCV", "-mf=Delta:4", "-mf=Swap2", "-mf=Swap4", "-m0=BCJ2 -m1=LZMA:d=20 -m2=LZMA:d=18 -m3=LZMA:d=18 -mb0:1 -mb0s1:2 -mb0s2:3",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			if strings.HasPrefix(args, "-mf") {
				args += " -mx=1" // the filter is what matters
			}
			img := sevenPack(t, dir, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, SevenZip, append(bytes.Clone(img), "something behind it"...))
			if o.Size != int64(len(img)) {
				t.Errorf("size %d of %d", o.Size, len(img))
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		})
	}
}

func TestSevenZipEncrypted(t *testing.T) {
	testtool.Need(t, "7z")
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	o := unpacktest.OpenBytes(t, SevenZip, sevenPack(t, dir, "-psecret"))
	found := false
	for _, e := range o.Entries {
		if e.Mode.IsRegular() {
			found = errors.Is(e.Err, unpack.ErrEncrypted)
		}
	}
	if !found {
		t.Errorf("%v", o.Entries)
	}
	o = unpacktest.OpenBytes(t, SevenZip, sevenPack(t, dir, "-psecret", "-mhe=on"))
	if len(o.Gaps) != 1 || o.Gaps[0].Reason != "encrypted" {
		t.Errorf("%v", o.Gaps)
	}
}

func TestSevenZipRandom(t *testing.T) {
	testtool.Need(t, "7z")
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		if done++; done > 10 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		want := unpacktest.SummaryOfFolder(t, dir)
		o := unpacktest.OpenBytes(t, SevenZip, sevenPack(t, dir, "-mx=1"))
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
	})
}

func smallTree(t testing.TB) string {
	dir := t.TempDir()
	for i := range 5 {
		os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), bytes.Repeat([]byte("the content of a file\n"), 1+90*i), 0o644)
	}
	return dir
}

func TestSevenZipDamage(t *testing.T) {
	testtool.Need(t, "7z")
	for _, args := range [][]string{{"-m0=LZMA"}, {"-m0=Copy"}, {"-m0=PPMd"}, {"-mf=BCJ2", "-ms=off"}} {
		unpacktest.Damage(t, SevenZip, sevenPack(t, smallTree(t), args...), unpacktest.Damaged{Rounds: 300})
	}
}

func FuzzSevenZip(f *testing.F) {
	seeds := [][]byte{{}}
	dir := smallTree(f)
	for _, args := range [][]string{{"-m0=LZMA"}, {"-m0=Copy"}, {"-mf=BCJ2", "-ms=off"}, {"-m0=Deflate64", "-mhc=off"}, {"-mf=RISCV", "-mhc=off"}, {"-m0=BZip2", "-mhc=off"}, {"-m0=PPMd:mem=64k", "-mhc=off"}} {
		seeds = append(seeds, sevenPack(f, dir, args...))
	}
	unpacktest.Fuzz(f, SevenZip, seeds...)
}
