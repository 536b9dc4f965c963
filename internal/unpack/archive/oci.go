package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/stream"
)

// OCI opens container images in a tar archive.
var OCI = &unpack.Reader{
	Name:    "oci",
	Checked: "layouts made by hand",
	Doc:     "container images in a tar archive: OCI image layout and docker save; their layers are applied to one tree.",
	Magics:  Tar.Magics,
	Open:    openOCI,
	Folder:  openImages,
}

func openOCI(in *unpack.Input) (*unpack.Object, error) {
	if !in.Whole {
		return nil, unpack.ErrNotThis // the carver finds the archive; its files tell
	}
	entries, size, err := readTar(in.Data)
	if len(entries) == 0 {
		return nil, unpack.ErrNotThis
	}
	o := openImages(in.Context, in.Budget, entries)
	if o == nil {
		return nil, unpack.ErrNotThis
	}
	o.Size, o.Err = size, errors.Join(o.Err, err)
	return o, nil
}

const (
	imageJSONMax   = 4 << 20
	imageMax       = 256  // images of one archive
	imageLayersMax = 1000 // layers of one image
	imageDepth     = 4    // indexes within indexes
	imagePathMax   = 4096 // bytes, as in Linux
)

// image is one image of a layout, as its manifest describes it.
type image struct {
	name, platform string
	manifest       []byte
	config         string // paths
	layers         []string
}

// layout is a folder or archive that holds images.
type layout struct {
	ctx    context.Context
	budget *unpack.Budget
	tree   *unpack.Tree
	images []image
	used   map[string]bool
	layers map[string]*imageLayer // opened, by path
	gaps   []unpack.Gap
	absent []string // images that an index names and the layout does not hold
}

// openImages opens the images that a tree holds: one becomes the object's own
// tree, several become parts. It returns nil if the tree is no image layout.
func openImages(ctx context.Context, budget *unpack.Budget, entries []unpack.Entry) *unpack.Object {
	l := &layout{ctx: ctx, budget: budget, tree: unpack.NewTree(entries), used: map[string]bool{}, layers: map[string]*imageLayer{}}
	format := "oci image layout"
	if l.tree.Entry("oci-layout") != nil {
		l.readIndex("index.json", "", 0)
	}
	if len(l.images) == 0 {
		format = "docker save"
		l.readDocker()
	}
	if len(l.images) == 0 {
		return nil
	}
	o := &unpack.Object{Format: format}
	for _, img := range l.images {
		opened := l.open(&img)
		if len(l.images) == 1 {
			opened.Format, o = format, opened
			break
		}
		o.Parts = append(o.Parts, unpack.Part{Name: img.name, Data: unpack.Slice(img.manifest), Offset: -1, Info: opened.Info, Object: opened})
	}
	if len(l.absent) > 0 {
		if o.Info == nil {
			o.Info = map[string]string{}
		}
		o.Info["images not included"] = strings.Join(l.absent, ", ")
	}
	o.Parts = append(o.Parts, l.unused()...)
	o.Gaps = append(o.Gaps, l.gaps...)
	return o
}

// file is the content of a file of the layout; nil if there is none.
func (l *layout) file(p string) unpack.Bytes {
	at, ok := l.tree.Resolve(unpack.CleanPath(p))
	e := l.tree.Entry(at)
	if !ok || e == nil || e.Err != nil || !e.Mode.IsRegular() {
		return nil
	}
	l.used[at] = true
	if e.Data == nil {
		return unpack.Slice(nil)
	}
	return e.Data
}

// json reads a file of the layout into v.
func (l *layout) json(p string, v any) ([]byte, bool) {
	f := l.file(p)
	if f == nil {
		return nil, false
	}
	b, err := unpack.ReadAll(unpack.Window(f, 0, f.Size()), imageJSONMax)
	if err != nil || len(b) > imageJSONMax {
		return nil, false
	}
	return b, json.Unmarshal(b, v) == nil
}

// descriptor refers to a blob (OCI image specification, descriptor.md).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations"`
	Platform    *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	} `json:"platform"`
}

func (d *descriptor) path() string {
	algorithm, digest, _ := strings.Cut(d.Digest, ":")
	return path.Join("blobs", algorithm, digest)
}

func (d *descriptor) platform() string {
	if d.Platform == nil {
		return ""
	}
	return strings.Trim(path.Join(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant), "/")
}

