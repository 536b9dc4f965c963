package vendor

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// sample is an image made by an independent writer, and what must come out.
type sample struct {
	name   string
	reader *unpack.Reader
	image  []byte
	parts  map[string][]byte
	files  map[string][]byte
	info   map[string]string
	gap    string // reason of the gap that is expected

	whole     bool // only whole files are opened
	unchecked bool // the format has no checksum over all of its content
}

var be, le = binary.BigEndian, binary.LittleEndian

// noise is bytes that compress badly and hold no magic by chance (the seeds
// are fixed).
func noise(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	b[0], b[n-1] = 0x11, 0x77 // no padding at the ends
	return b
}

// put makes bytes of what is given: numbers by their order, text, zeros.
func put(order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, fields ...any) []byte {
	var b []byte
	for _, f := range fields {
		switch v := f.(type) {
		case byte:
			b = append(b, v)
		case uint16:
			b = order.AppendUint16(b, v)
		case uint32:
			b = order.AppendUint32(b, v)
		case uint64:
			b = order.AppendUint64(b, v)
		case int: // zeros
			b = append(b, make([]byte, v)...)
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		default:
			panic(f)
		}
	}
	return b
}

// text is a field of n bytes.
func text(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

func filled(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func TestSamples(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			o := unpacktest.OpenBytes(t, s.reader, s.image)
			if o.Size != int64(len(s.image)) {
				t.Errorf("takes %d of %d bytes", o.Size, len(s.image))
			}
			s.compare(t, o)
			if first := firstReader(s.image); first != s.reader {
				t.Errorf("the list opens it as %s", first.Name)
			}
		})
	}
}

// firstReader is the reader that opens an image when all are tried in order.
func firstReader(image []byte) *unpack.Reader {
	for _, r := range List {
		if _, err := r.Open(unpacktest.Input(image)); err == nil && fits(r, image) {
			return r
		}
	}
	return &unpack.Reader{Name: "nothing"}
}

func fits(r *unpack.Reader, b []byte) bool {
	return len(r.Magics) == 0 || slices.ContainsFunc(r.Magics, func(m unpack.Magic) bool {
		return m.At < int64(len(b)) && bytes.HasPrefix(b[m.At:], []byte(m.Bytes))
	})
}

func (s *sample) compare(t *testing.T, o *unpack.Object) {
	t.Helper()
	got := map[string][]byte{}
	for _, p := range o.Parts {
		b, err := unpack.ReadAll(p.Data, 1<<30)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		got[p.Name] = b
		if p.Offset >= 0 && p.Offset+p.Data.Size() > o.Size {
			t.Errorf("the part %s lies outside", p.Name)
		}
	}
	if !maps.EqualFunc(got, s.parts, bytes.Equal) {
		t.Errorf("parts %v, expected %v", sizes(got), sizes(s.parts))
	}
	for k, v := range s.info {
		if o.Info[k] != v {
			t.Errorf("%s is %q, expected %q", k, o.Info[k], v)
		}
	}
	files := map[string][]byte{}
	for _, e := range o.Entries {
		if e.Data != nil {
			files[e.Path], _ = unpack.ReadAll(e.Data, 1<<30)
		}
	}
	if !maps.EqualFunc(files, s.files, bytes.Equal) {
		t.Errorf("files %v, expected %v", sizes(files), sizes(s.files))
	}
	reason := ""
	for _, g := range o.Gaps {
		reason = g.Reason
	}
	if reason != s.gap {
		t.Errorf("gaps %v, expected %q", o.Gaps, s.gap)
	}
}

func sizes(m map[string][]byte) map[string]int {
	n := map[string]int{}
	for k, v := range m {
		n[k] = len(v)
	}
	return n
}

// TestCarved finds every image between noise.
func TestCarved(t *testing.T) {
	for _, s := range samples(t) {
		if s.whole || !s.reader.Carve {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			before, behind := noise(90, 5000), noise(91, 3000)
			all := slices.Concat(before, s.image, behind)
			res, err := unpack.Explore(context.Background(), "dump", unpack.Slice(all), unpack.Options{Readers: List})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range res.Root.Content.Children {
				if n.Offset == int64(len(before)) && n.Size == int64(len(s.image)) && n.Content.Reader == s.reader.Name {
					return
				}
			}
			for _, n := range res.Root.Content.Children {
				t.Logf("%s %d", n.Step, n.Size)
			}
			t.Error("not found")
		})
	}
}

func TestDamaged(t *testing.T) {
	for _, s := range samples(t) {
		if s.gap != "" || len(s.parts)+len(s.files) == 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			unpacktest.Damage(t, s.reader, s.image, unpacktest.Damaged{Rounds: 200, Unchecked: s.unchecked})
		})
	}
}

// TestNoFalseAlarms shows every reader much noise behind each of its magics.
func TestNoFalseAlarms(t *testing.T) {
	for _, r := range List {
		for seed := range int64(300) {
			b := noise(1000+seed, 4096)
			for _, m := range r.Magics {
				if seed%2 == 1 { // small numbers are more like a header
					for i := range b {
						if i%4 != 3 {
							b[i] = 0
						}
					}
				}
				if m.At+int64(len(m.Bytes)) > int64(len(b)) {
					continue
				}
				copy(b[m.At:], m.Bytes)
				if o, err := r.Open(unpacktest.Input(b)); err == nil && o.Err == nil && len(o.Gaps) == 0 {
					t.Errorf("%s opens noise: %+v", r.Name, o)
				}
			}
		}
	}
}

// any is all readers as one.
var anyReader = &unpack.Reader{Name: "any", Open: func(in *unpack.Input) (*unpack.Object, error) {
	b := unpack.ReadSome(in.Data, 0, 1<<20)
	for _, r := range List {
		if fits(r, b) {
			if o, err := r.Open(in); err == nil {
				return o, nil
			}
		}
	}
	return nil, unpack.ErrNotThis
}}

func FuzzVendor(f *testing.F) {
	var seeds [][]byte
	for _, s := range samples(f) {
		if len(s.image) < 64<<10 {
			seeds = append(seeds, s.image)
		}
	}
	unpacktest.Fuzz(f, anyReader, seeds...)
}

func TestEveryReaderHasASample(t *testing.T) {
	seen := map[*unpack.Reader]bool{}
	for _, s := range samples(t) {
		seen[s.reader] = true
	}
	for _, r := range List {
		if !seen[r] {
			t.Errorf("%s has none", r.Name)
		}
		if r.Doc == "" || r.Checked == "" && !strings.Contains(r.Doc, "older Realtek") {
			t.Errorf("%s does not say what it opens and what it was checked against", r.Name)
		}
	}
}
