package unpack

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestTreeIsAFileSystem(t *testing.T) {
	tree := NewTree([]Entry{
		{Path: "/etc/passwd", Data: Slice("root")},
		{Path: "etc/empty"},
		{Path: "./a/b/c", Data: Slice("deep")},
		{Path: "../../escape", Data: Slice("x")},
	})
	if err := fstest.TestFS(tree, "etc/passwd", "etc/empty", "a/b/c", "escape"); err != nil {
		t.Fatal(err)
	}
}

func TestResolve(t *testing.T) {
	link := func(p, to string) Entry { return Entry{Path: p, Mode: fs.ModeSymlink, Link: to} }
	tree := NewTree([]Entry{
		{Path: "var/etc/passwd", Data: Slice("x")},
		link("etc", "/var/etc"),
		link("abs", "/etc/passwd"),
		link("out", "../../../../etc/passwd"),
		link("loop", "loop"),
		link("dangling", "/tmp/etc"),
		link("var/up", "../etc/../etc/passwd"),
	})
	for _, c := range []struct {
		path, want string
		ok         bool
	}{
		{"etc/passwd", "var/etc/passwd", true},
		{"/abs", "var/etc/passwd", true},
		{"out", "var/etc/passwd", true},
		{"var/up", "var/etc/passwd", true},
		{"loop", "loop", false},
		{"dangling/passwd", "tmp/etc/passwd", false},
		{"../../..", ".", true},
	} {
		if got, ok := tree.Resolve(c.path); got != c.want || ok != c.ok {
			t.Errorf("Resolve(%q) = %q, %v; want %q, %v", c.path, got, ok, c.want, c.ok)
		}
	}
}
