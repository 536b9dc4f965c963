package firmware

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

// file is one entry of a product made in a test. A path that ends in a slash is
// a folder, link is the target of a symbolic link.
type file struct {
	path, text string
	mode       fs.FileMode // 0 means 0644
	link       string
	uid        int
}

// madeProduct makes a product of one root file system.
func madeProduct(t testing.TB, d *Detector, files ...file) *product.Product {
	t.Helper()
	o := &unpack.Object{Format: "directory", System: true}
	for _, f := range files {
		e := unpack.Entry{Path: f.path, Mode: f.mode, UID: f.uid, Data: unpack.Slice(f.text)}
		switch {
		case strings.HasSuffix(f.path, "/"):
			e.Mode, e.Data = fs.ModeDir|0o755, nil
		case f.link != "":
			e.Mode, e.Data, e.Link = fs.ModeSymlink, nil, f.link
		case e.Mode == 0:
			e.Mode = 0o644
		}
		o.Entries = append(o.Entries, e)
	}
	p, err := product.OpenTree(context.Background(), "product", o, d.Patterns, unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// doorsOf runs one detector on a made product.
func doorsOf(t testing.TB, d *Detector, files ...file) []doorward.Door {
	t.Helper()
	r := detect.Run(context.Background(), []*Detector{d}, madeProduct(t, d, files...), 1)
	if r.Runs[0].Status != "ran" {
		t.Fatalf("%s: %s %s", d.Name, r.Runs[0].Status, r.Runs[0].Error)
	}
	return r.Doors
}

// lines is a door in one line each, for comparing: kind, weight, the chosen
// details.
func lines(doors []doorward.Door, keys ...string) []string {
	var list []string
	for _, d := range doors {
		s := string(d.Kind) + " " + string(d.Weight)
		for _, k := range keys {
			if v := d.Detail.Text(k); v != "" {
				s += " " + k + "=" + v
			}
		}
		list = append(list, s)
	}
	return list
}
