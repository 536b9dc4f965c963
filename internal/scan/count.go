package scan

import (
	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// count fills in how much was read: files, and the bytes of everything that
// holds nothing else and is no padding, each content once, less what is unread.
func count(p *product.Product, s *doorward.Summary) {
	for _, f := range p.Files {
		if f.Volume != nil {
			s.Files++
		}
	}
	missing := int64(0) // unread, but never there
	each(p.Root, func(n *unpack.Node, _ []string) {
		c := n.Content
		for _, g := range c.Gaps {
			if g.Offset >= c.Size {
				missing += g.Size
			}
		}
		if len(c.Children) == 0 && c.Type != unpack.TypePadding {
			s.ReadBytes += c.Size
		}
	})
	s.ReadBytes = max(0, s.ReadBytes+missing-s.UnreadBytes)
}
