package unpack

import (
	"bytes"
	"context"
	"testing"
)

// TestCarried: what a program carries is explored, and it stays a program,
// whether it is the artifact or a file of a tree.
func TestCarried(t *testing.T) {
	carried := &Reader{Name: "behind", Program: true, Magics: []Magic{{0, "\x7fELF"}}, Open: func(in *Input) (*Object, error) {
		at := FindBytes(in.Data, 0, "PAYLOAD")
		if at < 0 {
			return nil, ErrNotThis
		}
		return &Object{Size: in.Data.Size(), Parts: []Part{{Name: "overlay", Data: Window(in.Data, at+7, in.Data.Size()), Offset: at + 7}},
			Gaps: []Gap{{0, 4, "compressed", "a note"}}}, nil
	}}
	inner := &Reader{Name: "inner", Magics: []Magic{{0, "INNER"}}, Carve: true, Open: func(in *Input) (*Object, error) {
		return &Object{Format: "inner", Size: in.Data.Size(), Entries: []Entry{{Path: "file", Mode: 0o644, Data: Slice("text\n")}}}, nil
	}}
	program := append([]byte("\x7fELF\x01\x01\x01"), bytes.Repeat([]byte{7}, 100)...)
	program = append(program, "PAYLOADINNER"...)
	plain := append([]byte("\x7fELF\x01\x01\x01"), bytes.Repeat([]byte{8}, 100)...)
	seen := 0
	opt := Options{Readers: []*Reader{carried, inner}, Workers: 1, Observe: func(b Bytes, typ Type) any {
		if typ == TypeELF {
			seen++
		}
		return nil
	}}
	check := func(c *Content) {
		t.Helper()
		if c.Type != TypeELF || c.Tree != nil || c.Object != nil || len(c.Children) != 1 || len(c.Gaps) != 1 {
			t.Fatalf("%+v", c)
		}
		if n := c.Children[0]; n.Step != "behind:overlay" || n.Offset != 114 || n.Content.Tree == nil || n.Content.Reader != "inner" {
			t.Errorf("%+v", n)
		}
	}
	res, err := Explore(context.Background(), "program", Slice(program), opt)
	if err != nil {
		t.Fatal(err)
	}
	check(res.Root.Content)
	res, err = ExploreTree(context.Background(), "folder", &Object{Format: "folder", Entries: []Entry{
		{Path: "bin/a", Mode: 0o755, Data: Slice(program)}, {Path: "bin/b", Mode: 0o755, Data: Slice(plain)},
	}}, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range res.Root.Content.Children {
		if n.Step == "bin/a" {
			check(n.Content)
		} else if n.Content.Type != TypeELF || len(n.Content.Children) != 0 {
			t.Errorf("%+v", n.Content)
		}
	}
	if seen != 3 {
		t.Errorf("%d programs", seen)
	}
}
