package scan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/boot"
)

// mtdparts is how partitions are told to kernels and boot loaders.
const mtdparts = "mtdparts="

// flashNames are the names of flash partitions: of regions, and of everything
// that lies in them.
type flashNames struct {
	own    map[*unpack.Node]string
	around map[*unpack.Node]string
}

// flashTable is a partition table that something in the product states.
type flashTable struct {
	boot.PartitionTable
	in    *unpack.Content // what it must fit; nil for any
	shift int64           // from the table's addresses to offsets
}

// nameFlash names the regions of flash images by the partition tables that lie
// in the product: mtdparts in command lines and environments, device trees,
// RedBoot's directory. A table counts only where it fits.
func nameFlash(p *product.Product) *flashNames {
	names := &flashNames{own: map[*unpack.Node]string{}, around: map[*unpack.Node]string{}}
	tables := flashTables(p)
	if len(tables) == 0 {
		return names
	}
	each(p.Root, func(n *unpack.Node, _ []string) {
		if n.Content.Type != unpack.TypeCarved {
			return
		}
		best, score := flashTable{}, 0
		for _, t := range tables {
			if s := t.fits(n.Content); s > score {
				best, score = t, s
			}
		}
		if score == 0 {
			return
		}
		for _, child := range n.Content.Children {
			if name := best.name(child.Offset, child.Size); name != "" {
				names.own[child] = name
				names.within(child, name)
			}
		}
	})
	return names
}

// within notes the partition of a node and of all that lies in it.
func (names *flashNames) within(n *unpack.Node, name string) {
	if names.around[n] != "" {
		return
	}
	names.around[n] = name
	if n.Content != nil {
		for _, child := range n.Content.Children {
			names.within(child, name)
		}
	}
}

// maxTables bounds the tables of one product.
const maxTables = 200

// flashTables are the tables that anything in the product states, each once.
func flashTables(p *product.Product) (list []flashTable) {
	seen := map[string]bool{}
	add := func(text string, in *unpack.Content, shift int64) {
		for _, t := range boot.ParseMTDParts(text) {
			key := t.MTDParts() + strconv.FormatInt(shift, 16)
			if !seen[key] && len(list) < maxTables {
				seen[key] = true
				list = append(list, flashTable{t, in, shift})
			}
		}
	}
	parent := map[*unpack.Node]*unpack.Content{}
	each(p.Root, func(n *unpack.Node, _ []string) {
		for _, child := range n.Content.Children {
			parent[child] = n.Content
		}
		if n.Content.Object == nil {
			return
		}
		info := n.Content.Object.Info
		if text := info["partitions"]; text != "" {
			if at, err := strconv.ParseInt(strings.TrimPrefix(info["directory at"], "0x"), 16, 64); err == nil {
				add(text, parent[n], n.Offset-at)
			} else {
				add(text, nil, 0)
			}
		}
		for _, key := range []string{"command line", "bootargs", "cmdline"} {
			if _, text, ok := strings.Cut(info[key], mtdparts); ok {
				add(text, nil, 0)
			}
		}
	})
	for _, f := range p.Files {
		for _, at := range f.Hits(mtdparts) {
			b := f.Bytes()
			if start := int(at) + len(mtdparts); start < len(b) {
				text := strings.TrimPrefix(string(b[start:min(start+2048, len(b))]), mtdparts) // of a variable of that name
				add(text, nil, 0)
			}
		}
	}
	return list
}

// fits says how well a table describes an image: two borders that are also those
// of regions, or one and the whole length, are no accident. 0: not at all.
func (t flashTable) fits(c *unpack.Content) int {
	if t.in != nil && t.in != c {
		return 0
	}
	starts := map[int64]bool{}
	for _, child := range c.Children {
		starts[child.Offset] = true
	}
	hits, end := 0, int64(0)
	for _, p := range t.Partitions {
		off := p.Offset + t.shift
		if off > 0 && starts[off] {
			hits++
		}
		if p.Size >= 0 {
			end = max(end, off+p.Size)
		}
	}
	if end > 2*c.Size {
		return 0 // another chip
	}
	if exact := end == c.Size; hits == 0 || hits == 1 && !exact {
		return 0
	} else if exact {
		hits++
	}
	return hits
}

// name is the smallest partition that holds a stretch, or those that it reaches
// over.
func (t flashTable) name(off, size int64) string {
	var over []string
	best := boot.Partition{}
	sorted := slices.Clone(t.Partitions)
	slices.SortStableFunc(sorted, func(a, b boot.Partition) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, p := range sorted {
		start := p.Offset + t.shift
		end := start + p.Size
		if p.Size < 0 {
			end = max(start, off+size)
		}
		switch {
		case off >= start && off+size <= end:
			if best.Name == "" || best.Size < 0 || p.Size >= 0 && p.Size < best.Size {
				best = p
			}
		case off < end && start < off+size && len(over) < 4:
			over = append(over, p.Name)
		}
	}
	if best.Name != "" {
		return best.Name
	}
	return strings.Join(over, ", ")
}
