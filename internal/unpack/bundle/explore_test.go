package bundle_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

// steps are the paths of all nodes.
func steps(n *unpack.Node, path string, into map[string]*unpack.Content) {
	path += "/" + n.Step
	if into[path] = n.Content; n.Content == nil {
		return
	}
	for _, c := range n.Content.Children {
		steps(c, path, into)
	}
}

func explored(t *testing.T, name string, b []byte) map[string]*unpack.Content {
	t.Helper()
	res, err := unpack.Explore(context.Background(), name, unpack.Slice(b), unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*unpack.Content{}
	steps(res.Root, "", all)
	return all
}

// TestAppImage: the file system behind a program's end is opened, and the
// program stays one, as the artifact and as a file of a tree.
func TestAppImage(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "root"), 0o755)
	os.WriteFile(filepath.Join(dir, "root/AppRun"), []byte("#!/bin/sh\necho hello\n"), 0o755)
	testtool.Run(t, dir, "mksquashfs", "root", "fs.img", "-noappend", "-quiet", "-no-progress")
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	fs, _ := os.ReadFile(filepath.Join(dir, "fs.img"))
	app := append(program, fs...)
	all := explored(t, "app", app)
	if c := all["/app/elf:overlay/AppRun"]; all["/app"].Type != unpack.TypeELF || c == nil || c.Type != unpack.TypeScript {
		t.Errorf("%v", all)
	}
	os.WriteFile(filepath.Join(dir, "root/app"), app, 0o755)
	tar := testtool.Run(t, filepath.Join(dir, "root"), "tar", "-cf", "-", "app")
	all = explored(t, "a.tar", tar)
	if c := all["/a.tar/app/elf:overlay/AppRun"]; all["/a.tar/app"].Type != unpack.TypeELF || c == nil {
		t.Errorf("%v", all)
	}
}

// TestMakeself: the archive behind a script's last line is opened, and the
// script stays one.
func TestMakeself(t *testing.T) {
	testtool.Need(t, "makeself")
	for _, args := range []string{"--gzip", "--bzip2", "--xz", "--nocomp"} {
		dir := t.TempDir()
		os.Mkdir(filepath.Join(dir, "root"), 0o755)
		os.WriteFile(filepath.Join(dir, "root/run.sh"), []byte("#!/bin/sh\necho hello\n"), 0o755)
		testtool.Run(t, dir, "makeself", args, "root", "a.run", "a label", "./run.sh")
		b, _ := os.ReadFile(filepath.Join(dir, "a.run"))
		all := explored(t, "a", b)
		found := false
		for p, c := range all {
			found = found || filepath.Base(p) == "run.sh" && c.Type == unpack.TypeScript
		}
		if all["/a"].Type != unpack.TypeScript || !found {
			t.Errorf("%s: %v", args, all)
		}
	}
}
