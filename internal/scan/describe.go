package scan

import (
	"slices"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/compare"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// subject says what the artifact is, by what lies in it and not by its name.
func subject(p *product.Product) doorward.Subject {
	s := doorward.Subject{Name: p.Name, SHA256: p.SHA256, Size: p.Size, Format: p.Format, Kind: kindOf(p)}
	if p.Root.Content.Type == unpack.TypeCarved && s.Format == "" {
		s.Format = "raw"
	}
	if s.Format == "" {
		s.Format = plainFormat(p.Root.Content.Type)
	}
	return s
}

// plainFormat is the format of an artifact that no reader opened: one program,
// or one text.
func plainFormat(t unpack.Type) string {
	switch {
	case t.Executable():
		return string(t)
	case t.IsText():
		return string(unpack.TypeText)
	}
	return ""
}

func kindOf(p *product.Product) string {
	c := p.Root.Content
	switch c.Reader {
	case "directory":
		return "directory"
	case "oci", "docker":
		return "container"
	case "deb", "ipk", "apk", "ar", "zip", "rpm":
		return "package"
	}
	switch {
	case c.Type.Executable():
		return "program"
	case c.Type.IsText():
		return "text"
	case c.Type == unpack.TypeCarved, slices.ContainsFunc(c.Children, func(n *unpack.Node) bool { return n.Format == unpack.CodePart }):
		return "firmware"
	case c.Type == unpack.TypeObject:
		for _, v := range p.Volumes {
			if v.IsRoot() {
				return "firmware"
			}
		}
		return "archive"
	}
	return "unknown"
}

// each calls f for every node with the path that leads to it, parents first.
// Equal content is visited at its first place only.
func each(root *unpack.Node, f func(n *unpack.Node, place []string)) {
	seen := map[*unpack.Content]bool{}
	var visit func(n *unpack.Node, place []string)
	visit = func(n *unpack.Node, place []string) {
		if n.Content == nil || seen[n.Content] {
			return
		}
		seen[n.Content] = true
		f(n, place)
		for _, child := range n.Content.Children {
			visit(child, append(place[:len(place):len(place)], child.Step))
		}
	}
	visit(root, []string{root.Step})
}

// unread lists every part that could not be read.
func unread(p *product.Product, names *flashNames) []doorward.Unread {
	list := []doorward.Unread{}
	each(p.Root, func(n *unpack.Node, place []string) {
		for _, g := range n.Content.Gaps {
			list = append(list, doorward.Unread{Path: place, Offset: g.Offset, Size: g.Size, Reason: g.Reason, Note: g.Note, Entropy: n.Content.Entropy, Partition: names.around[n]})
		}
	})
	return list
}

// layout is the picture of what lies within what: everything but the files of
// trees, of which only containers are shown.
func layout(p *product.Product, names *flashNames) *doorward.Part {
	seen := map[*unpack.Content]bool{}
	var part func(n *unpack.Node) *doorward.Part
	part = func(n *unpack.Node) *doorward.Part {
		out := &doorward.Part{Name: n.Step, Offset: n.Offset, Size: n.Size, Format: n.Format, Partition: names.own[n]}
		c := n.Content
		if c == nil || seen[c] {
			return out
		}
		seen[c] = true
		out.Entropy, out.Unread = c.Entropy, len(c.Gaps) > 0
		if out.Format = formatOf(c); out.Format == "" {
			out.Format = n.Format
		}
		for _, child := range c.Children {
			if child.Entry != nil {
				out.Files++
				if child.Content == nil || (child.Content.Object == nil && child.Content.Type != unpack.TypeCarved) {
					continue
				}
			}
			out.Parts = append(out.Parts, part(child))
		}
		return out
	}
	return part(p.Root)
}

func formatOf(c *unpack.Content) string {
	switch {
	case c.Object != nil && c.Object.Format != "":
		return c.Object.Format
	case c.Reader != "":
		return c.Reader
	}
	return string(c.Type)
}

// Files lists every file of the product with its digest, for comparing, by the
// path inside the product, at its first place.
func Files(p *product.Product) []compare.File {
	list := []compare.File{}
	for _, f := range p.Files {
		if f.Volume != nil && !f.Deleted() {
			list = append(list, compare.File{Path: f.Inner(), SHA256: f.SHA256, Size: f.Size, Mode: f.Mode().String()})
		}
	}
	return list
}
