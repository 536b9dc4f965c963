package unpack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// Options steer Explore.
type Options struct {
	Readers []*Reader // in the order in which they are tried
	Limits  Limits
	Keys    Keys // the user's, for encrypted parts
	Workers int  // GOMAXPROCS if 0

	// Observe is called once for the bytes of every distinct content, from
	// several goroutines; what it returns is kept in Content.Facts. b lies in
	// memory unless it is very large.
	Observe func(b Bytes, t Type) any

	// Progress is called now and then with the bytes looked at so far, and with
	// how many are known to come in all: more than the artifact has, since what
	// lies in it is looked at by itself.
	Progress func(read, all int64)

	SHA256 string // of the artifact's bytes, if it is known
}

// Result is the tree of an artifact and the work that it cost.
type Result struct {
	Root   *Node
	Budget *Budget
}

// Explore opens an artifact completely. It fails only if the artifact itself
// cannot be read; everything else that goes wrong is a Gap of the content
// where it happened.
func Explore(ctx context.Context, name string, data Bytes, opt Options) (*Result, error) {
	x := newExplorer(ctx, opt)
	if x.cancel != nil {
		defer x.cancel()
	}
	x.expect(data.Size())
	root := &Node{Step: name, Size: data.Size()}
	if err := x.fill(root, data, nil, true); err != nil {
		return nil, err
	}
	return &Result{root, x.budget}, nil
}

// ExploreTree does the same for a tree that is open already, such as a folder.
func ExploreTree(ctx context.Context, name string, object *Object, opt Options) (*Result, error) {
	x := newExplorer(ctx, opt)
	defer x.cancel()
	reader := object.Format
	if r, images := x.folder(object.Entries); images != nil {
		reader, object = r.Name, images
		object.System = true // a tree, if an empty one beside several images
	}
	c := &Content{Type: TypeObject, Reader: reader, Object: object}
	x.open(c, &work{done: make(chan struct{}), raw: true, content: c})
	c.SHA256, c.Size = treeDigest(c)
	return &Result{&Node{Step: name, Size: c.Size, Content: c}, x.budget}, nil
}

// folder asks the readers whose objects may lie unpacked in a folder.
func (x *explorer) folder(entries []Entry) (*Reader, *Object) {
	for _, r := range x.readers {
		if r.Folder == nil {
			continue
		}
		if o := r.Folder(x.ctx, x.budget, entries); o != nil {
			return r, o
		}
	}
	return nil, nil
}

type explorer struct {
	ctx     context.Context
	cancel  context.CancelFunc
	opt     Options
	budget  *Budget
	carver  *Carver
	slots   chan struct{} // free workers besides the caller
	read    atomic.Int64  // bytes looked at
	all     atomic.Int64  // those and the ones known to come
	kept    atomic.Int64
	spare   spares
	mu      sync.Mutex
	known   map[string]*work // by digest
	waits   []wait           // who waits for whom now
	readers []*Reader
}

func newExplorer(ctx context.Context, opt Options) *explorer {
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	x := &explorer{opt: opt, budget: NewBudget(opt.Limits), readers: opt.Readers, known: map[string]*work{}}
	x.budget.Keys = opt.Keys
	x.ctx, x.cancel = context.WithTimeout(ctx, x.budget.Limits.Time)
	x.carver = NewCarver(opt.Readers)
	x.slots = make(chan struct{}, opt.Workers-1)
	return x
}

// fill reads, hashes and opens the bytes of a node that lies in the content of
// up. raw says that they are no file of a tree: then every offset is searched
// for objects.
func (x *explorer) fill(n *Node, data Bytes, up *work, raw bool) error {
	if err := x.ctx.Err(); err != nil {
		n.Content = unreadContent(data, "limit", "time ran out (raise it with --limit-time)")
		return nil
	}
	lazy := data
	l, err := x.load(data)
	switch {
	case err != nil && n.Entry == nil && up != nil:
		x.broken(n, lazy, up, raw, err)
		return nil
	case err != nil:
		return x.damaged(n, lazy, l.now, err)
	}
	data = l.now
	key, sum := x.opt.SHA256, x.opt.SHA256
	if up != nil || sum == "" {
		if key, sum, err = x.digest(data, up == nil || n.Entry != nil); err != nil {
			switch {
			case x.ctx.Err() != nil:
				n.Content = unreadContent(data, ReasonOf(err), err.Error())
			case n.Entry == nil && up != nil:
				x.broken(n, lazy, up, raw, err)
			default:
				return err
			}
			return nil
		}
	}
	w, first := x.claim(key, up, raw)
	switch {
	case first:
		w.code = n.Format == CodePart
		w.content = x.analyse(l.later, data, sum, w, raw)
		close(w.done)
		x.done(l, w.content)
	case !x.await(w, up):
		n.Content = unreadContent(l.later, "limit", "it contains itself")
		return nil
	default:
		x.again(l)
	}
	n.Content = w.content
	return nil
}

