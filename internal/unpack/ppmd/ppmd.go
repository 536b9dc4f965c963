// Package ppmd decodes PPMd variant H, as 7z and RAR pack text with it: a
// statistical model of up to 64 symbols before each (D. Shkarin, "PPM: one step
// to practicality", 2002; variant H of the author's public-domain ppmdh), read by
// a range decoder.
//
// Model and allocator must behave exactly as the packer's, down to when memory
// runs out, since the model then starts anew. Memory is one slice; pointers are
// offsets in it, 0 is none.
package ppmd

import (
	"encoding/binary"
	"errors"
)

// Errors of decoding.
var (
	ErrInput   = errors.New("ppmd: the packed data end too early")
	ErrCorrupt = errors.New("ppmd: damaged data")
)

// Bounds of the parameters.
const (
	MinOrder  = 2
	MaxOrder  = 64
	MinMemory = 1 << 11
	MaxMemory = 1<<32 - 1 - 12*3
)

const (
	maxFreq    = 124
	intBits    = 7
	periodBits = 7
	binScale   = 1 << (intBits + periodBits)
)

// initialEscapes start the binary contexts.
var initialEscapes = [8]int{0x3cdd, 0x1f3f, 0x59bf, 0x48f3, 0x64a1, 0x5abc, 0x6632, 0x6051}

var expEscape = [16]byte{25, 14, 9, 7, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2}

// see estimates escapes from contexts of several symbols.
type see struct {
	summ  uint16
	shift byte
	count byte
}

// Model is the model of one stream; Start makes it usable.
type Model struct {
	memory
	rng     rangeDecoder
	order   int
	started bool

	minCtx, maxCtx uint32
	found          uint32 // the state of the last symbol
	orderFall      int
	initEsc        int
	prevSuccess    int
	hiBits         int
	runLength      int32
	initRL         int32

	binSumm [128][64]uint16
	see     [25][16]see
	dummy   see
	masked  [256]bool
	list    [256]uint32 // states of a context that are not masked
}

// States and contexts in memory. A state has a symbol, its frequency and its
// successor; a context the number of its states, the sum of their frequencies,
// their place, and the context of one symbol less. A context of one state holds
// it in place of sum and place.
const (
	stateSize = 6

	ctxSum    = 2
	ctxOne    = 2
	ctxStats  = 4
	ctxSuffix = 8
)

func (m *Model) u16(at uint32) uint16       { return binary.LittleEndian.Uint16(m.b[at:]) }
func (m *Model) set16(at uint32, v uint16)  { binary.LittleEndian.PutUint16(m.b[at:], v) }
func (m *Model) numStats(c uint32) int      { return int(m.u16(c)) }
func (m *Model) sum(c uint32) int           { return int(m.u16(c + ctxSum)) }
func (m *Model) addSum(c uint32, n int)     { m.set16(c+ctxSum, uint16(m.sum(c)+n)) }
func (m *Model) stats(c uint32) uint32      { return m.u32(c + ctxStats) }
func (m *Model) suffix(c uint32) uint32     { return m.u32(c + ctxSuffix) }
func (m *Model) symbol(s uint32) byte       { return m.b[s] }
func (m *Model) freq(s uint32) int          { return int(m.b[s+1]) }
func (m *Model) successor(s uint32) uint32  { return m.u32(s + 2) }
func (m *Model) setSuccessor(s, to uint32)  { m.set32(s+2, to) }
func (m *Model) copyState(to, from uint32)  { copy(m.b[to:to+stateSize], m.b[from:from+stateSize]) }
func (m *Model) state(s uint32) (v [6]byte) { copy(v[:], m.b[s:s+stateSize]); return v }
func (m *Model) setState(s uint32, v [6]byte) {
	copy(m.b[s:s+stateSize], v[:])
}

func (m *Model) swap(a, b uint32) {
	v := m.state(a)
	m.copyState(a, b)
	m.setState(b, v)
}

// find is the state of a symbol that the context is known to have.
func (m *Model) find(c uint32, symbol byte) uint32 {
	s := m.stats(c)
	for range m.numStats(c) {
		if m.symbol(s) == symbol {
			return s
		}
		s += stateSize
	}
	panic(ErrCorrupt) // the model is consistent whatever is decoded
}

// Start begins a model of an order, with size bytes of memory: order and size
// must lie in the bounds. Memory of before is used again.
func (m *Model) Start(order int, size uint32) {
	m.order, m.started = order, true
	m.allocate(size)
	m.restart()
}

// Stop ends the model; its memory is used by the next one.
func (m *Model) Stop() { m.started, m.minCtx = false, 0 }

// Started says that there is a model to go on with.
func (m *Model) Started() bool { return m.started }

// Size is how much memory the model has.
func (m *Model) Size() int64 { return int64(len(m.b)) }

// restart forgets all.
func (m *Model) restart() {
	m.reset()
	m.orderFall = m.order
	m.initRL = -int32(min(m.order, 12)) - 1
	m.runLength = m.initRL
	m.prevSuccess, m.hiBits, m.initEsc = 0, 0, 0

	m.hi -= unitSize
	c := m.hi
	m.minCtx, m.maxCtx = c, c
	m.found = m.lo
	m.lo += 128 * unitSize
	m.set16(c, 256)
	m.set16(c+ctxSum, 257)
	m.set32(c+ctxStats, m.found)
	m.set32(c+ctxSuffix, 0)
	for i := range uint32(256) {
		m.setState(m.found+i*stateSize, [6]byte{byte(i), 1})
	}
	for i := range m.binSumm {
		for k := range m.binSumm[i] {
			m.binSumm[i][k] = uint16(binScale - initialEscapes[k%8]/(i+2))
		}
	}
	for i := range m.see {
		for k := range m.see[i] {
			m.see[i][k] = see{uint16((5*i + 10) << (periodBits - 4)), periodBits - 4, 4}
		}
	}
	m.dummy = see{0, periodBits, 64}
}

func (s *see) update() {
	if s.shift < periodBits {
		if s.count--; s.count == 0 {
			s.summ <<= 1
			s.count = 3 << s.shift
			s.shift++
		}
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// hiFlag is 8 for symbols from 0x40 on.
func hiFlag(symbol byte) int { return flag(symbol >= 0x40) << 3 }
