package volume

import (
	"bytes"
	"crypto/md5"
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

// apfsSample is the sample tree with names that APFS can hold.
func apfsSample(t testing.TB) string {
	dir := unpacktest.SampleTree(t)
	os.Remove(filepath.Join(dir, "odd/b\xfcro"))
	return dir
}

func TestAPFS(t *testing.T) {
	dir := apfsSample(t)
	img := makeAPFS(t, 1000, dir)
	o := unpacktest.OpenBytes(t, APFS, append(img, "behind"...))
	if o.Size != int64(len(img)) || o.Info["label"] != "Disk A" || len(o.Gaps) > 0 {
		t.Errorf("%d of %d bytes, %v %v", o.Size, len(img), o.Info, o.Gaps)
	}
	unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
	small, large := 0, 0
	for _, e := range o.Entries {
		if e.Xattrs["user.small"] == "value of it" {
			small++
		}
		if e.Xattrs["user.large"] == strings.Repeat("large ", 2000) {
			large++
		}
	}
	if small < 20 || large < 5 {
		t.Errorf("%d and %d attributes", small, large)
	}

	// The same in a deep tree, beside another volume.
	o = unpacktest.OpenBytes(t, APFS, makeAPFS(t, 5, dir, t.TempDir()))
	if len(o.Parts) != 2 || o.Parts[1].Name != "Disk B" || o.Parts[0].Object.Err != nil {
		t.Fatalf("%d parts, %v", len(o.Parts), o.Err)
	}
	unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o.Parts[0].Object))
}

// TestAPFSOfMkapfs fills a container of mkapfs, and lets libfsapfs read it, too.
func TestAPFSOfMkapfs(t *testing.T) {
	testtool.Need(t, "mkapfs")
	testtool.Need(t, "fsapfsinfo")
	img := filepath.Join(t.TempDir(), "disk.apfs")
	if err := os.WriteFile(img, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(img, 130<<20); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, "", "mkapfs", "-L", "Disk A", img)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	if o := unpacktest.OpenBytes(t, APFS, b); len(o.Entries) != 0 || !o.System || o.Size != int64(len(b)) {
		t.Errorf("%d entries, %d bytes", len(o.Entries), o.Size)
	}
	// Where mkapfs put the volume's tree and its map.
	root, rootOID, mapTree := 0, uint64(0), 0
	for i := 0; i < len(b); i += 4096 {
		switch p := b[i:]; {
		case string(p[24:32]) == "\x02\x00\x00\x00\x0e\x00\x00\x00":
			root, rootOID = i/4096, uint64(p[8])|uint64(p[9])<<8
		case string(p[24:32]) == "\x02\x00\x00\x40\x0b\x00\x00\x00":
			mapTree = i / 4096 // the second: the volume's
		}
	}
	dir := apfsSample(t)
	for _, odd := range []string{"var/pipe", "var/null", "var/disk", "odd/new\nline", "loop", "longlink", "absolute", "etc/outside", "etc/relative"} {
		os.Remove(filepath.Join(dir, odd)) // of which there is no digest
	}
	p := &apfsPacker{image: b, next: 22000, perNode: 40}
	p.fill(t, dir, root, rootOID, mapTree)
	o := unpacktest.OpenBytes(t, APFS, p.image)
	want := unpacktest.SummaryOfFolder(t, dir)
	unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))

	if err := os.WriteFile(img, p.image, 0o600); err != nil {
		t.Fatal(err)
	}
	body := filepath.Join(t.TempDir(), "body")
	testtool.Run(t, "", "fsapfsinfo", "-d", "-H", "-B", body, img)
	lines, err := os.ReadFile(body)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(lines)) {
		if f := strings.Split(line, "|"); len(f) > 2 {
			_, path, _ := strings.Cut(f[1], "}/")
			sums[path] = f[0]
		}
	}
	files := 0
	for path := range want {
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			continue // a folder
		}
		files++
		if sum := fmt.Sprintf("%x", md5.Sum(b)); sums[path] != sum {
			t.Errorf("libfsapfs reads %q differently: %q", path, sums[path])
		}
	}
	if files < 300 {
		t.Errorf("%d files", files)
	}
}

func TestRandomAPFS(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		unpacktest.RandomTree(rt, dir)
		o := unpacktest.OpenBytes(t, APFS, makeAPFS(t, rapid.IntRange(4, 50).Draw(rt, "per node"), dir))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
	})
}

// smallAPFS is a container that is mostly metadata.
func smallAPFS(t testing.TB) []byte {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	for i := range 12 {
		unpacktest.WriteFile(t, dir, "sub/"+strings.Repeat("f", i+1), bytes.Repeat([]byte{byte(i), 7}, 50*i))
	}
	os.Symlink("sub/f", filepath.Join(dir, "link"))
	return makeAPFS(t, 8, dir)
}

// TestDamagedAPFS damages the metadata, which have checksums: the blocks that fit
// one.
func TestDamagedAPFS(t *testing.T) {
	img := smallAPFS(t)
	for i := 0; i < len(img); {
		n := 0
		for i+n < len(img) && apfsSum(img[i+n:i+n+4096]) {
			n += 4096
		}
		if n > 0 && !unpack.OnlyByte(img[i:i+n], 0) {
			unpacktest.Damage(t, APFS, img, unpacktest.Damaged{Rounds: n / 4096 * 15, From: i, To: i + n})
		}
		i += n + 4096
	}
	if o, err := APFS.Open(unpacktest.Input(img[:len(img)-4096])); err != nil || o.Err == nil {
		t.Error("cut off in silence", err)
	}
}

func TestAPFSKinds(t *testing.T) {
	for want, change := range map[string]func(v, super []byte){
		"encrypted":   func(v, _ []byte) { v[264] = 0 },
		"unsupported": func(v, _ []byte) { v[56] |= apfsSealed },
		"snapshots":   func(v, _ []byte) { v[216] = 3 },
		"Fusion":      func(_, super []byte) { super[65] |= 1 },
	} {
		img := smallAPFS(t)
		change(img[10*4096:], img[:4096])
		for _, at := range []int{0, 10} {
			apfsSeal(img[at*4096 : (at+1)*4096])
		}
		copy(img[2*4096:3*4096], img[:4096])
		o := unpacktest.OpenBytes(t, APFS, img)
		if len(o.Gaps) != 1 || o.Gaps[0].Reason != want && !strings.Contains(o.Gaps[0].Note, want) {
			t.Errorf("%s: %+v", want, o.Gaps)
		}
	}
}

// FuzzAPFS changes places of a container and mends the checksums.
func FuzzAPFS(f *testing.F) {
	base := smallAPFS(f)
	f.Add(uint32(13*4096+36), []byte{1, 2}, uint32(13*4096+60), []byte{3})
	f.Add(uint32(12*4096+36), []byte{200}, uint32(6*4096+60), []byte{3, 255, 255})
	f.Add(uint32(160), []byte{6}, uint32(36), []byte{0, 32})
	f.Fuzz(func(t *testing.T, at uint32, p []byte, at2 uint32, p2 []byte) {
		b := bytes.Clone(base)
		i, j := int(at)%len(b), int(at2)%len(b)
		copy(b[i:], p)
		copy(b[j:], p2)
		for _, n := range []int{i / 4096, j / 4096} {
			apfsSeal(b[n*4096 : (n+1)*4096])
		}
		o, err := APFS.Open(unpacktest.Input(b))
		if err != nil {
			return
		}
		for _, e := range o.Entries {
			if e.Data != nil {
				unpack.ReadSome(e.Data, 0, 1<<20)
			}
		}
	})
}
