package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// mapView is the picture of the product: rows of boxes, each row one level
// deeper, and the same as a list.
type mapView struct {
	Title    string
	Rows     []mapRow
	End      string
	Legend   []swatch
	Tree     []treeRow
	TreeMore string
}

type mapRow struct {
	Deep  bool
	Boxes []box
}

// box is a part in the picture; Left and Width are in percent of the whole.
type box struct {
	ID                       int
	Class, Name, Format, Tip string
	Padding                  bool
	Left, Width              float64
	Dots                     []dot
}

type dot struct{ Class, ID, Title string }

type swatch struct{ Class, Name string }

type treeRow struct {
	ID, Depth          int
	Name, Format, Size string
	Unread             bool
	Has                []has
}

type has struct {
	Class, Word string
	N           int
}

const (
	maxRows     = 4    // levels in the picture
	maxDepth    = 5    // indent steps of the list
	maxTree     = 150  // rows of the list
	maxBoxes    = 60   // parts of one part
	maxDots     = 40   // doors drawn in one box
	minPercent  = 1.4  // width of the smallest box
	doorPercent = 7.0  // width of the smallest box with doors, if there is room
	maxPercent  = 30.0 // no box needs more than this for its doors
	narrow      = 5.0  // below this a box has no label
	middling    = 18.0 // below this it has none on a telephone
)

// node is a part of the layout with the doors that lie in it.
type node struct {
	part     *doorward.Part
	id       int
	depth    int
	parent   *node
	children []*node
	doors    []*doorward.Door // directly in it
	count    map[string]int   // of doors in it or below, by status
	left     float64
	width    float64
}

// partFinder knows the layout of a report and where its doors lie.
type partFinder struct {
	root  *node
	nodes []*node
	known bool // the sizes are real
}

// newPartFinder makes the tree of parts. Without a layout, the places of the
// doors give one.
func newPartFinder(r *doorward.Report) *partFinder {
	f := &partFinder{known: r.Layout != nil}
	layout := r.Layout
	if layout == nil {
		layout = layoutOfDoors(r)
	}
	f.root = f.add(layout, nil)
	for i := range r.Doors {
		d := &r.Doors[i]
		if len(d.Where) == 0 {
			continue
		}
		n := f.find(d.Where[0].Path)
		n.doors = append(n.doors, d)
		class := strings.Fields(dotClass(d))[0]
		for ; n != nil; n = n.parent {
			n.count[class]++
		}
	}
	return f
}

func (f *partFinder) add(p *doorward.Part, parent *node) *node {
	n := &node{part: p, id: len(f.nodes), parent: parent, count: map[string]int{}}
	if parent != nil {
		n.depth = parent.depth + 1
	}
	f.nodes = append(f.nodes, n)
	if n.depth < 40 {
		for _, c := range p.Parts {
			if c != nil {
				n.children = append(n.children, f.add(c, n))
			}
		}
	}
	return n
}

// layoutOfDoors makes a tree of the containers that hold doors; all are as
// large as the number of doors in them.
func layoutOfDoors(r *doorward.Report) *doorward.Part {
	root := &doorward.Part{Name: r.Subject.Name, Format: r.Subject.Format}
	for i := range r.Doors {
		if len(r.Doors[i].Where) == 0 {
			continue
		}
		at := root
		at.Size++
		path := r.Doors[i].Where[0].Path
		for _, step := range path[min(1, len(path)):max(len(path)-1, min(1, len(path)))] {
			j := slices.IndexFunc(at.Parts, func(p *doorward.Part) bool { return p.Name == step })
			if j < 0 {
				format, _, _ := strings.Cut(strings.ReplaceAll(step, ":", "@"), "@")
				if !doorward.IsRegionStep(step) {
					format = "file"
				}
				at.Parts = append(at.Parts, &doorward.Part{Name: step, Format: format})
				j = len(at.Parts) - 1
			}
			at = at.Parts[j]
			at.Size++
		}
	}
	return root
}

// find is the innermost part on the way to a place.
func (f *partFinder) find(path []string) *node {
	n := f.root
	for _, step := range path[min(1, len(path)):] {
		i := slices.IndexFunc(n.children, func(c *node) bool { return c.part.Name == step })
		if i < 0 {
			break
		}
		n = n.children[i]
	}
	return n
}