// readIndex collects the images of an index, and of indexes that it names.
func (l *layout) readIndex(p, name string, depth int) {
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	if _, ok := l.json(p, &index); !ok || depth > imageDepth {
		return
	}
	for _, d := range index.Manifests {
		if len(l.images) >= imageMax {
			l.gaps = append(l.gaps, unpack.Gap{Reason: "limit", Note: fmt.Sprintf("more than %d images", imageMax)})
			return
		}
		ref := d.Annotations["io.containerd.image.name"]
		if ref == "" {
			ref = d.Annotations["org.opencontainers.image.ref.name"]
		}
		if ref == "" {
			ref = name
		}
		var manifest struct {
			Manifests []json.RawMessage `json:"manifests"`
			Config    descriptor        `json:"config"`
			Layers    []descriptor      `json:"layers"`
		}
		b, ok := l.json(d.path(), &manifest)
		if !ok && l.file(d.path()) == nil {
			l.absent = append(l.absent, strings.TrimSpace(ref+" "+d.platform()))
			continue
		}
		l.digest(d.path(), b)
		if len(manifest.Manifests) > 0 {
			l.readIndex(d.path(), ref, depth+1)
			continue
		}
		if !ok || manifest.Config.Digest == "" || d.Annotations["vnd.docker.reference.type"] != "" {
			continue // what is said about an image, not one itself
		}
		img := image{platform: d.platform(), manifest: b, config: manifest.Config.path()}
		for _, layer := range manifest.Layers {
			img.layers = append(img.layers, layer.path())
		}
		l.add(img, ref)
	}
}

// digest notes a description of an image whose name is not its digest.
func (l *layout) digest(p string, b []byte) {
	if err := checkDigest(unpack.Slice(b), path.Base(p)); err != nil {
		l.gaps = append(l.gaps, unpack.Gap{Reason: "damaged", Note: p + ": " + err.Error()})
	}
}

// readDocker collects the images of manifest.json, as docker save writes it.
func (l *layout) readDocker() {
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if _, ok := l.json("manifest.json", &list); !ok {
		return
	}
	for _, m := range list[:min(len(list), imageMax)] {
		if m.Config == "" || len(m.Layers) == 0 || l.file(m.Config) == nil {
			continue
		}
		b, _ := json.Marshal(m)
		name := ""
		if len(m.RepoTags) > 0 {
			name = m.RepoTags[0]
		}
		l.add(image{manifest: b, config: m.Config, layers: m.Layers}, name)
	}
}

// add gives an image a name that no other has.
func (l *layout) add(img image, ref string) {
	img.name = strings.Trim(ref+" "+img.platform, " ")
	if img.name == "" {
		img.name = "image"
	}
	for _, other := range l.images {
		if other.name == img.name {
			img.name = fmt.Sprintf("%s %d", img.name, len(l.images)+1)
			break
		}
	}
	l.images = append(l.images, img)
}

// open applies the layers of an image.
func (l *layout) open(img *image) *unpack.Object {
	o := &unpack.Object{Format: "container image", System: true, Info: map[string]string{"image": img.name}}
	if img.platform != "" {
		o.Info["platform"] = img.platform
	}
	var config struct{ Architecture, OS string }
	if b, ok := l.json(img.config, &config); ok {
		l.digest(strings.TrimSuffix(img.config, ".json"), b)
		o.Info["config"] = string(b)
		if config.Architecture != "" {
			o.Info["platform"] = strings.Trim(config.OS+"/"+config.Architecture, "/")
		}
	} else {
		o.Gaps = append(o.Gaps, unpack.Gap{Reason: "damaged", Note: "no configuration at " + img.config})
	}
	t := newImageTree()
	for i, p := range img.layers {
		if i >= imageLayersMax || l.ctx.Err() != nil {
			o.Gaps = append(o.Gaps, unpack.Gap{Reason: "limit", Note: fmt.Sprintf("layers from %d on of %d", i+1, len(img.layers))})
			break
		}
		layer := l.layer(p)
		if layer.err != nil {
			note := fmt.Sprintf("layer %d (%s): %v", i+1, p, layer.err)
			o.Gaps = append(o.Gaps, unpack.Gap{Reason: unpack.ReasonOf(layer.err), Note: note})
		}
		t.apply(layerName(p), layer.entries)
	}
	if o.Entries = t.flatten(); t.refused > 0 {
		o.Gaps = append(o.Gaps, unpack.Gap{Reason: "damaged", Note: fmt.Sprintf("%d entries of layers with impossible paths", t.refused)})
	}
	return o
}

// layerName is a short name of the layer at a path: digest or folder.
func layerName(p string) string {
	if dir, base := path.Split(p); strings.HasPrefix(base, "layer.tar") && dir != "" {
		p = path.Clean(dir)
	}
	p = path.Base(p)
	return p[:min(12, len(p))]
}

