package inventory

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// sums is what the package databases of a product say of their files.
type sums struct {
	list  []*database
	known map[databaseID]*database
}

type databaseID struct {
	volume *product.Volume
	root   string
	format string
}

// database is one package database with its packages.
type database struct {
	databaseID
	where []doorward.Where
	packs []packSums
}

type packSums struct {
	*pack
	component *doorward.Component
}

func newSums() *sums { return &sums{known: map[databaseID]*database{}} }

// add notes an installed package.
func (s *sums) add(v *product.Volume, root string, p *pack, c *doorward.Component) {
	s.database(databaseID{v, root, p.foundBy()}, p.from.Where()).add(p, c)
}

// given notes a package that was given by itself: its files lie in v.
func (s *sums) given(v *product.Volume, p *pack, c *doorward.Component) {
	if len(p.sums) > 0 {
		s.database(databaseID{v, ".", p.format + " " + p.name}, p.from.Where()).add(p, c)
	}
}

func (s *sums) database(id databaseID, where []doorward.Where) *database {
	d := s.known[id]
	if d == nil {
		d = &database{databaseID: id, where: where}
		s.known[id] = d
		s.list = append(s.list, d)
	}
	return d
}

func (d *database) add(p *pack, c *doorward.Component) {
	d.packs = append(d.packs, packSums{p, c})
}

// isGiven says that it is the list of a package that was given by itself.
func (d *database) isGiven() bool { return strings.Contains(d.format, " ") }

type alterationsKey struct{}

// Alterations compares the files of a product with what its package databases
// say of them; nil without a database.
func Alterations(p *product.Product) *doorward.Alterations {
	return product.Fact(p, alterationsKey{}, func() *doorward.Alterations { return of(p).alterations() })
}

func (in *inventory) alterations() *doorward.Alterations {
	if len(in.sums.list) == 0 {
		return nil
	}
	a := &doorward.Alterations{Databases: []doorward.FileDatabase{}, Altered: []doorward.Alteration{}, Foreign: []doorward.Alteration{}, Configuration: []doorward.Alteration{}}
	for _, d := range in.sums.list {
		c := &comparing{in: in, database: d, out: a, claims: map[string]*claim{}}
		c.run()
		a.Databases = append(a.Databases, c.sum)
	}
	for _, list := range []*[]doorward.Alteration{&a.Altered, &a.Foreign, &a.Configuration} {
		order(*list)
		*list = (*list)[:min(len(*list), maxAlterations)]
	}
	return a
}

// maxAlterations bounds each list; the databases' counts are whole.
const maxAlterations = 5000

func order(list []doorward.Alteration) {
	slices.SortStableFunc(list, func(a, b doorward.Alteration) int {
		return cmp.Or(cmp.Compare(roleRank(a.Role), roleRank(b.Role)), slices.Compare(a.Where[0].Path, b.Where[0].Path))
	})
}

// comparing is a database at work.
type comparing struct {
	in *inventory
	*database
	out    *doorward.Alterations
	sum    doorward.FileDatabase
	claims map[string]*claim // by place in the volume
	order  []*claim
}

// claim is what packages say of one file. Several may: of two architectures that
// share it, or an older one whose file went over to another package. One that is
// right is enough.
type claim struct {
	place string
	entry *unpack.Entry
	file  *product.File // links followed
	says  []says
	found map[string]string // sums, by algorithm
	err   bool
	wrong bool
}

type says struct {
	fileSum
	by packSums
}

func (c *comparing) run() {
	format, _, _ := strings.Cut(c.format, " ")
	c.sum = doorward.FileDatabase{Format: format, Where: c.where, Packages: len(c.packs)}
	diverted := diversions{}
	if f := c.volume.File(path.Join(c.root, "var/lib/dpkg/diversions")); f != nil && c.format == "dpkg" {
		diverted = readDiversions(bigText(f))
	}
	for _, p := range c.packs {
		for _, s := range p.sums {
			c.claim(diverted.place(s.path, p.name), says{s, p})
		}
	}
	listed := c.listed(diverted)
	c.gather()
	for _, claim := range c.order {
		c.judge(claim)
	}
	if !c.isGiven() && c.in.sums.main(c.database) {
		c.foreign(listed)
	}
}

// at is the place of a package's file in the volume, and what is there: nil if
// nothing is. Folders may be links (merged /usr), the file itself is not followed.
func (c *comparing) at(file string) (string, *unpack.Entry) {
	dir, ok := c.volume.Tree.Resolve(path.Join(c.root, path.Dir(file)))
	place := path.Join(dir, path.Base(file))
	if e := c.volume.Tree.Entry(place); ok && e != nil && !e.Deleted {
		return place, e
	}
	return place, nil
}

// claim notes what a package says of a place.
func (c *comparing) claim(file string, s says) {
	place, e := c.at(file)
	if e == nil {
		c.sum.Missing++
		return
	}
	known := c.claims[place]
	if known == nil {
		known = &claim{place: place, entry: e, file: c.volume.File(place), found: map[string]string{}}
		c.claims[place] = known
		c.order = append(c.order, known)
	}
	known.says = append(known.says, s)
}

// listed are the places of the files that packages have; it counts those
// without a checksum.
func (c *comparing) listed(diverted diversions) map[string]bool {
	list := map[string]bool{}
	for place := range c.claims {
		list[place] = true
	}
	for _, p := range c.packs {
		for _, name := range p.files {
			if place, e := c.at(diverted.place(name, p.name)); e != nil && e.Mode.IsRegular() && !list[place] {
				list[place] = true
				c.sum.Unchecked++
			}
		}
	}
	return list
}

// judge holds a file against what packages say of it.
func (c *comparing) judge(k *claim) {
	if k.err {
		c.sum.Unread++
		return
	}
	c.sum.Checked++
	config := false
	for _, s := range k.says {
		if strings.HasPrefix(k.found[s.algorithm], s.sum) || k.isLink() && linkSum(s.algorithm, k.entry.Link) == s.sum {
			return
		}
		config = config || s.config
	}
	k.wrong = true
	last := k.says[len(k.says)-1]
	a := doorward.Alteration{
		Package: strings.TrimSpace(last.by.name + " " + last.by.version), BOMRef: last.by.component.BOMRef, Where: c.places(k),
		Role: role(k.place, k.file), Expected: last.algorithm + ":" + last.sum, Found: last.algorithm + ":" + k.found[last.algorithm],
	}
	switch {
	case k.isLink() && k.file != nil:
		a.Found += ", behind a link at " + k.place
	case k.isLink():
		a.Found = "a link to " + k.entry.Link
	case k.file == nil:
		a.Found = k.entry.Mode.Type().String()
	}
	if config {
		c.sum.Changed++
		c.out.Configuration = append(c.out.Configuration, a)
		return
	}
	c.sum.Altered++
	c.out.Altered = append(c.out.Altered, a)
}

func (k *claim) isLink() bool { return k.entry.Mode&fs.ModeSymlink != 0 }

// places is where the file lies, links followed; of what is no file any more,
// where it was.
func (c *comparing) places(k *claim) []doorward.Where {
	if k.file != nil {
		return k.file.Where()
	}
	var list []doorward.Where
	for _, place := range c.volume.Places {
		list = append(list, doorward.Where{Path: append(slices.Clone(place), k.place)})
	}
	return list
}
