package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// streamCases are the official tools' ways to pack a stream.
var streamCases = []struct {
	reader *unpack.Reader
	name   string
	out    string
	args   []string
}{
	{Gzip, "gzip", "plain.gz", []string{"gzip", "plain"}},
	{Gzip, "gzip -1n", "plain.gz", []string{"gzip", "-1n", "plain"}},
	{XZ, "xz", "plain.xz", []string{"xz", "plain"}},
	{XZ, "xz blocks", "plain.xz", []string{"xz", "--block-size=50000", "--check=sha256", "plain"}},
	{XZ, "xz x86", "plain.xz", []string{"xz", "--x86", "--lzma2", "plain"}},
	{LZMA, "xz lzma", "plain.lzma", []string{"xz", "--format=lzma", "plain"}},
	{LZMA, "xz lzma lp", "plain.lzma", []string{"xz", "--format=lzma", "--lzma1=lc=1,lp=2,pb=2", "plain"}},
	{Bzip2, "bzip2", "plain.bz2", []string{"bzip2", "plain"}},
	{Bzip2, "bzip2 -1", "plain.bz2", []string{"bzip2", "-1", "plain"}},
	{Zstd, "zstd", "plain.zst", []string{"zstd", "-q", "plain"}},
	{Zstd, "zstd -19 long", "plain.zst", []string{"zstd", "-q", "-19", "--long=27", "plain"}},
	{Zstd, "zstd no size", "plain.zst", []string{"zstd", "-q", "--no-content-size", "--no-check", "plain"}},
	{LZ4, "lz4", "plain.lz4", []string{"lz4", "-q", "plain", "plain.lz4"}},
	{LZ4, "lz4 -9 linked", "plain.lz4", []string{"lz4", "-q", "-9", "-BD", "-B4", "-BX", "--content-size", "plain", "plain.lz4"}},
	{LZ4, "lz4 no sum", "plain.lz4", []string{"lz4", "-q", "--no-frame-crc", "-B7", "plain", "plain.lz4"}},
	{LZ4, "lz4 legacy", "plain.lz4", []string{"lz4", "-q", "-l", "plain", "plain.lz4"}},
	{LZO, "lzop", "plain.lzo", []string{"lzop", "plain"}},
	{LZO, "lzop -9 crc", "plain.lzo", []string{"lzop", "-9", "--crc32", "plain"}},
	{LZO, "lzop -F", "plain.lzo", []string{"lzop", "-F", "-P", "plain"}},
}

// hidden is Bytes that are not known to lie in memory.
type hidden struct{ unpack.Slice }

