package inventory

import (
	"bytes"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// sbatMark begins the table that programs of secure boot carry to be revoked by
// (shim's SBAT.md): lines of component, generation, maker, package, version, URL.
const sbatMark = "sbat,1,"

const maxSBAT = 4096

// sbat gives a program of secure boot the name, version and maker that its table
// states. The line with the longest name below the first component is that of who
// built it, whose version is the most exact.
func sbat(f *product.File, c *doorward.Component) {
	if !f.Has(sbatMark) {
		return
	}
	all := f.Bytes()
	var base, generations []string
	version := ""
	for _, at := range f.Hits(sbatMark) {
		if base, generations, version = sbatRows(all[at:min(at+maxSBAT, int64(len(all)))]); base != nil {
			break
		}
	}
	if base == nil {
		return
	}
	c.Name, c.Version, c.Maker = base[0], version, base[2]
	c.PURL = purl("generic", "", c.Name, c.Version)
	c.Detail["sbat"] = strings.Join(generations, ", ")
}

// sbatRows reads a table: the first component's line, the generations of all, and
// the version. Lists of what is revoked look alike, but have no such lines.
func sbatRows(b []byte) (base, generations []string, version string) {
	text, _, _ := bytes.Cut(b, []byte{0})
	for line := range strings.Lines(string(text)) {
		row := strings.Split(strings.TrimSpace(line), ",")
		if len(row) < 5 || row[0] == "sbat" {
			continue
		}
		generations = append(generations, row[0]+" "+row[1])
		switch {
		case base == nil:
			base, version = row, row[4]
		case strings.HasPrefix(row[0], base[0]+"."):
			version = row[4]
		}
	}
	return base, generations, version
}