func unreadContent(data Bytes, reason, note string) *Content {
	return &Content{Size: data.Size(), Data: data, Type: TypeData, Gaps: []Gap{{0, data.Size(), reason, note}}}
}

// damaged keeps what could be read of content that has an error inside.
func (x *explorer) damaged(n *Node, lazy, part Bytes, err error) error {
	got, _ := part.(Slice)
	gap := Gap{Offset: int64(len(got)), Size: lazy.Size() - int64(len(got)), Reason: ReasonOf(err), Note: err.Error()}
	c := &Content{Size: lazy.Size(), Data: got, Type: Classify(got).Type, Gaps: []Gap{gap}}
	sum := sha256.Sum256(got)
	c.SHA256 = hex.EncodeToString(sum[:])
	x.observe(c, got)
	n.Content = c
	return nil
}

// broken opens what there is of a part that can't be read throughout: a disk
// with a damaged block. It has no digest.
func (x *explorer) broken(n *Node, data Bytes, up *work, raw bool, err error) {
	w, _ := x.claim(fmt.Sprintf("broken %p", n), up, raw)
	w.content = x.analyse(data, data, "", w, raw)
	w.content.Gaps = append(w.content.Gaps, Gap{Reason: ReasonOf(err), Note: err.Error()})
	close(w.done)
	n.Content = w.content
}

// ReasonOf is the word of a gap for an error.
func ReasonOf(err error) string {
	switch {
	case errors.Is(err, ErrLimit):
		return "limit"
	case errors.Is(err, ErrUnsupported):
		return "unsupported"
	case errors.Is(err, ErrEncrypted):
		return "encrypted"
	}
	return "damaged"
}

// Reasons that readers may wrap in the errors of entries and objects.
var (
	ErrUnsupported = errors.New("unsupported")
	ErrEncrypted   = errors.New("encrypted")
)

// expect counts bytes that will be looked at.
func (x *explorer) expect(n int64) { x.all.Add(n) }

// sparseEnough is from how many known zeros on a part is told apart by what it
// holds instead of by its SHA-256.
const sparseEnough = 64 << 20

// digest tells contents apart. It is the SHA-256, but for parts of images (disks,
// partitions), unlike the artifact and files, if most of them is known to be zeros:
// their key is what they hold, and sum is empty.
func (x *explorer) digest(data Bytes, file bool) (key, sum string, err error) {
	read := x.read.Add(data.Size())
	if x.opt.Progress != nil {
		x.opt.Progress(read, max(read, x.all.Load()))
	}
	if s, ok := data.(Slice); ok {
		b := sha256.Sum256(s)
		sum = hex.EncodeToString(b[:])
		return sum, sum, nil
	}
	if !file && holes(data, sparseEnough) >= sparseEnough {
		key, err = identity(x.ctx, data, nil)
		return key, "", err
	}
	sum, err = Digest(x.ctx, data, nil)
	return sum, sum, err
}

// analyse opens new content, or says what it is. later is for those who look
// again.
func (x *explorer) analyse(later, data Bytes, sum string, w *work, raw bool) *Content {
	c := &Content{SHA256: sum, Size: data.Size(), Data: later}
	head := ReadSome(data, 0, 4096)
	kind := ClassifyHead(head)
	if w.depth > x.budget.Limits.Depth {
		c.Type = kind
		c.Gaps = append(c.Gaps, Gap{0, c.Size, "limit", fmt.Sprintf("more than %d objects within objects (raise it with --limit-depth)", x.budget.Limits.Depth)})
		return c
	}
	c.Type = TypeObject
	if !x.tryReaders(c, data, head, w) {
		x.leaf(c, data, w, raw)
	}
	x.observe(c, data)
	return c
}

func (x *explorer) observe(c *Content, data Bytes) {
	if x.opt.Observe != nil {
		c.Facts = x.opt.Observe(data, c.Type)
	}
}