func streamContent(t testing.TB, o *unpack.Object) []byte {
	t.Helper()
	if len(o.Parts) != 1 || o.Parts[0].Name != "" || o.Parts[0].Offset != -1 {
		t.Fatalf("parts %+v", o.Parts)
	}
	b, err := unpack.ReadAll(o.Parts[0].Data, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStreams(t *testing.T) {
	plains := map[string][]byte{
		"empty": nil, "one": {'a'}, "mixed": unpacktest.MixedBytes(400_001),
		"large": bytes.Repeat(unpacktest.MixedBytes(300_000), 60), // over the 8 MiB of a legacy lz4 block
	}
	for _, c := range streamCases {
		for name, plain := range plains {
			if name == "large" && c.name != "lz4" && c.name != "lz4 legacy" {
				continue
			}
			t.Run(c.name+"/"+name, func(t *testing.T) {
				packed := unpacktest.PackWith(t, plain, c.out, c.args[0], c.args[1:]...)
				if c.name == "lz4 legacy" && len(plain) == 0 {
					return // four bytes without any content: not to be told from chance
				}
				for i, rest := range []string{"", "x", "\x00\x00\x00\x00\x00\x00\x00\x00", "BZhello", "trailing data that is not of the stream"} {
					if i > 1 && name != "mixed" {
						break
					}
					file := append(bytes.Clone(packed), rest...)
					for _, data := range []unpack.Bytes{unpack.Slice(file), hidden{file}}[:1+i%2] {
						in := unpacktest.Input(nil)
						in.Data = data
						o, err := c.reader.Open(in)
						if err != nil {
							t.Fatalf("rest %q: %v", rest, err)
						}
						if o.Err != nil || o.Size != int64(len(packed)) {
							t.Errorf("rest %q: size %d of %d: %v", rest, o.Size, len(packed), o.Err)
						}
						if got := streamContent(t, o); !bytes.Equal(got, plain) {
							t.Errorf("rest %q: content differs, %d of %d bytes", rest, len(got), len(plain))
						}
					}
				}
			})
		}
	}
}

// TestStreamsTogether reads several members as one content, as their tools do.
func TestStreamsTogether(t *testing.T) {
	a, b := unpacktest.MixedBytes(100_000), []byte("the second")
	for _, c := range streamCases {
		if c.reader == LZMA {
			continue // the format has no members
		}
		one, two := unpacktest.PackWith(t, a, c.out, c.args[0], c.args[1:]...), unpacktest.PackWith(t, b, c.out, c.args[0], c.args[1:]...)
		file := append(append(bytes.Clone(one), two...), "rest"...)
		o := unpacktest.OpenBytes(t, c.reader, file)
		if got := streamContent(t, o); !bytes.Equal(got, append(bytes.Clone(a), b...)) || o.Size != int64(len(file)-4) {
			t.Errorf("%s: %d of %d bytes, size %d of %d", c.name, len(got), len(a)+len(b), o.Size, len(file)-4)
		}
	}
}

// TestStreamsDamaged cuts and changes packed streams: what comes out is right
// as far as it goes, and an error says that it is not all.
func TestStreamsDamaged(t *testing.T) {
	plain := unpacktest.MixedBytes(150_000)
	for _, c := range streamCases {
		packed := unpacktest.PackWith(t, plain, c.out, c.args[0], c.args[1:]...)
		for _, cut := range []int{len(packed) / 4, len(packed) / 2, len(packed) - 1} {
			o, err := c.reader.Open(unpacktest.Input(packed[:cut]))
			if c.name == "lz4 legacy" {
				continue // it has no end: shorter is not damaged
			}
			if err != nil {
				if c.reader != XZ && c.reader != Bzip2 && c.reader != LZ4 {
					t.Errorf("%s cut at %d of %d: %v", c.name, cut, len(packed), err)
				}
				continue
			}
			got := streamContent(t, o)
			if o.Err == nil || !bytes.HasPrefix(plain, got) {
				t.Errorf("%s cut at %d of %d: %d bytes, right %v, error %v", c.name, cut, len(packed), len(got), bytes.HasPrefix(plain, got), o.Err)
			}
		}
		if c.reader == LZMA || c.name == "zstd no size" || c.name == "lz4 legacy" || c.name == "lz4 no sum" || c.name == "lzop -F" {
			continue // no checksum to tell
		}
		bad := bytes.Clone(packed)
		bad[len(bad)/2] ^= 0x10
		if o, err := c.reader.Open(unpacktest.Input(bad)); err == nil && o.Err == nil {
			t.Errorf("%s with a changed byte: no error", c.name)
		}
	}
}

// TestStreamsCarved finds streams among noise by Explore, and nothing else.
func TestStreamsCarved(t *testing.T) {
	plain := unpacktest.MixedBytes(300_000)
	noise := unpacktest.MixedBytes(1_500_000)
	for _, c := range streamCases {
		packed := unpacktest.PackWith(t, plain, c.out, c.args[0], c.args[1:]...)
		at := 500_003
		file := append(append(append([]byte{7}, noise[:at-1]...), packed...), noise[at:]...)
		r, err := unpack.Explore(context.Background(), "flash", unpack.Slice(file), unpack.Options{Readers: List})
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%s@0x%x", c.reader.Name, at)
		found := false
		for _, n := range r.Root.Content.Children {
			if n.Content.Object == nil {
				continue
			}
			if n.Step != want || n.Size != int64(len(packed)) {
				t.Errorf("%s: found %s of %d bytes, want %s of %d", c.name, n.Step, n.Size, want, len(packed))
				continue
			}
			found = true
			if got := streamContent(t, n.Content.Object); !bytes.Equal(got, plain) {
				t.Errorf("%s: content differs", c.name)
			}
		}
		if !found {
			t.Errorf("%s: not found", c.name)
		}
	}
}

func TestZlibStream(t *testing.T) {
	plain := unpacktest.MixedBytes(50_000)
	packed := unpacktest.PackBlock(t, "zlib", plain)
	o := unpacktest.OpenBytes(t, Zlib, append(bytes.Clone(packed), "rest"...))
	if got := streamContent(t, o); !bytes.Equal(got, plain) || o.Size != int64(len(packed)) {
		t.Errorf("%d bytes, size %d of %d", len(got), o.Size, len(packed))
	}
	in := unpacktest.Input(packed[:len(packed)-1])
	in.Whole = false
	if _, err := Zlib.Open(in); !errors.Is(err, unpack.ErrNotThis) {
		t.Errorf("a cut stream was carved: %v", err)
	}
}

// TestStreamBombs ends within limits.
func TestStreamBombs(t *testing.T) {
	plain := make([]byte, unpack.RatioFree+4<<20)
	for _, c := range []struct {
		reader *unpack.Reader
		out    string
		args   []string
	}{
		{Gzip, "plain.gz", []string{"gzip", "-1", "plain"}},
		{XZ, "plain.xz", []string{"xz", "-0", "plain"}},
		{LZMA, "plain.lzma", []string{"xz", "-0", "--format=lzma", "plain"}},
		{Zstd, "plain.zst", []string{"zstd", "-q", "-1", "plain"}},
	} {
		packed := unpacktest.PackWith(t, plain, c.out, c.args[0], c.args[1:]...)
		for _, limits := range []unpack.Limits{{Ratio: 100}, {Memory: unpack.RatioFree + 1<<20, Ratio: 1 << 30}, {Bytes: 1 << 20}} {
			in := unpacktest.Input(packed)
			in.Budget = unpack.NewBudget(limits)
			if o, err := c.reader.Open(in); err != nil || !errors.Is(o.Err, unpack.ErrLimit) {
				t.Errorf("%s within %+v: %v", c.out, limits, err)
			}
		}
	}
}

// smallSeeds are what the tool packs from a little text; without the tool the
// fuzz target has only the seeds that lie in testdata.
func smallSeeds(f *testing.F, r *unpack.Reader) (seeds [][]byte) {
	for _, c := range streamCases {
		if c.reader != r {
			continue
		}
		for _, plain := range [][]byte{[]byte("some text, some text, some more"), unpacktest.MixedBytes(700)} {
			seeds = append(seeds, unpacktest.PackWith(f, plain, c.out, c.args[0], c.args[1:]...))
		}
	}
	return seeds
}

func FuzzGzip(f *testing.F)  { unpacktest.Fuzz(f, Gzip, smallSeeds(f, Gzip)...) }
func FuzzXZ(f *testing.F)    { unpacktest.Fuzz(f, XZ, smallSeeds(f, XZ)...) }
func FuzzLZMA(f *testing.F)  { unpacktest.Fuzz(f, LZMA, smallSeeds(f, LZMA)...) }
func FuzzBzip2(f *testing.F) { unpacktest.Fuzz(f, Bzip2, smallSeeds(f, Bzip2)...) }
func FuzzZstd(f *testing.F)  { unpacktest.Fuzz(f, Zstd, smallSeeds(f, Zstd)...) }
func FuzzLZ4(f *testing.F)   { unpacktest.Fuzz(f, LZ4, smallSeeds(f, LZ4)...) }
func FuzzLZO(f *testing.F)   { unpacktest.Fuzz(f, LZO, smallSeeds(f, LZO)...) }
func FuzzZlib(f *testing.F) {
	unpacktest.Fuzz(f, Zlib, unpacktest.PackBlock(f, "zlib", unpacktest.MixedBytes(700)))
}
