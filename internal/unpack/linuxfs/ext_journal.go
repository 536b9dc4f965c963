package linuxfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/internal/unpack"
)

// The journal of ext3 and ext4 (JBD2). Layout: the kernel's
// Documentation/filesystems/ext4/journal.rst and include/linux/jbd2.h. All of
// it is big-endian.
const (
	jbdMagic = 0xc03b3998

	jbdDescriptor = 1
	jbdCommit     = 2
	jbdSuper1     = 3
	jbdSuper2     = 4
	jbdRevoke     = 5

	jbdHas64      = 0x2
	jbdHasSum2    = 0x8
	jbdHasSum3    = 0x10
	jbdHasFast    = 0x20
	jbdKnown      = 0x3f
	jbdTagEscaped = 1
	jbdTagSame    = 2
	jbdTagLast    = 8
)

// journal is what a walk through the log finds.
type journal struct {
	x        *ext
	file     unpack.Bytes // the journal's content
	features uint32
	first    int64 // block of the log
	last     int64 // behind the log
	seed     uint32
	blocks   map[int64]loggedBlock // what is committed
	pending  []loggedTag           // of the transaction that is not committed yet
	revokes  map[int64]bool        // blocks whose copies don't count, of this transaction
}

// loggedBlock is a copy of a block in the log.
type loggedBlock struct {
	at      int64 // in the journal
	escaped bool  // its first word looked like the log's own and was cleared
}

// loggedTag says which block a copy is of.
type loggedTag struct {
	block int64
	sum   uint32
	copy  loggedBlock
}

// recover lays what the journal has over the file system, as the kernel does
// when it mounts it.
func (x *ext) recover(o *unpack.Object, g *unpack.Gatherer) {
	if x.compat&extCompatJournal == 0 {
		return
	}
	j, start, err := x.openJournal()
	switch {
	case err != nil:
		o.Info["journal"] = "needs recovery"
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: 0, Reason: reasonOf(err), Note: "the journal can't be read, so changes that were never written to their place are not applied: " + err.Error()})
		return
	case start == 0:
		return // it is empty
	}
	sequence := be.Uint32(j.head()[24:])
	end, bad := j.replay(start, sequence)
	if bad != nil {
		g.Damage(fmt.Errorf("ext: the journal: %w", bad))
	}
	o.Info["journal"] = fmt.Sprintf("replayed: %d blocks of %d transactions", len(j.blocks), end-sequence)
	if j.fastCommits(end) {
		o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: 0, Reason: "unsupported", Note: "the journal holds fast commits; they are not applied"})
	}
	if len(j.blocks) == 0 {
		return
	}
	x.data = &overlaid{x.data, j}
	// The superblock may be in the journal too.
	if sb, err := unpack.ReadFull(x.data, extSuperAt, 1024); err == nil && x.group == 0 {
		y := &ext{data: x.data, super: sb, end: x.end}
		if y.parse(sb) && y.blockSize == x.blockSize && y.blocks*y.blockSize <= x.data.Size() {
			*x = *y
			x.end = x.blocks * x.blockSize
			o.Size = x.end
		}
	}
}

func reasonOf(err error) string {
	if errors.Is(err, unpack.ErrUnsupported) {
		return "unsupported"
	}
	return "damaged"
}

// openJournal reads the journal's own superblock, and where the log starts.
func (x *ext) openJournal() (*journal, int64, error) {
	number := binary.LittleEndian.Uint32(x.super[0xe0:])
	if number == 0 {
		return nil, 0, fmt.Errorf("it is on a device of its own: %w", unpack.ErrUnsupported)
	}
	i, err := x.inode(number)
	if err != nil {
		return nil, 0, err
	}
	file, err := i.open()
	if err != nil {
		return nil, 0, err
	}
	// Its place is found before the file system changes by it.
	now := *x
	i.x = &now
	j := &journal{x: &now, file: file, blocks: map[int64]loggedBlock{}, revokes: map[int64]bool{}}
	sb := j.head()
	if len(sb) < 1024 || be.Uint32(sb) != jbdMagic || (be.Uint32(sb[4:]) != jbdSuper1 && be.Uint32(sb[4:]) != jbdSuper2) || int64(be.Uint32(sb[12:])) != x.blockSize {
		return nil, 0, errors.New("it has no superblock")
	}
	j.first, j.last = int64(be.Uint32(sb[20:])), int64(be.Uint32(sb[16:]))
	start := int64(be.Uint32(sb[28:]))
	if be.Uint32(sb[4:]) == jbdSuper2 {
		j.features = be.Uint32(sb[40:])
		j.seed = x.crc(^uint32(0), sb[48:64])
	}
	if j.features&^jbdKnown != 0 {
		return nil, 0, fmt.Errorf("features 0x%x: %w", j.features, unpack.ErrUnsupported)
	}
	if j.sums() && x.crc(x.crc(x.crc(^uint32(0), sb[:252]), make([]byte, 4)), sb[256:1024]) != be.Uint32(sb[252:]) {
		return nil, 0, errors.New("its superblock has a wrong checksum")
	}
	if j.last > file.Size()/x.blockSize || j.first < 1 || j.first >= j.last {
		return nil, 0, errors.New("its superblock is damaged")
	}
	if j.features&jbdHasFast != 0 {
		j.last -= j.fastBlocks()
	}
	if start != 0 && (start < j.first || start >= j.last) {
		return nil, 0, errors.New("its superblock is damaged")
	}
	return j, start, nil
}