// leaf classifies content that no reader opens as a whole, and searches it for
// objects if it is neither text nor a program nor a picture.
func (x *explorer) leaf(c *Content, data Bytes, w *work, raw bool) {
	class := classifyBytes(data)
	c.Type, c.Entropy = class.Type, class.Entropy
	switch c.Type {
	case TypeELF, TypePE, TypeMachO, TypeScript:
		x.carried(c, data, w)
		return
	case TypeText, TypeMedia, TypePadding:
		return
	}
	if (raw || c.Size >= 4096) && x.carve(c, data, w) {
		c.Type, c.Gaps = TypeCarved, nil // what is between the objects says it itself
		return
	}
	if len(c.Gaps) == 0 && (raw && !w.code || packed(c)) {
		c.Gaps = append(c.Gaps, heldGaps(data, gapReason(c.Type), class.Note)...)
	}
}

// mostHeldGaps is how many stretches of a sparse content are unread one by one.
const mostHeldGaps = 32

// heldGaps are the parts of unread bytes that hold something.
func heldGaps(data Bytes, reason, note string) []Gap {
	whole := []Gap{{0, data.Size(), reason, note}}
	if holes(data, sparseEnough) < sparseEnough {
		return whole
	}
	var list []Gap
	n, held := 0, int64(0)
	for from, to := range Stretches(data, 0, data.Size(), 0) {
		if held += to - from; n < mostHeldGaps {
			list = append(list, Gap{from, to - from, reason, note})
		}
		n++
	}
	if n > mostHeldGaps {
		return []Gap{{list[0].Offset, held, reason, fmt.Sprintf("%s, in %d places", note, n)}}
	}
	return list
}

// carried explores what a program or a script carries besides itself: an
// archive behind its end, a payload in a section. To the detectors it stays
// what it is.
func (x *explorer) carried(c *Content, data Bytes, w *work) {
	head := ReadSome(data, 0, 4096)
	for _, r := range x.readers {
		if !r.Program || !r.Fits(data, head) {
			continue
		}
		if o := x.openOne(r, data, true, nil); o != nil {
			x.openParts(c, r.Name, o, w)
		}
	}
}

// packed says that content is dense enough to hide something even in a file.
func packed(c *Content) bool {
	return c.Type == TypeEncrypted || (c.Type == TypeCompressed && c.Size >= 4096 && c.Entropy >= packedEntropy)
}

// packedEntropy is the entropy, in bits per byte, from which a file of a tree is
// taken for packed: tables reach 7.5.
const packedEntropy = 7.8

// tryReaders opens bytes that start with an object, and whatever follows it.
// If none does, what a reader failed on is unread.
func (x *explorer) tryReaders(c *Content, data Bytes, head []byte, w *work) bool {
	var failed []Gap
	for _, r := range x.readers {
		if r.Program || !r.Fits(data, head) {
			continue
		}
		o := x.openOne(r, data, true, nil)
		if o == nil {
			continue
		}
		if o.failed {
			failed = append(failed, o.Gaps...)
			continue
		}
		if o.Size >= data.Size() || OnlyPadding(data, o.Size) {
			c.Reader, c.Object = r.Name, o
			x.open(c, w)
			return true
		}
		// Something follows: leave it to the carver, which sees both.
		if x.carve(c, data, w, region{0, r, o}) {
			c.Type = TypeCarved
			return true
		}
	}
	c.Gaps = append(c.Gaps, failed...)
	return false
}

// openOne calls a reader and holds it to its contract. One that panics gives an
// object that says so, with nothing in it: what it was to open must not look as
// if it had been read.
func (x *explorer) openOne(r *Reader, data Bytes, whole bool, find func(string, int64) int64) (o *Object) {
	defer func() {
		if p := recover(); p != nil {
			note := fmt.Sprintf("the reader %s failed: %v (please report it)", r.Name, p)
			o = &Object{Format: r.Name, Size: data.Size(), failed: true, Gaps: []Gap{{0, data.Size(), "damaged", note}}}
		}
	}()
	o, err := r.Open(&Input{Context: x.ctx, Data: data, Whole: whole, Budget: x.budget, find: find})
	if err != nil || o == nil || o.Size <= 0 || o.Size > data.Size() {
		return nil
	}
	return o
}

// open explores what an object holds.
func (x *explorer) open(c *Content, w *work) {
	if len(c.Object.Entries) > 0 || c.Object.System {
		x.openTree(c, w)
	}
	x.openParts(c, c.Reader, c.Object, w)
}

// gapOf is what an object's error makes unread. How much that is, an object
// knows if its end is missing; in a file of a tree that is the file's own affair.
func gapOf(o *Object, raw bool) Gap {
	gap := Gap{Reason: ReasonOf(o.Err), Note: o.Err.Error()}
	if cut := (*CutOff)(nil); raw && errors.As(o.Err, &cut) && cut.Missing > 0 {
		gap.Offset, gap.Size = o.Size, cut.Missing
	}
	return gap
}