// ids lists the parts in which a door lies, as the page's script compares them.
func (f *partFinder) ids(d *doorward.Door) string {
	var ids []string
	for _, w := range d.Where {
		for n := f.find(w.Path); n != nil; n = n.parent {
			if id := fmt.Sprintf("p%d", n.id); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return strings.Join(ids, " ")
}

// view draws the picture; nil if there is nothing to draw.
func (f *partFinder) view(r *doorward.Report) *mapView {
	if len(f.nodes) < 2 {
		return nil
	}
	m := &mapView{Title: "What lies within what"}
	if f.known {
		m.End = size(f.root.part.Size) + ", not to scale"
	}
	f.root.left, f.root.width = 0, 100
	f.root.spread()
	level := f.root.children
	for depth := 1; depth <= maxRows && len(level) > 0; depth++ {
		row := mapRow{Deep: depth > 1}
		var next []*node
		for _, n := range level {
			if n.width > 0 {
				row.Boxes = append(row.Boxes, f.box(n, depth == maxRows))
				next = append(next, n.children...)
			}
		}
		m.Rows = append(m.Rows, row)
		level = next
	}
	m.Legend = legend(m.Rows)
	f.list(m, f.root)
	return m
}

// box draws a part; the last row draws the doors of all that lies deeper too.
func (f *partFinder) box(n *node, last bool) box {
	b := box{
		ID: n.id, Class: partClass(n.part), Name: plain(shortName(n.part.Name)), Format: plain(n.part.Format), Left: n.left, Width: n.width,
	}
	b.Padding = b.Class == "padding" && len(n.doors) == 0
	b.Tip = fmt.Sprintf("%s (%s, %s)", plain(n.part.Name), plain(n.part.Format), f.size(n))
	if n.part.Partition != "" {
		b.Tip += ", partition " + plain(n.part.Partition)
	}
	switch {
	case n.width < narrow:
		b.Class += " narrow"
	case n.width < middling:
		b.Class += " mid"
	}
	for _, d := range n.drawn(last) {
		if len(b.Dots) == maxDots {
			break
		}
		b.Dots = append(b.Dots, dot{dotClass(d), plain(d.ID), plain(d.Title)})
	}
	return b
}

func (f *partFinder) size(n *node) string {
	if !f.known {
		return count(int(n.part.Size), "door", "doors")
	}
	return size(n.part.Size)
}

func (n *node) drawn(deep bool) []*doorward.Door {
	doors := n.doors
	if deep {
		for _, c := range n.children {
			doors = append(slices.Clip(doors), c.drawn(true)...)
		}
	}
	return doors
}

// shortName is the last element of a path; a region keeps its address.
func shortName(name string) string {
	if doorward.IsRegionStep(name) {
		return name
	}
	return name[strings.LastIndexByte(name, '/')+1:]
}

var fileSystems = strings.Fields("squashfs cramfs jffs2 ubifs ubi yaffs2 romfs ext2 ext3 ext4 fat vfat ntfs iso9660 btrfs f2fs xfs erofs cpio tar zip ar deb rpm ipk apk oci docker layer directory android-sparse")

// partClass says how a part is drawn.
func partClass(p *doorward.Part) string {
	format, _, _ := strings.Cut(strings.ToLower(p.Format), " ")
	switch {
	case p.Unread:
		return "unread"
	case format == "padding":
		return "padding"
	case p.Files > 0 || slices.Contains(fileSystems, format):
		return "fs"
	case strings.Contains(format, "code") || strings.Contains(format, "kernel") || format == "elf" || format == "vmlinux":
		return "code"
	}
	return "box"
}

func legend(rows []mapRow) []swatch {
	var list []swatch
	for _, s := range []swatch{{"fs", "file system or archive"}, {"code", "code"}, {"box", "other"}, {"padding", "padding"}, {"unread", "not read"}} {
		if slices.ContainsFunc(rows, func(r mapRow) bool {
			return slices.ContainsFunc(r.Boxes, func(b box) bool { return strings.Fields(b.Class)[0] == s.Class })
		}) {
			list = append(list, s)
		}
	}
	return list
}

// list makes the list of parts, without padding.
func (f *partFinder) list(m *mapView, n *node) {
	if partClass(n.part) == "padding" && len(n.doors) == 0 {
		return
	}
	if len(m.Tree) == maxTree {
		m.TreeMore = "Further parts are in the JSON report."
		return
	}
	row := treeRow{
		ID: n.id, Depth: min(n.depth, maxDepth), Name: plain(n.part.Name), Format: plain(n.part.Format), Size: f.size(n), Unread: n.part.Unread,
	}
	if n.part.Partition != "" {
		row.Name += ", " + plain(n.part.Partition)
	}
	if n.part.Files > 0 {
		row.Format += ", " + count(n.part.Files, "file", "files")
	}
	for _, class := range []string{"contradicts", "undeclared", "judged", "declared"} {
		if n.count[class] > 0 {
			row.Has = append(row.Has, has{class, class, n.count[class]})
		}
	}
	m.Tree = append(m.Tree, row)
	for _, c := range n.children {
		f.list(m, c)
	}
}

// css places the boxes: the page's policy allows no style beside its style
// sheet.
func (m *mapView) css() string {
	var b strings.Builder
	for _, row := range m.Rows {
		for _, x := range row.Boxes {
			fmt.Fprintf(&b, "#b%d{left:%.3f%%;width:calc(%.3f%% - 2px)}\n", x.ID, x.Left, x.Width)
		}
	}
	return b.String()
}
