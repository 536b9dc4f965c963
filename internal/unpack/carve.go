package unpack

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/doorward/doorward/internal/pattern"
)

// carver knows the magics that may stand at any offset.
type Carver struct {
	set    *pattern.Set
	magics []carveMagic
	blocks []carveMagic // readers with a Block
}

// blockSize is the alignment of what Reader.Block looks for.
const BlockSize = 512

type carveMagic struct {
	reader *Reader
	rank   int // place in the list of readers
	at     int64
}

func NewCarver(readers []*Reader) *Carver {
	c := &Carver{}
	var patterns []string
	for i, r := range readers {
		if r.Block != nil {
			c.blocks = append(c.blocks, carveMagic{r, i, 0})
		}
		for _, m := range r.Magics {
			if r.Carve && len(m.Bytes) >= 3 {
				patterns = append(patterns, m.Bytes)
				c.magics = append(c.magics, carveMagic{r, i, m.At})
			}
		}
	}
	c.set = pattern.New(patterns)
	return c
}

type Candidate struct {
	Offset int64
	rank   int
	Reader *Reader
}

// candidates returns every place where an object could start, by offset; at
// one offset the readers' order decides.
func (c *Carver) Candidates(data Bytes) []Candidate {
	var found []Candidate
	scan := func(b Bytes, base int64) {
		sc := c.set.Scan()
		hit := func(p int, off int64) {
			m := c.magics[p]
			if start := base + off - m.at; start >= 0 {
				found = append(found, Candidate{start, m.rank, m.reader})
			}
		}
		if s, ok := b.(Slice); ok {
			sc.Feed(s, hit)
			found = c.inBlocks(found, s, base)
			return
		}
		room := scratch.Get().(*[sampled]byte)
		defer scratch.Put(room)
		buf := room[:min(sampled, b.Size())]
		at := int64(0)
		for r := io.NewSectionReader(b, 0, b.Size()); ; {
			n, err := io.ReadFull(r, buf)
			sc.Feed(buf[:n], hit)
			found = c.inBlocks(found, buf[:n], base+at)
			if at += int64(n); err != nil || at == b.Size() {
				break
			}
		}
	}
	for from, to := range Stretches(data, 0, data.Size(), holeMargin) {
		scan(Window(data, from, to-from), from)
	}
	sort.SliceStable(found, func(i, j int) bool {
		if found[i].Offset != found[j].Offset {
			return found[i].Offset < found[j].Offset
		}
		return found[i].rank < found[j].rank
	})
	return slices.Compact(found)
}

// holeMargin is how many zeros at the sides of a hole are searched, since magics
// have zeros.
const holeMargin = 4096

// inBlocks adds what readers see at the starts of the blocks of p, which lies
// at an offset that is a multiple of blockSize.
func (c *Carver) inBlocks(found []Candidate, p []byte, at int64) []Candidate {
	for i := 0; i < len(p) && len(c.blocks) > 0; i += BlockSize {
		b := p[i:min(i+BlockSize, len(p))]
		for _, m := range c.blocks {
			if m.reader.Block(b) {
				found = append(found, Candidate{at + int64(i), m.rank, m.reader})
			}
		}
	}
	return found
}

// region is an accepted object within raw bytes.
type region struct {
	offset int64
	reader *Reader
	object *Object
}

func (r region) end() int64 { return r.offset + r.object.Size }

// carve finds the objects in raw bytes and explores them and what lies between
// them. It returns false, and changes nothing, if there is none.
func (x *explorer) carve(c *Content, data Bytes, w *work, first ...region) bool {
	regions := x.regions(data, first)
	if len(regions) == 0 {
		return false
	}
	var jobs []func()
	at := int64(0)
	for _, r := range regions {
		x.between(c, data, at, r.offset, w, &jobs)
		n := &Node{Step: fmt.Sprintf("%s@0x%x", r.reader.Name, r.offset), Offset: r.offset, Size: r.object.Size}
		c.Children = append(c.Children, n)
		x.expect(n.Size)
		jobs = append(jobs, func() { x.fillOpened(n, Window(data, r.offset, r.object.Size), r, w) })
		at = r.end()
	}
	x.between(c, data, at, data.Size(), w, &jobs)
	x.each(len(jobs), func(i int) { jobs[i]() })
	return true
}

