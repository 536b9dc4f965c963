package bundle

import (
	"encoding/binary"
)

// marshal reads the little of Python's marshal format (Python/marshal.c) that
// the table of a module archive has: a list, or a dictionary, of names with a
// tuple of three numbers.
type marshal struct {
	b    []byte
	refs []any
	bad  bool
}

type pyModule struct {
	name      string
	kind      int64
	off, size int64
}

const marshalMaxDepth = 8

func (m *marshal) take(n int) []byte {
	if m.bad || n < 0 || n > len(m.b) {
		m.bad = true
		return make([]byte, max(0, min(n, 8)))
	}
	b := m.b[:n]
	m.b = m.b[n:]
	return b
}

func (m *marshal) int32() int { return int(int32(binary.LittleEndian.Uint32(m.take(4)))) }

// value reads a value: string, int64, []any (lists, tuples and dictionaries), nil.
func (m *marshal) value(depth int) any {
	if depth > marshalMaxDepth || m.bad {
		m.bad = true
		return nil
	}
	c := m.take(1)[0]
	kind, ref := c&0x7f, c&0x80 != 0
	slot := len(m.refs)
	if ref {
		m.refs = append(m.refs, nil)
	}
	v := m.body(kind, depth)
	if ref {
		m.refs[slot] = v
	}
	return v
}

func (m *marshal) body(kind byte, depth int) any {
	switch kind {
	case 'i':
		return int64(m.int32())
	case 'l': // 15 bits a digit
		n := m.int32()
		if n < 0 || n > 4 {
			m.bad = true
			return nil
		}
		v := int64(0)
		for i := range n {
			v |= int64(binary.LittleEndian.Uint16(m.take(2))) << (15 * i)
		}
		return v
	case 'z', 'Z':
		return string(m.take(int(m.take(1)[0])))
	case 'a', 'A', 'u', 's', 't':
		return string(m.take(m.int32()))
	case ')':
		return m.list(int(m.take(1)[0]), depth)
	case '(', '[':
		return m.list(m.int32(), depth)
	case '{':
		var list []any
		for !m.bad {
			if len(m.b) > 0 && m.b[0] == '0' {
				m.take(1)
				return list
			}
			list = append(list, []any{m.value(depth + 1), m.value(depth + 1)})
		}
		return list
	case 'r':
		if i := m.int32(); i >= 0 && i < len(m.refs) {
			return m.refs[i]
		}
	case 'N', 'T', 'F':
		return nil
	}
	m.bad = true
	return nil
}

func (m *marshal) list(n, depth int) []any {
	if n < 0 || n > len(m.b) {
		m.bad = true
		return nil
	}
	var list []any
	for range n {
		if list = append(list, m.value(depth+1)); m.bad {
			return nil
		}
	}
	return list
}

func (m *marshal) modules() []pyModule {
	list, _ := m.value(0).([]any)
	var modules []pyModule
	for _, it := range list {
		pair, _ := it.([]any)
		if len(pair) != 2 {
			m.bad = true
			return nil
		}
		name, ok := pair[0].(string)
		place, _ := pair[1].([]any)
		if !ok || len(place) != 3 {
			m.bad = true
			return nil
		}
		mod := pyModule{name: name}
		for i, to := range []*int64{&mod.kind, &mod.off, &mod.size} {
			n, ok := place[i].(int64)
			if *to = n; !ok {
				m.bad = true
			}
		}
		modules = append(modules, mod)
	}
	return modules
}
