// Package product is what was opened, as one thing: volumes and files with
// their places, the facts that are computed once and shared by all detectors,
// the hits of all their patterns, and who mentions what.
package product

import (
	"context"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/unpack"
)

// Product is an opened artifact.
type Product struct {
	Name   string
	SHA256 string
	Size   int64
	Format string // of the outermost object
	Root   *unpack.Node
	Budget *unpack.Budget

	Volumes []*Volume // file systems and archives, by place
	Files   []*File   // every regular file of every volume, and every blob, by place

	indexed *Indexer
	mu      sync.Mutex
	facts   map[any]*fact
	texts   *textCache
}

// Volume is the tree of a file system or an archive. Absolute links and the
// paths of scripts resolve inside it.
type Volume struct {
	Product *Product
	Places  [][]string // the path steps that lead to it; several for equal content (A/B slots)
	Format  string     // squashfs, tar, ext4
	Info    map[string]string
	Tree    *unpack.Tree
	content *unpack.Content
	files   map[string]*File
}

// File is a regular file of a volume, or a blob: a named part or a carved
// region that is no container.
type File struct {
	Path    string        // in its volume; of a blob its last path step
	Volume  *Volume       // nil for a blob
	Entry   *unpack.Entry // nil for a blob
	Node    *unpack.Node
	Content *unpack.Content
	SHA256  string
	Size    int64
	Type    unpack.Type
	product *Product
	places  [][]string // of a blob
}

// maxPlaces is how many places of equal content are kept.
const maxPlaces = 8

// Open explores an artifact and makes a product of it. observe takes part in
// the one pass over the bytes.
func Open(ctx context.Context, name string, data unpack.Bytes, patterns []string, opt unpack.Options) (*Product, error) {
	ix := NewIndexer(patterns)
	opt.Observe = ix.Observe
	res, err := unpack.Explore(ctx, name, data, opt)
	if err != nil {
		return nil, err
	}
	return newProduct(res, ix), nil
}

// OpenTree does the same for a tree that is open already, such as a folder.
func OpenTree(ctx context.Context, name string, object *unpack.Object, patterns []string, opt unpack.Options) (*Product, error) {
	ix := NewIndexer(patterns)
	opt.Observe = ix.Observe
	res, err := unpack.ExploreTree(ctx, name, object, opt)
	if err != nil {
		return nil, err
	}
	return newProduct(res, ix), nil
}

func newProduct(res *unpack.Result, ix *Indexer) *Product {
	root := res.Root
	p := &Product{
		Name: root.Step, SHA256: root.Content.SHA256, Size: root.Size, Root: root, Budget: res.Budget,
		Format: root.Content.Reader, indexed: ix, facts: map[any]*fact{}, texts: newTextCache(),
	}
	b := builder{product: p, volumes: map[*unpack.Content]*Volume{}, blobs: map[*unpack.Content]*File{}}
	b.node(root, []string{root.Step}, nil)
	return p
}

type builder struct {
	product *Product
	volumes map[*unpack.Content]*Volume
	blobs   map[*unpack.Content]*File
}

// node adds what lies at a place. in is the volume that the node is a file of.
func (b *builder) node(n *unpack.Node, place []string, in *Volume) {
	c := n.Content
	if c == nil {
		return
	}
	if in != nil {
		in.addFile(n)
	}
	if c.Tree != nil {
		b.volume(n, place)
		return
	}
	if in == nil && !b.blob(n, place) {
		return
	}
	for _, child := range c.Children {
		b.node(child, step(place, child.Step), nil)
	}
}

// blob adds a place that is no file of a volume; false if there are enough of
// its equals already.
func (b *builder) blob(n *unpack.Node, place []string) bool {
	f := b.blobs[n.Content]
	if f == nil {
		f = b.product.newFile(n)
		f.Path = n.Step
		b.blobs[n.Content] = f
		b.product.Files = append(b.product.Files, f)
	}
	if len(f.places) >= maxPlaces {
		return false
	}
	f.places = append(f.places, place)
	return true
}

func (b *builder) volume(n *unpack.Node, place []string) {
	c := n.Content
	v := b.volumes[c]
	fresh := v == nil
	if fresh {
		v = &Volume{Product: b.product, Format: c.Reader, Tree: c.Tree, Info: c.Object.Info, content: c, files: map[string]*File{}}
		b.volumes[c] = v
		b.product.Volumes = append(b.product.Volumes, v)
	}
	if len(v.Places) >= maxPlaces {
		return
	}
	v.Places = append(v.Places, place)
	for _, child := range c.Children {
		switch {
		case child.Entry == nil:
			b.node(child, step(place, child.Step), nil)
		case fresh:
			b.node(child, step(place, child.Step), v)
		case child.Content != nil && (child.Content.Tree != nil || len(child.Content.Children) > 0):
			b.again(child, step(place, child.Step))
		}
	}
}