// Bounds on what false and damaged headers cost, however many an image holds.
const (
	maxDamaged = 4096 // damaged objects of one content
	maxInside  = 64   // candidates of a reader within a damaged object of its own
)

// regions opens candidates. Whole objects come first, by offset; damaged ones
// get only the room that these leave, so that a false or broken header can't
// hide what is behind it.
func (x *explorer) regions(data Bytes, accepted []region) []region {
	var damaged []Candidate
	broken := map[*Reader]*damage{}
	find := newFinder(data)
	end := int64(0)
	for _, r := range accepted {
		end = r.end()
	}
	for _, cand := range x.carver.Candidates(data) {
		if cand.Offset < end || x.ctx.Err() != nil || broken[cand.Reader].covers(cand.Offset) {
			continue
		}
		o := x.openOne(cand.Reader, Window(data, cand.Offset, data.Size()), false, find.from(cand.Offset))
		switch {
		case o == nil || o.failed: // the room stays unclaimed, and so unread
		case o.Err != nil:
			if len(damaged) < maxDamaged {
				damaged = append(damaged, cand)
			}
			broken[cand.Reader] = broken[cand.Reader].add(cand.Offset + o.Size)
		default:
			accepted = append(accepted, region{cand.Offset, cand.Reader, o})
			end = cand.Offset + o.Size
		}
	}
	for _, cand := range damaged {
		if room := freeRoom(accepted, cand.Offset, data.Size()); room > 0 {
			if o := x.openOne(cand.Reader, Window(data, cand.Offset, room), false, nil); o != nil && !o.failed {
				accepted = append(accepted, region{cand.Offset, cand.Reader, o})
			}
		}
	}
	sort.Slice(accepted, func(i, j int) bool { return accepted[i].offset < accepted[j].offset })
	return accepted
}

// damage is the extent of a reader's damaged objects so far. What lies in it is
// likely a part of them (the members of an archive without a directory), so
// only a few candidates in it are opened.
type damage struct {
	end    int64
	inside int
}

func (d *damage) covers(off int64) bool {
	if d == nil || off >= d.end {
		return false
	}
	d.inside++
	return d.inside > maxInside
}

func (d *damage) add(end int64) *damage {
	if d == nil || end > d.end && d.inside == 0 {
		return &damage{end: end}
	}
	d.end = max(d.end, end)
	return d
}

// finder remembers where texts occur in raw bytes, so that many candidates that
// look for the same end search once.
type finder struct {
	data  Bytes
	found map[string][]int64
}

func newFinder(data Bytes) *finder { return &finder{data, map[string][]int64{}} }

// from searches in the bytes from base on, as a candidate there sees them.
func (f *finder) from(base int64) func(text string, from int64) int64 {
	return func(text string, from int64) int64 {
		places, ok := f.found[text]
		if !ok {
			for at := FindBytes(f.data, 0, text); at >= 0; at = FindBytes(f.data, at+1, text) {
				places = append(places, at)
			}
			f.found[text] = places
		}
		i, _ := slices.BinarySearch(places, base+from)
		if i == len(places) {
			return -1
		}
		return places[i] - base
	}
}

// freeRoom is how many bytes are free from off on; 0 if off itself is taken.
func freeRoom(taken []region, off, size int64) int64 {
	room := size - off
	for _, r := range taken {
		switch {
		case r.offset <= off && off < r.end():
			return 0
		case r.offset > off:
			room = min(room, r.offset-off)
		}
	}
	return room
}