type imageLayer struct {
	entries []unpack.Entry
	err     error
}

// layer opens a layer once, however many images have it.
func (l *layout) layer(p string) *imageLayer {
	if done := l.layers[p]; done != nil {
		return done
	}
	layer := &imageLayer{}
	l.layers[p] = layer
	data := l.file(p)
	if data == nil {
		layer.err = errors.New("it is not in the archive")
		return layer
	}
	layer.err = checkDigest(data, path.Base(p))
	for _, r := range []*unpack.Reader{stream.Gzip, stream.Zstd, stream.XZ, stream.Bzip2} {
		if !r.Fits(data, unpack.ReadSome(data, 0, 64)) {
			continue
		}
		o, err := r.Open(&unpack.Input{Context: l.ctx, Data: data, Whole: true, Budget: l.budget})
		if err != nil {
			layer.err = errors.Join(layer.err, err)
			return layer
		}
		layer.err = errors.Join(layer.err, o.Err)
		data = o.Parts[0].Data
		break
	}
	entries, _, err := readTar(data)
	if len(entries) == 0 && data.Size() <= 2*tarRecord && unpack.OnlyByte(unpack.ReadSome(data, 0, data.Size()), 0) {
		err = nil // a layer may be empty
	}
	layer.entries, layer.err = entries, errors.Join(layer.err, err)
	return layer
}

// checkDigest compares content with the SHA-256 that is its name, if it is one.
func checkDigest(b unpack.Bytes, name string) error {
	want, err := hex.DecodeString(name)
	if err != nil || len(want) != sha256.Size {
		return nil
	}
	h := sha256.New()
	if err := unpack.Chunks(b, 0, b.Size(), func(p []byte) { h.Write(p) }); err != nil {
		return err
	}
	if string(h.Sum(nil)) != string(want) {
		return errors.New("its content does not have the digest that its name states")
	}
	return nil
}

// unused are the files of the layout that no image refers to. They are still in
// the artifact.
func (l *layout) unused() []unpack.Part {
	var list []unpack.Part
	for _, p := range l.tree.Paths() {
		e := l.tree.Entry(p)
		switch path.Base(p) {
		case "oci-layout", "index.json", "manifest.json", "repositories", "VERSION", "json":
			continue
		}
		if !l.used[p] && e.Mode.Type() == 0 && e.Data != nil && e.Err == nil {
			list = append(list, unpack.Part{Name: p, Data: e.Data, Offset: -1})
		}
	}
	return list
}

// imageTree is the tree that layers make when they are applied in order.
type imageTree struct {
	root    *imageNode
	deleted []unpack.Entry
	refused int // entries that could not be put anywhere
}

type imageNode struct {
	entry    *unpack.Entry
	children map[string]*imageNode
}

func newImageTree() *imageTree {
	return &imageTree{root: &imageNode{entry: &unpack.Entry{Path: ".", Mode: fs.ModeDir | 0o755}}}
}