func (j *journal) head() []byte { return unpack.ReadSome(j.file, 0, 1024) }

func (j *journal) sums() bool { return j.features&(jbdHasSum2|jbdHasSum3) != 0 }

// fastBlocks is how many blocks at the end are for fast commits.
func (j *journal) fastBlocks() int64 {
	if n := int64(be.Uint32(j.head()[84:])); n != 0 {
		return n
	}
	return 256
}

// fastCommits says that fast commits follow the last transaction.
func (j *journal) fastCommits(next uint32) bool {
	if j.features&jbdHasFast == 0 {
		return false
	}
	p := unpack.ReadSome(j.file, j.last*j.x.blockSize, 12)
	return len(p) == 12 && le.Uint16(p) == 9 && le.Uint32(p[8:]) == next
}

// replay reads the log up to its end: the first block that is not the next one
// of the log. What a transaction holds counts once it is committed.
func (j *journal) replay(at int64, sequence uint32) (next uint32, err error) {
	next = sequence
	for read := int64(0); read < j.last-j.first; {
		b, bad := unpack.ReadFull(j.file, at*j.x.blockSize, j.x.blockSize)
		if bad != nil {
			return next, bad
		}
		if be.Uint32(b) != jbdMagic || be.Uint32(b[8:]) != next {
			return next, errors.Join(err, j.beyond(at, next, j.last-j.first-read))
		}
		read++
		at = j.after(at)
		switch be.Uint32(b[4:]) {
		case jbdDescriptor:
			tags, bad := j.tags(b, next)
			if bad != nil {
				return next, bad
			}
			for i := range tags {
				tags[i].copy.at = at * j.x.blockSize
				at = j.after(at)
			}
			read += int64(len(tags))
			j.pending = append(j.pending, tags...)
		case jbdRevoke:
			if bad := j.revoke(b, next); bad != nil {
				return next, bad
			}
		case jbdCommit:
			if j.sums() && j.x.crc(j.x.crc(j.x.crc(j.seed, b[:16]), make([]byte, 4)), b[20:]) != be.Uint32(b[16:]) {
				return next, fmt.Errorf("transaction %d has a wrong checksum; it and those behind it are not applied", next)
			}
			err = errors.Join(err, j.commit(next))
			next++
		default:
			return next, errors.Join(err, j.beyond(at, next, j.last-j.first-read))
		}
	}
	return next, err
}

// beyond looks at the blocks behind the end of the log: a commit, or a block of
// a transaction that follows one, shows that it is not the end, but damage. What
// an earlier round of the log has left there has lower numbers.
func (j *journal) beyond(at int64, next uint32, blocks int64) error {
	for range blocks {
		b := unpack.ReadSome(j.file, at*j.x.blockSize, 12)
		if len(b) < 12 || be.Uint32(b) != jbdMagic {
			at = j.after(at)
			continue
		}
		if ahead := be.Uint32(b[8:]) - next; ahead < 1<<16 && (ahead > 0 || be.Uint32(b[4:]) == jbdCommit) {
			return fmt.Errorf("transaction %d is damaged; it and those behind it are not applied", next)
		}
		at = j.after(at)
	}
	return nil
}

func (j *journal) after(at int64) int64 {
	if at++; at >= j.last {
		at = j.first
	}
	return at
}

