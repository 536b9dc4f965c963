package ppmd

import "encoding/binary"

// Blocks have 1 to 128 units; their sizes in units fall into classes.
const (
	unitSize   = 12
	numClasses = 38
	maxUnits   = 128
)

var (
	unitsOf [numClasses]uint32 // of a class
	classOf [maxUnits]int      // of a number of units, less one

	// suffixClass and seeClass sort contexts by their number of symbols.
	suffixClass [256]int
	seeClass    [256]int
)

var _ = func() bool {
	k := 0
	for i := range unitsOf {
		step := 4
		if i < 12 {
			step = i/4 + 1
		}
		for range step {
			classOf[k] = i
			k++
		}
		unitsOf[i] = uint32(k)
	}
	for i := range suffixClass {
		switch {
		case i == 0:
			suffixClass[i] = 0
		case i == 1:
			suffixClass[i] = 2
		case i < 11:
			suffixClass[i] = 4
		default:
			suffixClass[i] = 6
		}
	}
	m, left := 3, 1
	for i := range seeClass {
		if i < 3 {
			seeClass[i] = i
			continue
		}
		seeClass[i] = m
		if left--; left == 0 {
			m++
			left = m - 2
		}
	}
	return true
}()

// memory is the allocator: text grows from the start, blocks from the middle up
// (lo) and contexts from the end down (hi).
type memory struct {
	b          []byte
	size       uint32
	start      uint32 // of the text
	text       uint32
	unitsStart uint32
	lo, hi     uint32
	free       [numClasses]uint32
	glue       int // failures until free blocks are joined
}

func (m *memory) u32(at uint32) uint32      { return binary.LittleEndian.Uint32(m.b[at:]) }
func (m *memory) set32(at uint32, v uint32) { binary.LittleEndian.PutUint32(m.b[at:], v) }

func (m *memory) allocate(size uint32) {
	m.size, m.start = size, 4-size&3
	need := uint64(m.start) + uint64(size) + unitSize // the last unit ends the search for free blocks
	if uint64(cap(m.b)) < need {
		m.b = make([]byte, need)
	}
	m.b = m.b[:need]
}

func (m *memory) reset() {
	m.free = [numClasses]uint32{}
	m.text = m.start
	m.hi = m.text + m.size
	m.unitsStart = m.hi - m.size/8/unitSize*7*unitSize
	m.lo = m.unitsStart
	m.glue = 0
}

// A free block's first word is the next one of its class.
func (m *memory) insert(at uint32, class int) {
	m.set32(at, m.free[class])
	m.free[class] = at
}

func (m *memory) remove(class int) uint32 {
	at := m.free[class]
	m.free[class] = m.u32(at)
	return at
}

// release frees what is no block's size in one or two pieces.
func (m *memory) release(at, units uint32) {
	class := classOf[units-1]
	if unitsOf[class] != units {
		class--
		k := unitsOf[class]
		m.insert(at+k*unitSize, int(units-k)-1)
	}
	m.insert(at, class)
}

func (m *memory) split(at uint32, from, to int) {
	m.release(at+unitsOf[to]*unitSize, unitsOf[from]-unitsOf[to])
}

// alloc gives a block of a class, 0 if there is no room.
func (m *memory) alloc(class int) uint32 {
	if m.free[class] != 0 {
		return m.remove(class)
	}
	if n := unitsOf[class] * unitSize; n <= m.hi-m.lo {
		m.lo += n
		return m.lo - n
	}
	return m.allocRare(class)
}

// allocContext gives one unit, from the other end.
func (m *memory) allocContext() uint32 {
	if m.hi != m.lo {
		m.hi -= unitSize
		return m.hi
	}
	if m.free[0] != 0 {
		return m.remove(0)
	}
	return m.allocRare(0)
}

func (m *memory) allocRare(class int) uint32 {
	if m.glue == 0 {
		m.join()
		if m.free[class] != 0 {
			return m.remove(class)
		}
	}
	for i := class + 1; i < numClasses; i++ {
		if m.free[i] != 0 {
			at := m.remove(i)
			m.split(at, i, class)
			return at
		}
	}
	m.glue--
	if n := unitsOf[class] * unitSize; m.unitsStart-m.text > n {
		m.unitsStart -= n
		return m.unitsStart
	}
	return 0
}

// shrink gives back units of a block.
func (m *memory) shrink(at, old, units uint32) uint32 {
	from, to := classOf[old-1], classOf[units-1]
	if from == to {
		return at
	}
	if m.free[to] != 0 {
		other := m.remove(to)
		copy(m.b[other:other+units*unitSize], m.b[at:])
		m.insert(at, from)
		return other
	}
	m.split(at, from, to)
	return at
}

// A free block while blocks are joined: a stamp that nothing in use has (0),
// units, and its neighbours in a list.
const (
	nodeUnits = 2
	nodeNext  = 4
	nodePrev  = 8
)

// join joins neighbouring free blocks.
func (m *memory) join() {
	m.glue = 255
	units := func(at uint32) uint32 { return uint32(binary.LittleEndian.Uint16(m.b[at+nodeUnits:])) }
	stamp := func(at uint32, v, units uint16) {
		binary.LittleEndian.PutUint16(m.b[at:], v)
		binary.LittleEndian.PutUint16(m.b[at+nodeUnits:], units)
	}
	head := m.start + m.size
	n := head
	for class := range m.free {
		next := m.free[class]
		m.free[class] = 0
		for next != 0 {
			at := next
			next = m.u32(at)
			m.set32(at+nodeNext, n)
			m.set32(n+nodePrev, at)
			stamp(at, 0, uint16(unitsOf[class]))
			n = at
		}
	}
	stamp(head, 1, 0)
	m.set32(head+nodeNext, n)
	m.set32(n+nodePrev, head)
	if m.lo != m.hi {
		stamp(m.lo, 1, 0)
	}
	for ; n != head; n = m.u32(n + nodeNext) {
		nu := units(n)
		for {
			other := n + nu*unitSize
			if nu += units(other); binary.LittleEndian.Uint16(m.b[other:]) != 0 || nu >= 0x10000 {
				break
			}
			prev, next := m.u32(other+nodePrev), m.u32(other+nodeNext)
			m.set32(prev+nodeNext, next)
			m.set32(next+nodePrev, prev)
			stamp(n, 0, uint16(nu))
		}
	}
	for n = m.u32(head + nodeNext); n != head; {
		at, nu := n, units(n)
		n = m.u32(n + nodeNext)
		for ; nu > maxUnits; nu -= maxUnits {
			m.insert(at, numClasses-1)
			at += maxUnits * unitSize
		}
		m.release(at, nu)
	}
}
