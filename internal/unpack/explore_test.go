package unpack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"
)

// box is a format of these tests: "BOX!", the length of the payload, a flag,
// the payload. Flags: d is damaged, s gives the whole box as its own part, p
// panics, f claims to be false.
var box = &Reader{
	Name: "box", Doc: "test format", Magics: []Magic{{0, "BOX!"}}, Carve: true,
	Open: func(in *Input) (*Object, error) {
		head, err := ReadFull(in.Data, 0, 9)
		if err != nil {
			return nil, ErrNotThis
		}
		n := int64(binary.BigEndian.Uint32(head[4:8]))
		if n > in.Data.Size()-9 && head[8] != 'd' {
			return nil, ErrNotThis
		}
		o := &Object{Format: "box", Size: min(9+n, in.Data.Size()), Parts: []Part{{Data: Window(in.Data, 9, n), Offset: 9}}}
		switch head[8] {
		case 'd':
			o.Err = errors.New("damaged box")
		case 's':
			o.Parts[0].Data = Window(in.Data, 0, 9+n)
		case 'p':
			panic("box")
		case 'f':
			return nil, ErrNotThis
		}
		return o, nil
	},
}

func boxed(flag byte, payload ...[]byte) []byte {
	all := bytes.Join(payload, nil)
	b := binary.BigEndian.AppendUint32([]byte("BOX!"), uint32(len(all)))
	return append(append(b, flag), all...)
}

func exploreBox(t *testing.T, b []byte, limits Limits) *Content {
	t.Helper()
	res, err := Explore(context.Background(), "x", Slice(b), Options{Readers: []*Reader{box}, Limits: limits, Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	return res.Root.Content
}

// outline is a content in one line: steps, types and reasons of gaps.
func outline(c *Content) string {
	var parts []string
	for _, n := range c.Children {
		parts = append(parts, n.Step+"="+outline(n.Content))
	}
	s := string(c.Type)
	for _, g := range c.Gaps {
		s += "!" + g.Reason
	}
	if parts != nil {
		s += "(" + strings.Join(parts, " ") + ")"
	}
	return s
}

func noise(n int, seed int64) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

func TestExplore(t *testing.T) {
	text := []byte("hello, this is text\n")
	pad := bytes.Repeat([]byte{0xff}, 8192)
	lying := append([]byte("BOX!\xff\xff\xff\xff."), text...)
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"text", text, "text"},
		{"nested", boxed('.', boxed('.', text)), "object(box@0x0=object(box@0x0=text))"},
		{"carved", append(append(append([]byte{}, pad...), boxed('.', text)...), pad...), "carved(box@0x2000=object(box@0x0=text))"},
		{"two with padding", append(append(boxed('.', text), pad...), boxed('.', text)...), "carved(box@0x0=object(box@0x0=text) box@0x201d=object(box@0x0=text))"},
		{"what follows is classified", append(boxed('.', text), noise(90000, 1)...), "carved(box@0x0=object(box@0x0=text) raw@0x1d=encrypted!encrypted)"},
		{"a lying length hides nothing", append(append(noise(5000, 2), lying...), boxed('.', text)...), "carved(raw@0x0=compressed!compressed box@0x13a5=object(box@0x0=text))"},
		{"a damaged header hides nothing", append(append(noise(5000, 2), []byte("BOX!\xff\xff\xff\xffd1234")...), boxed('.', text)...),
			"carved(raw@0x0=compressed!compressed box@0x1388=object!damaged(box@0x0=text) box@0x1395=object(box@0x0=text))"},
		{"its own part", boxed('s', text), "object(box@0x0=data!limit)"},
		{"panic", boxed('p', text), "data!damaged"},
		{"false magic", append(boxed('f', text), boxed('.', text)...), "carved(raw@0x0=data!unknown box@0x1d=object(box@0x0=text))"},
		{"empty", nil, "text"},
	} {
		if got := outline(exploreBox(t, c.in, Limits{})); got != c.want {
			t.Errorf("%s:\nwant %s\ngot  %s", c.name, c.want, got)
		}
	}
}

func TestDepthLimit(t *testing.T) {
	b := []byte("text")
	for range 50 {
		b = boxed('.', b)
	}
	got := outline(exploreBox(t, b, Limits{Depth: 5}))
	if strings.Count(got, "object") != 6 || !strings.Contains(got, "!limit") {
		t.Error(got)
	}
}

// TestEqualContentOnce says that equal bytes are analysed once.
func TestEqualContentOnce(t *testing.T) {
	slot := boxed('.', []byte("slot"))
	c := exploreBox(t, append(append(bytes.Clone(slot), make([]byte, 8192)...), slot...), Limits{})
	if len(c.Children) != 2 || c.Children[0].Content != c.Children[1].Content {
		t.Errorf("two slots with equal bytes: %s", outline(c))
	}
}

// TestRing explores boxes whose parts are each other.
func TestRing(t *testing.T) {
	first, second := []byte("RING one "), []byte("RING two ")
	ring := &Reader{Name: "ring", Magics: []Magic{{0, "RING"}}, Open: func(in *Input) (*Object, error) {
		other := second
		if bytes.HasPrefix(ReadSome(in.Data, 0, 9), second) {
			other = first
		}
		time.Sleep(time.Millisecond)
		return &Object{Size: in.Data.Size(), Parts: []Part{{Name: "other", Data: Slice(other)}, {Name: "again", Data: Slice(other)}}}, nil
	}}
	pair := &Reader{Name: "pair", Magics: []Magic{{0, "PAIR"}}, Open: func(in *Input) (*Object, error) {
		return &Object{Size: in.Data.Size(), Parts: []Part{{Name: "a", Data: Slice(first)}, {Name: "b", Data: Slice(second)}}}, nil
	}}
	done := make(chan error)
	go func() {
		for range 50 {
			if _, err := Explore(context.Background(), "x", Slice("PAIR"), Options{Readers: []*Reader{ring, pair}, Workers: 4}); err != nil {
				done <- err
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("a ring of archives hangs")
	}
}

func TestSameForAnyNumberOfWorkers(t *testing.T) {
	var b []byte
	for i := range 40 {
		b = append(b, boxed('.', fmt.Appendf(nil, "text %d", i%7))...)
		b = append(b, noise(100+i, int64(i%3))...)
	}
	one, err := Explore(context.Background(), "x", Slice(b), Options{Readers: []*Reader{box}, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if many := exploreBox(t, b, Limits{}); outline(one.Root.Content) != outline(many) {
		t.Errorf("one worker\n%s\nfour\n%s", outline(one.Root.Content), outline(many))
	}
}
