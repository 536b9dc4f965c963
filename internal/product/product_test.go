package product

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
)

// slots is a format of these tests: every line of a text that begins with
// "SLOT" is a slot, a file system with the same three files.
var slots = &unpack.Reader{
	Name: "slot", Magics: []unpack.Magic{{At: 0, Bytes: "SLOT"}}, Carve: true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		end := int64(strings.IndexByte(string(unpack.ReadSome(in.Data, 0, 64)), '\n') + 1)
		if end == 0 {
			return nil, unpack.ErrNotThis
		}
		return &unpack.Object{Format: "slot", Size: end, System: true, Entries: []unpack.Entry{
			{Path: "var/etc/passwd", Data: unpack.Slice("root::0:0::/:/bin/sh\n")},
			{Path: "etc", Mode: fs.ModeSymlink, Link: "/var/etc"},
			{Path: "sbin/rc", Data: unpack.Slice("#!/bin/sh\n/usr/sbin/telnetd -l /bin/sh &\n")},
			{Path: "bin/telnetd.old", Data: unpack.Slice("data")},
		}}, nil
	},
}

func open(t *testing.T, image string, patterns ...string) *Product {
	t.Helper()
	p, err := Open(context.Background(), "image", unpack.Slice(image), patterns, unpack.Options{Readers: []*unpack.Reader{slots}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEqualSlotsAreOneVolume says that a file of an A/B image is one file with
// two places.
func TestEqualSlotsAreOneVolume(t *testing.T) {
	p := open(t, "\x01raw\x02SLOT a\nSLOT a\n")
	if len(p.Volumes) != 1 || len(p.Volumes[0].Places) != 2 {
		t.Fatalf("%d volumes", len(p.Volumes))
	}
	f := p.Volumes[0].File("etc/passwd")
	if f == nil {
		t.Fatal("etc/passwd is not found through the link")
	}
	var got []string
	for _, w := range f.Where() {
		got = append(got, strings.Join(w.Path, " "))
	}
	want := []string{"image slot@0x5 var/etc/passwd", "image slot@0xc var/etc/passwd"}
	if !slices.Equal(got, want) {
		t.Errorf("places %q, want %q", got, want)
	}
}

func TestHitsAndMentions(t *testing.T) {
	p := open(t, "SLOT a\n", "telnetd", "/bin/sh", "nobody has this")
	rc := p.Volumes[0].File("sbin/rc")
	if got := rc.Hits("/bin/sh"); !slices.Equal(got, []int64{2, 31}) {
		t.Errorf("hits of /bin/sh at %v", got)
	}
	if rc.Has("nobody has this") {
		t.Error("a pattern that is not there was found")
	}
	for value, want := range map[string]int{"telnetd": 1, "/usr/sbin/telnetd": 1, "telnet": 0, "sbin/telnetd -l": 1, "xx": 0, "root": 1} {
		if got := p.Mentions(value); len(got) != want {
			t.Errorf("%q is mentioned by %d files, want %d", value, len(got), want)
		}
	}
}

func TestGlobFollowsFolders(t *testing.T) {
	v := open(t, "SLOT a\n").Volumes[0]
	if got := v.Glob("etc/*"); len(got) != 1 || got[0].Path != "var/etc/passwd" {
		t.Errorf("etc/*: %v", got)
	}
}

func TestFactOnce(t *testing.T) {
	p := open(t, "SLOT a\n")
	type key struct{}
	n := 0
	for range 3 {
		Fact(p, key{}, func() int { n++; return n })
	}
	if n != 1 {
		t.Errorf("computed %d times", n)
	}
}

// TestNear holds what Near reads against the whole, in memory and not.
func TestNear(t *testing.T) {
	text := strings.Repeat("0123456789", 10)
	for _, data := range []unpack.Bytes{unpack.Slice(text), unpack.Window(unpack.Mapped(nil, 0, nil), 0, 0), &again{strings.NewReader(text)}} {
		f := &File{Content: &unpack.Content{Data: data, Size: data.Size()}, product: &Product{texts: newTextCache()}}
		whole := f.Bytes()
		f.product.texts = newTextCache()
		for _, at := range []int64{-1, 0, 3, 50, 98, 99, 100, 200} {
			from, to := max(0, at-5), min(at+7, int64(len(whole)))
			want := ""
			if at >= 0 && from < to {
				want = string(whole[from:to])
			}
			if b, start := f.Near(at, 5, 7); string(b) != want || start != from {
				t.Errorf("at %d of %T: %q from %d, want %q from %d", at, data, b, start, want, from)
			}
		}
	}
}

// again is content that lies in the artifact as it is.
type again struct{ *strings.Reader }

func (again) Stored() bool { return true }