// Names of whiteouts (OCI image specification, layer.md).
const (
	whiteout       = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// apply puts a layer over those before it. Its whiteouts act on those only, so
// they come first.
func (t *imageTree) apply(layer string, entries []unpack.Entry) {
	for i := range entries {
		dir, base := path.Split(unpack.CleanPath(entries[i].Path))
		if !strings.HasPrefix(base, whiteout) {
			continue
		}
		parent := t.find(dir)
		if parent == nil {
			continue
		}
		if base == whiteoutOpaque {
			t.remove(&imageNode{children: parent.children}, nil)
			parent.children = nil
			continue
		}
		name := strings.TrimPrefix(base, whiteout)
		if gone := parent.children[name]; gone != nil {
			t.remove(gone, nil)
			delete(parent.children, name)
		}
	}
	for i := range entries {
		e := entries[i]
		e.Path = unpack.CleanPath(e.Path)
		if strings.HasPrefix(path.Base(e.Path), whiteout) {
			continue
		}
		e.Layer = layer
		t.put(&e)
	}
}

// find is the folder at a path, links followed inside the image; nil if there
// is none.
func (t *imageTree) find(dir string) *imageNode { return t.walk(dir, false) }

// walk goes to a folder and makes what is missing of it if it should.
func (t *imageTree) walk(dir string, create bool) *imageNode {
	if len(dir) > imagePathMax {
		return nil
	}
	stack := []*imageNode{t.root}
	rest := strings.Split(dir, "/")
	links, read := 0, 0 // of dir
	for len(rest) > 0 && len(rest) <= imagePathMax {
		name := rest[0]
		rest = rest[1:]
		read += len(name) + 1
		at := stack[len(stack)-1]
		switch name {
		case "", ".":
			continue
		case "..":
			stack = stack[:max(1, len(stack)-1)]
			continue
		}
		next := at.children[name]
		switch {
		case next != nil && next.entry.Mode&fs.ModeSymlink != 0:
			if links++; links > unpack.MaxLinks {
				return nil
			}
			if strings.HasPrefix(next.entry.Link, "/") {
				stack = stack[:1]
			}
			rest = append(strings.Split(next.entry.Link, "/"), rest...)
			continue
		case next != nil && next.entry.Mode.IsDir():
		case !create:
			return nil
		default:
			if next != nil {
				t.remove(next, nil)
			}
			p := path.Join(at.entry.Path, name)
			if links == 0 {
				p = dir[:read-1] // shares its bytes: a deep path makes many folders
			}
			next = &imageNode{entry: &unpack.Entry{Path: p, Mode: fs.ModeDir | 0o755}}
			at.set(name, next)
		}
		stack = append(stack, next)
	}
	return stack[len(stack)-1]
}

func (n *imageNode) set(name string, child *imageNode) {
	if n.children == nil {
		n.children = map[string]*imageNode{}
	}
	n.children[name] = child
}

// put adds an entry; what it replaces is kept as deleted.
func (t *imageTree) put(e *unpack.Entry) {
	if e.Path == "." {
		e.Mode |= fs.ModeDir
		t.root.entry = e
		return
	}
	dir, name := path.Split(e.Path)
	parent := t.walk(dir, true)
	if parent == nil {
		t.refused++
		return
	}
	e.Path = path.Join(parent.entry.Path, name)
	if e.Mode.IsRegular() && e.Link != "" && e.Err != nil { // a hard link to a file of a lower layer
		if first := t.file(e.Link); first != nil {
			link := *first
			link.Path, link.Layer = e.Path, e.Layer
			*e = link
		}
	}
	old := parent.children[name]
	if old != nil && old.entry.Mode.IsDir() && e.Mode.IsDir() {
		old.entry = e
		return
	}
	if old != nil {
		t.remove(old, e)
	}
	parent.set(name, &imageNode{entry: e})
}

// file is the regular file at a path.
func (t *imageTree) file(p string) *unpack.Entry {
	dir, name := path.Split(unpack.CleanPath(p))
	if parent := t.find(dir); parent != nil {
		if n := parent.children[name]; n != nil && n.entry.Mode.IsRegular() {
			return n.entry
		}
	}
	return nil
}

// remove keeps the files of a node and below as deleted. by is what replaces
// it: a file with the same content deletes nothing.
func (t *imageTree) remove(n *imageNode, by *unpack.Entry) {
	if e := n.entry; e != nil && e.Mode.IsRegular() && e.Data != nil && e.Err == nil && !sameContent(e, by) {
		gone := *e
		gone.Deleted, gone.Inode = true, 0
		t.deleted = append(t.deleted, gone)
	}
	for _, child := range n.children {
		t.remove(child, nil)
	}
}

func sameContent(a, b *unpack.Entry) bool {
	if b == nil || a.Size() != b.Size() || !b.Mode.IsRegular() || b.Data == nil {
		return false
	}
	one, err1 := unpack.ReadAll(a.Data, unpack.InMemory)
	two, err2 := unpack.ReadAll(b.Data, unpack.InMemory)
	return err1 == nil && err2 == nil && string(one) == string(two)
}

// flatten lists the tree's entries, and the deleted ones: at their path if
// nothing else is there, else in a folder named after their layer.
func (t *imageTree) flatten() []unpack.Entry {
	var list []unpack.Entry
	taken := map[string]fs.FileMode{}
	var walk func(n *imageNode)
	walk = func(n *imageNode) {
		list = append(list, *n.entry)
		taken[n.entry.Path] = n.entry.Mode
		for _, child := range n.children {
			walk(child)
		}
	}
	walk(t.root)
	sort.SliceStable(t.deleted, func(i, j int) bool { return t.deleted[i].Path < t.deleted[j].Path })
	for _, e := range t.deleted {
		if !freePath(taken, e.Path) {
			e.Path = "layer:" + e.Layer + "/" + e.Path
		}
		if freePath(taken, e.Path) {
			taken[e.Path] = e.Mode
			list = append(list, e)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	for i := range list {
		list[i].Order = int64(i)
	}
	return list
}

// freePath says that nothing is at a path, and nothing but folders on the way.
func freePath(taken map[string]fs.FileMode, p string) bool {
	if _, ok := taken[p]; ok {
		return false
	}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if mode, ok := taken[dir]; ok && !mode.IsDir() {
			return false
		}
	}
	return true
}