// checkedTail says that a block has the checksum in its last word.
func (j *journal) checkedTail(b []byte) bool {
	n := len(b) - 4
	return !j.sums() || j.x.crc(j.x.crc(j.seed, b[:n]), make([]byte, 4)) == be.Uint32(b[n:])
}

// tags reads a descriptor: which blocks follow in the log.
func (j *journal) tags(b []byte, sequence uint32) (list []loggedTag, err error) {
	if !j.checkedTail(b) {
		return nil, fmt.Errorf("a descriptor of transaction %d has a wrong checksum", sequence)
	}
	size := 8
	switch {
	case j.features&jbdHasSum3 != 0:
		size = 16
	case j.features&jbdHasSum2 != 0:
		size = 10
	}
	if j.features&(jbdHas64|jbdHasSum3) == jbdHas64 {
		size += 4
	}
	end := len(b)
	if j.sums() {
		end -= 4
	}
	for p := b[12:end]; len(p) >= size; {
		t := loggedTag{block: int64(be.Uint32(p))}
		flags := uint32(be.Uint16(p[6:]))
		t.sum = uint32(be.Uint16(p[4:]))
		if j.features&jbdHasSum3 != 0 {
			flags, t.sum = be.Uint32(p[4:]), be.Uint32(p[12:])
		}
		if j.features&jbdHas64 != 0 {
			t.block |= int64(be.Uint32(p[8:])) << 32
		}
		t.copy.escaped = flags&jbdTagEscaped != 0
		list = append(list, t)
		if flags&jbdTagLast != 0 {
			return list, nil
		}
		if p = p[size:]; flags&jbdTagSame == 0 {
			p = p[min(16, len(p)):]
		}
	}
	return list, nil
}

// revoke notes blocks whose copies so far are not to be written.
func (j *journal) revoke(b []byte, sequence uint32) error {
	if !j.checkedTail(b) {
		return fmt.Errorf("a revocation of transaction %d has a wrong checksum", sequence)
	}
	size := 4
	if j.features&jbdHas64 != 0 {
		size = 8
	}
	end := int(min(int64(be.Uint32(b[12:])), int64(len(b))))
	for at := 16; at+size <= end; at += size {
		block := int64(be.Uint32(b[at:]))
		if size == 8 {
			block = int64(be.Uint64(b[at:]))
		}
		j.revokes[block] = true
	}
	return nil
}

// commit takes over what the transaction holds. A later copy of a block
// replaces an earlier one; a revocation drops those of its own and of earlier
// transactions.
func (j *journal) commit(sequence uint32) (err error) {
	for block := range j.revokes {
		delete(j.blocks, block)
	}
	for _, t := range j.pending {
		switch {
		case j.revokes[t.block]:
		case !j.checked(t, sequence):
			err = fmt.Errorf("the copy of block %d in transaction %d has a wrong checksum; it is not applied", t.block, sequence)
		default:
			j.blocks[t.block] = t.copy
		}
	}
	j.pending = j.pending[:0]
	clear(j.revokes)
	return err
}

// checked compares a copy with its checksum, which the number of its
// transaction goes into.
func (j *journal) checked(t loggedTag, sequence uint32) bool {
	if !j.sums() {
		return true
	}
	b, err := unpack.ReadFull(j.file, t.copy.at, j.x.blockSize)
	sum := j.x.crc(j.x.crc(j.seed, be.AppendUint32(nil, sequence)), b)
	if j.features&jbdHasSum3 == 0 {
		sum &= 0xffff
	}
	return err == nil && sum == t.sum
}

// overlaid is a file system with the blocks of its journal in their places.
type overlaid struct {
	unpack.Bytes
	j *journal
}

// ReadAt implements unpack.Bytes.
func (o *overlaid) ReadAt(p []byte, off int64) (n int, err error) {
	size := o.j.x.blockSize
	for n < len(p) {
		at := off + int64(n)
		in := at % size
		part := p[n:min(len(p), n+int(size-in))]
		got := 0
		if c, ok := o.j.blocks[at/size]; ok {
			got, err = o.j.file.ReadAt(part, c.at+in)
			if c.escaped && in < 4 {
				var magic [4]byte
				be.PutUint32(magic[:], jbdMagic)
				copy(part, magic[in:])
			}
		} else {
			got, err = o.Bytes.ReadAt(part, at)
		}
		if n += got; got < len(part) {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		err = nil
	}
	return n, nil
}