// openParts explores the parts of an object, and notes what it could not read.
// reader names the steps to them.
func (x *explorer) openParts(c *Content, reader string, o *Object, w *work) {
	c.Gaps = append(c.Gaps, o.Gaps...)
	if o.Err != nil {
		c.Gaps = append(c.Gaps, gapOf(o, w.raw))
	}
	base := len(c.Children)
	for _, p := range o.Parts {
		step := reader
		if p.Name != "" {
			step += ":" + p.Name
		} else {
			step += "@0x0"
		}
		c.Children = append(c.Children, &Node{Step: step, Offset: p.Offset, Info: p.Info, Format: p.Format})
		if p.Data != nil {
			x.expect(p.Data.Size())
		}
	}
	x.each(len(o.Parts), func(i int) {
		if p := o.Parts[i]; p.Data != nil {
			n := c.Children[base+i]
			n.Size = p.Data.Size()
			if p.Object != nil {
				x.fillOpened(n, p.Data, region{0, &Reader{Name: reader}, p.Object}, w)
				return
			}
			x.fillOrNote(n, p.Data, w, w.raw || p.Name != "")
		}
	})
}

func (x *explorer) fillOrNote(n *Node, data Bytes, up *work, raw bool) {
	if err := x.fill(n, data, up, raw); err != nil {
		n.Content = unreadContent(data, ReasonOf(err), err.Error())
	}
}

// openTree explores the regular files of a tree in the order of their place.
func (x *explorer) openTree(c *Content, w *work) {
	o := c.Object
	if err := x.budget.AddFiles(int64(len(o.Entries))); err != nil {
		c.Gaps = append(c.Gaps, Gap{0, 0, "limit", err.Error()})
		o.Entries = o.Entries[:0]
	}
	c.Tree = NewTree(o.Entries)
	var nodes []*Node
	for _, p := range c.Tree.Paths() {
		e := c.Tree.Entry(p)
		if e.Mode&fs.ModeType != 0 {
			continue
		}
		n := &Node{Step: p, Offset: -1, Size: e.Size(), Entry: e}
		c.Children = append(c.Children, n)
		nodes = append(nodes, n)
		x.expect(n.Size)
	}
	sort.SliceStable(nodes, func(i, j int) bool { return nodes[i].Entry.Order < nodes[j].Entry.Order })
	x.each(len(nodes), func(i int) { x.fillEntry(nodes[i], w) })
}

func (x *explorer) fillEntry(n *Node, up *work) {
	e := n.Entry
	switch {
	case e.Err != nil:
		n.Content = &Content{Type: TypeData, Gaps: []Gap{{0, e.Size(), ReasonOf(e.Err), e.Err.Error()}}}
	case e.Data == nil:
		x.fillOrNote(n, Slice(nil), up, false)
	default:
		if err := x.budget.AddBytes(e.Size()); err != nil {
			n.Content = unreadContent(e.Data, "limit", err.Error())
			return
		}
		x.fillOrNote(n, e.Data, up, false)
	}
}

// each calls f for 0..n-1 on the free workers and on this one.
func (x *explorer) each(n int, f func(int)) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(i)
		}
	}
	var wait sync.WaitGroup
	for range n - 1 {
		select {
		case x.slots <- struct{}{}:
			wait.Add(1)
			go func() {
				defer func() { <-x.slots; wait.Done() }()
				work()
			}()
			continue
		default:
		}
		break
	}
	work()
	wait.Wait()
}

// treeDigest is the digest and the size of a tree that has no bytes of its
// own: over paths, types and the digests of the files.
func treeDigest(c *Content) (string, int64) {
	h := sha256.New()
	size := int64(0)
	files := map[string]*Content{}
	for _, n := range c.Children {
		files[n.Step] = n.Content
	}
	for _, p := range c.Tree.Paths() {
		e := c.Tree.Entry(p)
		fmt.Fprintf(h, "%s\x00%v\x00%s\x00", p, e.Mode, e.Link)
		if f := files[p]; f != nil {
			size += f.Size
			io.WriteString(h, f.SHA256)
		}
		io.WriteString(h, "\n")
	}
	return hex.EncodeToString(h.Sum(nil)), size
}

// fits says that the bytes have one of the reader's magics, or that it has none.
func (r *Reader) Fits(data Bytes, head []byte) bool {
	if len(r.Magics) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Magics, func(m Magic) bool {
		end := m.At + int64(len(m.Bytes))
		if end <= int64(len(head)) {
			return string(head[m.At:end]) == m.Bytes
		}
		return string(ReadSome(data, m.At, int64(len(m.Bytes)))) == m.Bytes
	})
}
