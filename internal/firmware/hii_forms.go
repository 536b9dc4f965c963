package firmware

import (
	"bytes"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Opcodes of the forms' byte code (UEFI 2.10, section 33.3.8.3).
const (
	ifrForm       = 0x01
	ifrOneOf      = 0x05
	ifrCheckbox   = 0x06
	ifrNumeric    = 0x07
	ifrOption     = 0x09
	ifrSuppress   = 0x0a
	ifrFormSet    = 0x0e
	ifrDisable    = 0x1e
	ifrVarStore   = 0x24
	ifrVarEFI     = 0x26
	ifrEnd        = 0x29
	ifrTrue       = 0x46
	ifrDefault    = 0x5b
	ifrQuestion   = 13 // bytes of an opcode with the header of a question
	ifrMaxOpcodes = 1 << 17
)

// ifrStatements are the opcodes that begin with prompt and help: subtitle, text,
// questions of every sort, action, button, link.
var ifrStatements = map[byte]bool{0x02: true, 0x03: true, ifrOneOf: true, ifrCheckbox: true, ifrNumeric: true, 0x08: true, 0x0c: true, 0x0d: true, 0x0f: true, 0x1a: true, 0x1b: true, 0x1c: true, 0x23: true}

// setupQuestion is a question of the setup pages whose answer is yes or no, or
// one of several.
type setupQuestion struct {
	at       int64 // in the program
	prompt   uint16
	store    uint16
	offset   uint16
	width    int // bytes of the value
	value    uint64
	hasValue bool // the forms tell the default
	checkbox bool
	options  map[uint64]uint16 // texts by value
	hidden   bool              // within a suppress-if of a plain true
}

// setupStore is the variable that a form keeps answers in.
type setupStore struct {
	guid, name string
}

// setupForms is one package of forms.
type setupForms struct {
	at        int64
	title     uint16
	stores    map[uint16]setupStore
	questions []*setupQuestion
	last      uint16 // the highest number of a text
}

// formPackages finds the packages of forms of a program. Their byte code must
// end where the package ends, with all scopes closed.
func formPackages(b []byte) (list []*setupForms) {
	mark := []byte{hiiForms, ifrFormSet}
	for from := 0; ; {
		i := bytes.Index(b[from:], mark)
		if i < 0 {
			return list
		}
		at := int64(from+i) - 3
		from += i + 1
		size := hiiPackage(b, at, hiiForms)
		if size < hiiHeader+0x16 || b[at+5]&0x80 == 0 || b[at+5]&0x7f < 0x16 {
			continue
		}
		if f := parseForms(b[at:at+size], at); f != nil {
			list = append(list, f)
			from = max(from, int(at+size))
		}
	}
}

// formParser is the state of walking the byte code.
type formParser struct {
	*setupForms
	scopes   []byte // opcodes whose scope is open
	first    []bool // the next opcode is the first of the scope
	hidden   int    // how many open scopes hide what is in them
	question *setupQuestion
	depth    int // of the question's scope
}

func parseForms(p []byte, at int64) *setupForms {
	w := &formParser{setupForms: &setupForms{at: at, stores: map[uint16]setupStore{}}}
	code := p[hiiHeader:]
	for n := 0; len(code) > 0; n++ {
		if len(code) < 2 || n > ifrMaxOpcodes {
			return nil
		}
		size := int(code[1] & 0x7f)
		if size < 2 || size > len(code) || n == 0 && code[0] != ifrFormSet {
			return nil
		}
		if !w.opcode(code[:size], code[1]&0x80 != 0, at+int64(len(p)-len(code))) {
			return nil
		}
		code = code[size:]
		if len(w.scopes) == 0 {
			break // the form set is closed
		}
	}
	if len(w.scopes) > 0 || len(bytes.TrimRight(code, "\x00")) > 0 {
		return nil
	}
	return w.setupForms
}

func (w *formParser) text(id uint16) uint16 {
	w.last = max(w.last, id)
	return id
}

// opcode takes one opcode; false if it can't be.
func (w *formParser) opcode(op []byte, scope bool, at int64) bool {
	// A plain true as the whole condition hides what is behind it.
	if n := len(w.first); n > 0 && w.first[n-1] {
		w.first[n-1] = false
		if kind := w.scopes[n-1]; op[0] == ifrTrue && !scope && (kind == ifrSuppress || kind == ifrDisable) {
			w.scopes[n-1] |= 0x80
			w.hidden++
		}
	}
	if ifrStatements[op[0]] && len(op) >= 6 {
		w.text(le.Uint16(op[2:]))
		w.text(le.Uint16(op[4:]))
	}
	switch op[0] {
	case ifrEnd:
		n := len(w.scopes) - 1
		if n < 0 {
			return false
		}
		if w.scopes[n]&0x80 != 0 {
			w.hidden--
		}
		if w.scopes, w.first = w.scopes[:n], w.first[:n]; n <= w.depth {
			w.question = nil
		}
		return true
	case ifrFormSet:
		if len(w.scopes) > 0 || len(op) < 0x16 {
			return false
		}
		w.title = w.text(le.Uint16(op[18:]))
	case ifrVarStore, ifrVarEFI:
		w.variable(op)
	case ifrOneOf, ifrCheckbox, ifrNumeric:
		if len(op) < ifrQuestion+1 {
			return false
		}
		w.ask(op, at)
	case ifrOption, ifrDefault:
		w.answer(op)
	}
	if scope {
		w.scopes, w.first = append(w.scopes, op[0]), append(w.first, true)
	}
	return len(w.scopes) < 256
}

// variable notes a store. The form with a name of its own is common; the other
// has one since UEFI 2.3.1.
func (w *formParser) variable(op []byte) {
	switch {
	case op[0] == ifrVarStore && len(op) > 22:
		w.stores[le.Uint16(op[18:])] = setupStore{unpack.GUID(op[2:18]), unpack.CString(op[22:])}
	case op[0] == ifrVarEFI && len(op) > 26:
		w.stores[le.Uint16(op[2:])] = setupStore{unpack.GUID(op[4:20]), unpack.CString(op[26:])}
	}
}

// ask starts a question.
func (w *formParser) ask(op []byte, at int64) {
	w.question = &setupQuestion{at: at, prompt: w.text(le.Uint16(op[2:])), store: le.Uint16(op[8:]), offset: le.Uint16(op[10:]), options: map[uint64]uint16{}, hidden: w.hidden > 0, width: 1}
	w.depth = len(w.scopes)
	flags := op[ifrQuestion]
	if w.question.checkbox = op[0] == ifrCheckbox; w.question.checkbox {
		w.question.value, w.question.hasValue = uint64(flags&1), true
	} else {
		w.question.width = 1 << (flags & 3)
	}
	w.questions = append(w.questions, w.question)
}

// answer notes an option of a question, or its default.
func (w *formParser) answer(op []byte) {
	if w.question == nil || len(op) < 6 {
		return
	}
	flags, kind, value := op[4], op[5], op[6:]
	if op[0] == ifrDefault {
		flags, kind, value = 0, op[4], op[5:]
		if le.Uint16(op[2:]) != 0 {
			return // that of manufacturing
		}
	}
	if kind == 4 {
		kind = 0 // a truth value is one byte
	}
	if kind > 3 || len(value) < 1<<kind {
		return
	}
	var v [8]byte
	copy(v[:], value[:1<<kind])
	n := le.Uint64(v[:])
	if op[0] == ifrOption {
		w.question.options[n] = w.text(le.Uint16(op[2:]))
	}
	if op[0] == ifrDefault || flags&0x10 != 0 {
		w.question.value, w.question.hasValue = n, true
	}
}

// textsFor chooses the strings of a package of forms: the compiler numbers those
// of each module on its own, so the package that has every number in use and the
// fewest more is the one; of equal ones the nearest.
func textsFor(f *setupForms, list []hiiTexts) *hiiTexts {
	var best *hiiTexts
	better := func(t, than *hiiTexts) bool {
		if than == nil || t.last != than.last {
			return than == nil || t.last < than.last
		}
		return distance(t.at, f.at) < distance(than.at, f.at)
	}
	for i := range list {
		if t := &list[i]; t.last >= f.last && strings.TrimSpace(t.text[f.title]) != "" && better(t, best) {
			best = t
		}
	}
	return best
}

func distance(a, b int64) int64 { return max(a-b, b-a) }