// fillOpened is fill for an object that is open already.
func (x *explorer) fillOpened(n *Node, data Bytes, r region, up *work) {
	key, sum, err := x.digest(data, false)
	if err != nil {
		n.Content = unreadContent(data, ReasonOf(err), err.Error())
		return
	}
	w, mine := x.claim(key, up, true)
	switch {
	case mine:
		w.content = &Content{SHA256: sum, Size: data.Size(), Data: data, Type: TypeObject, Reader: r.reader.Name, Object: r.object}
		if w.depth > x.budget.Limits.Depth {
			w.content = unreadContent(data, "limit", "too many objects within objects (raise it with --limit-depth)")
		} else {
			x.open(w.content, w)
			x.observe(w.content, data)
		}
		close(w.done)
	case !x.await(w, up):
		n.Content = unreadContent(data, "limit", "it contains itself")
		return
	}
	n.Content = w.content
}

// paddingRun is the length from which padding parts raw bytes.
const paddingRun = 4096

// between explores the bytes from..to that no reader claims: what padding parts
// is classified piece by piece.
func (x *explorer) between(c *Content, data Bytes, from, to int64, w *work, jobs *[]func()) {
	for _, p := range pieces(data, from, to) {
		n := &Node{Step: fmt.Sprintf("raw@0x%x", p[0]), Offset: p[0], Size: p[1] - p[0]}
		c.Children = append(c.Children, n)
		x.expect(n.Size)
		*jobs = append(*jobs, func() { x.fillRaw(n, Window(data, p[0], p[1]-p[0]), w) })
	}
}

// fillRaw classifies bytes between objects; they are not searched again.
func (x *explorer) fillRaw(n *Node, data Bytes, up *work) {
	_, sum, err := x.digest(data, false)
	if err != nil {
		n.Content = unreadContent(data, ReasonOf(err), err.Error())
		return
	}
	class := classifyBytes(data)
	c := &Content{SHA256: sum, Size: data.Size(), Data: data, Type: class.Type, Entropy: class.Entropy}
	if !c.Type.IsText() && c.Type != TypePadding && (!up.code || packed(c)) {
		c.Gaps = []Gap{{0, c.Size, gapReason(c.Type), class.Note}}
	}
	x.observe(c, data)
	n.Content = c
}

// gapReason is the word of the report for bytes of a type that nobody opened.
func gapReason(t Type) string {
	switch t {
	case TypeEncrypted, TypeCompressed, TypeCode:
		return string(t)
	}
	return "unknown"
}

// pieces cuts from..to at long runs of padding (one repeated byte, 0 or 0xff).
func pieces(data Bytes, from, to int64) [][2]int64 {
	var list [][2]int64
	const block = paddingRun
	start := int64(-1)
	zeros, ones := make([]byte, block), bytes.Repeat([]byte{0xff}, block)
	buf := make([]byte, block)
	for s, e := range Stretches(data, from, to, 0) {
		at := s - (s-from)%block
		for ; at < e; at += block {
			n, _ := data.ReadAt(buf[:min(block, to-at)], at)
			b := buf[:n]
			pad := bytes.Equal(b, zeros[:n]) || bytes.Equal(b, ones[:n])
			switch {
			case !pad && start < 0:
				start = at
			case pad && start >= 0:
				list = appendPiece(list, data, start, at)
				start = -1
			}
		}
		if start >= 0 { // a hole follows, or the end
			list = appendPiece(list, data, start, min(at, to))
			start = -1
		}
	}
	return list
}

// appendPiece adds start..end without the padding at its ends.
func appendPiece(list [][2]int64, data Bytes, start, end int64) [][2]int64 {
	head := ReadSome(data, start, min(paddingRun, end-start))
	for len(head) > 0 && (head[0] == 0 || head[0] == 0xff) {
		head = head[1:]
		start++
	}
	for end > start {
		tail := ReadSome(data, max(start, end-paddingRun), end-max(start, end-paddingRun))
		n := len(tail)
		for n > 0 && (tail[n-1] == 0 || tail[n-1] == 0xff) {
			n--
		}
		end -= int64(len(tail) - n)
		if n > 0 {
			break
		}
	}
	if end <= start {
		return list
	}
	return append(list, [2]int64{start, end})
}