// again adds a second place of the containers in a file.
func (b *builder) again(n *unpack.Node, place []string) {
	if n.Content.Tree != nil {
		b.volume(n, place)
		return
	}
	for _, child := range n.Content.Children {
		b.node(child, step(place, child.Step), nil)
	}
}

func step(place []string, s string) []string {
	return append(place[:len(place):len(place)], s)
}

func (p *Product) newFile(n *unpack.Node) *File {
	return &File{Node: n, Entry: n.Entry, Content: n.Content, SHA256: n.Content.SHA256, Size: n.Content.Size, Type: n.Content.Type, product: p}
}

func (v *Volume) addFile(n *unpack.Node) {
	f := v.Product.newFile(n)
	f.Path, f.Volume = n.Step, v
	v.files[n.Step] = f
	v.Product.Files = append(v.Product.Files, f)
}

// Where returns the file's places, at most a few.
func (f *File) Where() []doorward.Where {
	var list []doorward.Where
	places := f.places
	if f.Volume != nil {
		places = nil
		for _, place := range f.Volume.Places {
			places = append(places, step(place, f.Path))
		}
	}
	for _, place := range places {
		list = append(list, doorward.Where{Path: place, SHA256: f.SHA256})
	}
	return list
}

// WhereAt returns the file's places with an offset in its bytes.
func (f *File) WhereAt(offset int64) []doorward.Where {
	list := f.Where()
	for i := range list {
		list[i] = list[i].At(offset)
	}
	return list
}

// Inner is the file's first place as a path inside the product: of what lies in
// a packed file, the path of that file.
func (f *File) Inner() string {
	if where := f.Where(); len(where) > 0 {
		return where[0].Inner()
	}
	return f.Path
}

// Base is the last element of the file's path.
func (f *File) Base() string { return path.Base(f.Path) }

// Deleted says that the file is in the artifact but not in the product.
func (f *File) Deleted() bool { return f.Entry != nil && f.Entry.Deleted }

// Mode is the file's mode; 0 for a blob.
func (f *File) Mode() fs.FileMode {
	if f.Entry == nil {
		return 0
	}
	return f.Entry.Mode
}

// Product returns the product that the file belongs to.
func (f *File) Product() *Product { return f.product }

// File returns the regular file at a path of the volume, links followed; nil
// if there is none. A leading slash is optional.
func (v *Volume) File(p string) *File {
	at, ok := v.Tree.Resolve(p)
	if !ok {
		return nil
	}
	return v.files[at]
}

// Exists says that the volume has something at a path, links followed.
func (v *Volume) Exists(p string) bool {
	at, ok := v.Tree.Resolve(p)
	return ok && v.Tree.Entry(at) != nil
}

// List returns the volume's regular files, by path.
func (v *Volume) List() []*File {
	list := make([]*File, 0, len(v.files))
	for _, f := range v.files {
		list = append(list, f)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	return list
}

// Glob returns the regular files whose path matches a pattern of path.Match;
// the folders of the pattern may be links (etc -> var/etc). By path.
func (v *Volume) Glob(pattern string) []*File {
	seen := map[*File]bool{}
	var list []*File
	for _, at := range v.glob(".", strings.Split(pattern, "/")) {
		if f := v.File(at); f != nil && !seen[f] {
			seen[f] = true
			list = append(list, f)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	return list
}

func (v *Volume) glob(dir string, segs []string) []string {
	if len(segs) == 0 {
		return []string{dir}
	}
	at, ok := v.Tree.Resolve(dir)
	if !ok {
		return nil
	}
	var found []string
	for _, name := range v.Tree.Names(at) {
		if ok, _ := path.Match(segs[0], name); ok {
			found = append(found, v.glob(path.Join(at, name), segs[1:])...)
		}
	}
	return found
}

// IsRoot says that the volume looks like a system's root: it has programs and
// configuration.
func (v *Volume) IsRoot() bool {
	has := func(names ...string) bool {
		for _, n := range names {
			if e := v.Tree.Entry(n); e != nil {
				return true
			}
		}
		return false
	}
	return has("bin", "sbin", "usr", "system", "init") && has("etc", "lib", "system", "init", "bin")
}
