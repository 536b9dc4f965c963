// Package inventory finds the components of a product: packages of dpkg, opkg,
// apk and rpm databases, packages given by themselves, the operating system,
// the kernel and its modules, programs with what they say of themselves, and
// well-known programs and libraries by their content where no database covers
// them. A version always comes from content; what has none is listed without.
package inventory

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// inventory is what is known of a product's components.
type inventory struct {
	product *product.Product
	list    []*doorward.Component
	owner   map[*product.File]*doorward.Component // the innermost component that holds a file
	covered map[*product.File]bool                // a package's own file
	named   map[scope]bool                        // packages by volume and name
	os      map[*product.Volume]*doorward.Component
	known   map[identity]*doorward.Component
	packed  map[release]*doorward.Component
	byPlace map[string]*product.File // by joined path steps
	sums    *sums                    // what package databases say of their files
}

// scope is a name within one root file system.
type scope struct {
	volume *product.Volume
	name   string
}

type factKey struct{}

func of(p *product.Product) *inventory {
	return product.Fact(p, factKey{}, func() *inventory { return take(p) })
}

func take(p *product.Product) *inventory {
	in := &inventory{
		product: p, owner: map[*product.File]*doorward.Component{}, covered: map[*product.File]bool{},
		named: map[scope]bool{}, os: map[*product.Volume]*doorward.Component{},
		known: map[identity]*doorward.Component{}, packed: map[release]*doorward.Component{}, sums: newSums(),
	}
	in.systems()
	in.packages()
	in.kernels()
	in.bootFirmware()
	in.programs()
	in.modules()
	in.name()
	return in
}

// Components returns the components of a product in a fixed order: by place of
// the first, then name. Each has a bom_ref of its own that stays the same as
// long as name, version and place do.
func Components(p *product.Product) []doorward.Component {
	in := of(p)
	list := make([]doorward.Component, len(in.list))
	for i, c := range in.list {
		list[i] = *c
	}
	return list
}

// Owner returns the bom_ref of the innermost component that holds a file: the
// package that brought it, the program that it is, else the operating system
// around it; "" if there is none.
func Owner(p *product.Product, f *product.File) string {
	in := of(p)
	if c := in.holder(f); c != nil {
		return c.BOMRef
	}
	return ""
}

// OwnerAt is Owner for the file at a place.
func OwnerAt(p *product.Product, w doorward.Where) string {
	in := of(p)
	for n := len(w.Path); n > 0; n-- {
		if f := in.atPlace(w.Path[:n]); f != nil {
			return Owner(p, f)
		}
	}
	return ""
}

// atPlace is the file at a place of the product.
func (in *inventory) atPlace(steps []string) *product.File {
	if in.byPlace == nil {
		in.byPlace = map[string]*product.File{}
		for _, f := range in.product.Files {
			for _, w := range f.Where() {
				in.byPlace[strings.Join(w.Path, "\x00")] = f
			}
		}
	}
	return in.byPlace[strings.Join(steps, "\x00")]
}

func (in *inventory) holder(f *product.File) *doorward.Component {
	if f == nil {
		return nil
	}
	if c := in.owner[f]; c != nil {
		return c
	}
	if f.Volume != nil {
		if c := in.os[f.Volume]; c != nil {
			return c
		}
	}
	return in.around(f)
}

// around is the component of the file that a blob or a nested volume lies in.
func (in *inventory) around(f *product.File) *doorward.Component {
	for _, w := range f.Where() {
		for n := len(w.Path) - 1; n > 0; n-- {
			if g := in.atPlace(w.Path[:n]); g != nil && g != f {
				return in.holder(g)
			}
		}
	}
	return nil
}

// identity tells components of one volume apart.
type identity struct {
	volume                       *product.Volume
	kind, name, version, foundBy string
}

// add lists a component. A second one of the same name and version in the same
// volume is the same: it adds its places.
func (in *inventory) add(v *product.Volume, c doorward.Component) *doorward.Component {
	id := identity{v, c.Type, c.Name, c.Version, c.Found}
	if old := in.known[id]; old != nil && c.Version != "" {
		old.Where = append(old.Where, c.Where...)
		if old.Parent != c.Parent {
			old.Parent = "" // it lies in several
		}
		return old
	}
	if c.Detail == nil {
		c.Detail = map[string]string{}
	}
	c.BOMRef = place(c.Where, c.Name)
	in.list = append(in.list, &c)
	in.known[id] = &c
	return &c
}

// own says that a file is part of a package.
func (in *inventory) own(f *product.File, c *doorward.Component) {
	if f != nil {
		in.owner[f], in.covered[f] = c, true
	}
}

// name orders the list, fills in parents and gives every component its bom_ref.
func (in *inventory) name() {
	slices.SortStableFunc(in.list, func(a, b *doorward.Component) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(inner(a), inner(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	old := map[string]string{}
	used := map[string]bool{}
	for _, c := range in.list {
		ref := unique(c, used)
		used[ref] = true
		old[c.BOMRef], c.BOMRef = ref, ref
	}
	for _, c := range in.list {
		if c.Parent = old[c.Parent]; c.Parent == c.BOMRef {
			c.Parent = ""
		}
		if len(c.Detail) == 0 {
			c.Detail = nil
		}
	}
}

// rank puts the system first, then packages, then the rest.
func rank(c *doorward.Component) int {
	switch {
	case c.Type == "operating-system":
		return 0
	case c.Type == "device-driver":
		return 3
	case c.Found == "elf" || c.Found == "content" || c.Found == "buildinfo":
		return 2
	}
	return 1
}

func inner(c *doorward.Component) string {
	if len(c.Where) == 0 {
		return ""
	}
	return c.Where[0].Inner()
}

// unique is the purl, or the place of what has no version; with the place added
// if two would be the same.
func unique(c *doorward.Component, used map[string]bool) string {
	ref := c.PURL
	if c.Version == "" || ref == "" {
		ref = "file:" + inner(c)
		if inner(c) == "" {
			ref = "part:" + c.Name
		}
	}
	if used[ref] && c.PURL == ref {
		ref += "#" + inner(c)
	}
	for base, n := ref, 2; used[ref]; n++ {
		ref = base + "#" + strconv.Itoa(n)
	}
	return ref
}

// place is the key by which components refer to each other before they have
// their final names.
func place(w []doorward.Where, name string) string {
	if len(w) == 0 {
		return name
	}
	return strings.Join(w[0].Path, "\x00") + "\x00\x00" + name
}

// stem is a library's or program's name without versions: libcrypto of
// libcrypto.so.1.0.0.
func stem(name string) string {
	name = path.Base(name)
	if at := strings.Index(name, ".so"); at > 0 {
		name = name[:at]
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".dylib"), ".dll")
}
