package unpack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawSparse is a file of a few megabytes with holes, and its bytes.
func drawSparse(t *rapid.T) (Bytes, []byte) {
	size := rapid.IntRange(1, 3<<20).Draw(t, "size")
	want := make([]byte, size)
	base := noise(200_000, 5)
	var list []Extent
	for at := 0; at < size && len(list) < 12; {
		at += rapid.SampledFrom([]int{0, 1, 4096, 65536, 300_000, 1 << 20}).Draw(t, "hole")
		n := min(rapid.IntRange(0, 100_000).Draw(t, "held"), size-at)
		if n <= 0 {
			continue
		}
		from := rapid.IntRange(0, len(base)-n).Draw(t, "from")
		list = append(list, Extent{Offset: int64(at), Size: int64(n), From: int64(from)})
		copy(want[at:], base[from:from+n])
		at += n
	}
	b, err := Extents(Slice(base), list, int64(size))
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "nested") { // a window of extents of it
		half := int64(size / 2)
		if b, err = Extents(b, []Extent{{Offset: 7, Size: int64(size) - half, From: half}}, int64(size)+7); err != nil {
			t.Fatal(err)
		}
		nested := make([]byte, size+7)
		copy(nested[7:], want[half:])
		b, want = Window(b, 3, int64(size)), nested[3:size+3]
	}
	return b, want
}

// TestStretchesHoldAll checks that what is left out is zeros, and that digests,
// searches and carving do not change by holes.
func TestStretchesHoldAll(t *testing.T) {
	carver := NewCarver([]*Reader{box})
	rapid.Check(t, func(t *rapid.T) {
		b, want := drawSparse(t)
		from, to, at := int64(0), b.Size(), int64(0)
		for s, e := range Stretches(b, from, to, 100) {
			if s < at || e <= s || e > to || !OnlyByte(want[at:s], 0) {
				t.Fatalf("%d..%d after %d", s, e, at)
			}
			at = e
		}
		if !OnlyByte(want[at:], 0) {
			t.Fatal("something follows the last stretch")
		}
		sum := sha256.Sum256(want)
		if got, err := Digest(context.Background(), b, nil); err != nil || got != hex.EncodeToString(sum[:]) {
			t.Fatal(got, err)
		}
		known, err1 := identity(context.Background(), b, nil)
		unknown, err2 := identity(context.Background(), Slice(want), nil)
		if known != unknown || err1 != nil || err2 != nil {
			t.Fatalf("%s %s", known, unknown)
		}
		if text := want[len(want)/2 : min(len(want)/2+9, len(want))]; !OnlyByte(text, 0) {
			if got, is := FindBytes(b, 5, string(text)), FindBytes(Slice(want), 5, string(text)); got != is {
				t.Fatalf("%x found at %d instead of %d", text, got, is)
			}
		}
		if !slices.Equal(carver.Candidates(b), carver.Candidates(Slice(want))) || !slices.Equal(pieces(b, 9, to), pieces(Slice(want), 9, to)) {
			t.Fatal("holes change what is carved")
		}
		if OnlyPadding(b, 0) != OnlyPadding(Slice(want), 0) {
			t.Fatal("holes change what is padding")
		}
	})
}

func TestIdentityTellsApart(t *testing.T) {
	seen := map[string][]byte{}
	for _, b := range [][]byte{
		nil, make([]byte, 4096), make([]byte, 8192), append(make([]byte, 4096), 1), append([]byte{1}, make([]byte, 4096)...),
		append(make([]byte, 8192), 1), bytes.Repeat([]byte{1}, 4097), append(noise(4096, 1), make([]byte, 4096)...), append(make([]byte, 4096), noise(4096, 1)...),
		append(append(noise(4096, 1), make([]byte, 4096)...), noise(4096, 1)...), append(noise(4096, 1), noise(4096, 1)...),
	} {
		id, err := identity(context.Background(), Slice(b), nil)
		if err != nil || seen[id] != nil {
			t.Errorf("%d bytes: %s %v", len(b), id, err)
		}
		seen[id] = append([]byte{}, b...)
	}
}

// TestHolesOfFiles needs a file system that knows them; others say that all is
// held.
func TestHolesOfFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("x"), 3<<20)
	f.Truncate(1 << 40)
	f.Close()
	b, closer, err := File(name)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	if from, to := NextHeld(b, 0); from == 0 && to == b.Size() {
		t.Skip("no holes here")
	}
	var list [][2]int64
	for from, to := range Stretches(b, 0, b.Size(), 0) {
		list = append(list, [2]int64{from, to})
	}
	if len(list) != 1 || list[0][0] > 3<<20 || list[0][1] <= 3<<20 || list[0][1] > 4<<20 {
		t.Fatal(list)
	}

	// A terabyte of holes as the part of a box is opened at once, but has no
	// SHA-256; that of the whole would take minutes, and ends with the time.
	part := &Reader{Name: "part", Doc: "x", Open: func(in *Input) (*Object, error) {
		if in.Data.Size() != b.Size() {
			return nil, ErrNotThis
		}
		return &Object{Format: "part", Size: in.Data.Size(), Parts: []Part{{Name: "p", Data: Window(in.Data, 1<<20, 1<<39)}}}, nil
	}}
	res, err := Explore(context.Background(), "x", b, Options{Readers: []*Reader{part}, SHA256: "known", Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if c := res.Root.Content.Children[0].Content; c.SHA256 != "" || c.Type != TypeData || len(c.Gaps) != 1 || c.Gaps[0].Offset != 2<<20 || c.Gaps[0].Size > 1<<20 {
		t.Errorf("%+v", c)
	}
	start := time.Now()
	res, err = Explore(context.Background(), "x", b, Options{Readers: []*Reader{part}, Limits: Limits{Time: 50 * time.Millisecond}})
	if err != nil || time.Since(start) > 20*time.Second || res.Root.Content.Gaps[0].Reason != "limit" {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}
