package uefi

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// Variables opens the variable stores of EDK II, as its
// MdeModulePkg/Include/Guid/VariableFormat.h lays them out, and the older ones
// that begin with $VSS.
var Variables = &unpack.Reader{
	Name:    "efi-variables",
	Doc:     "UEFI variable stores (EDK II's, plain and authenticated, and $VSS), each variable as a file; secure boot's keys as certificates",
	Limits:  "Encrypted variables are shown as they are stored.",
	Checked: "the variable stores of OVMF and AAVMF of Debian 12, their certificates against efitools' sig-list-to-certs, an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: string(storeAuth[:])}, {At: 0, Bytes: string(storePlain[:])}, {At: 0, Bytes: "$VSS"}},
	Carve:   true,
	Open:    openVariables,
}

// The GUIDs AAF32C78-947B-439A-A180-2E144EC37792 and
// DDCF3616-3275-4164-98B6-FE85707FFE7D.
var (
	storeAuth  = guid{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92}
	storePlain = guid{0x16, 0x36, 0xcf, 0xdd, 0x75, 0x32, 0x64, 0x41, 0x98, 0xb6, 0xfe, 0x85, 0x70, 0x7f, 0xfe, 0x7d}
)

const (
	storeFormatted  = 0x5a
	variableStart   = 0x55aa
	variableAuth    = 60 // bytes of the header of an authenticated variable
	variablePlain   = 32
	stateAdded      = 0x3f
	stateOneLeft    = 0x3e // a newer copy was being written
	maxVariableName = 4096
)

// varStore is a store that is being read.
type varStore struct {
	*unpack.Gatherer
	data  unpack.Bytes
	auth  bool
	align int64
	names map[string]int
	count int
}

// openVariables reads the header of a store: 28 bytes, or 16 of the old form.
func openVariables(in *unpack.Input) (*unpack.Object, error) {
	b, err := unpack.ReadFull(in.Data, 0, 28)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	s := &varStore{Gatherer: unpack.NewGatherer(in), align: 4, names: map[string]int{}}
	at, head, format := int64(28), b[16:], "variable store"
	switch {
	case guidAt(b) == storeAuth:
		s.auth, format = true, "authenticated variable store"
	case guidAt(b) == storePlain:
	default:
		at, head, format, s.align = 16, b[4:], "variable store $VSS", 1
	}
	size := int64(le32(head))
	if head[4] != storeFormatted || head[5] > 0xfe || size < at || size > 64<<20 {
		return nil, unpack.ErrNotThis
	}
	s.data = unpack.Window(in.Data, 0, size)
	if s.data.Size() < size {
		s.Damage(&unpack.CutOff{Format: "variable store", Missing: size - s.data.Size(), Of: size})
	}
	s.walk(at)
	o := &unpack.Object{Format: format, Size: s.data.Size(), Info: map[string]string{"variables": strconv.Itoa(s.count)}}
	s.Finish(o)
	return o, nil
}

// variable is the header of a variable.
type variable struct {
	at, head   int64
	state      byte
	attributes uint32
	nameSize   int64
	dataSize   int64
	vendor     guid
}

func (v *variable) live() bool { return v.state == stateAdded || v.state == stateOneLeft }

func (s *varStore) variableAt(at int64) (*variable, bool) {
	n := int64(variablePlain)
	if s.auth {
		n = variableAuth
	}
	b, err := unpack.ReadFull(s.data, at, n)
	if err != nil || le16(b) != variableStart {
		return nil, false
	}
	sizes := b[n-24:]
	v := &variable{at, n, b[2], le32(b[4:]), int64(le32(sizes)), int64(le32(sizes[4:])), guidAt(sizes[8:])}
	if v.nameSize < 2 || v.nameSize > maxVariableName || v.nameSize%2 != 0 || v.dataSize > s.data.Size()-at-n-v.nameSize {
		return nil, false
	}
	return v, true
}

// walk takes the variables, each once; those that were deleted stay until the
// store is written anew.
func (s *varStore) walk(at int64) {
	for !s.Stop() {
		v, ok := s.variableAt(at)
		if !ok && s.align == 1 { // some of the old form are aligned all the same
			at = align(at, 4)
			v, ok = s.variableAt(at)
		}
		if !ok {
			if next := s.skip(at); next > at {
				at = next
				continue
			}
			return
		}
		s.add(v)
		at = align(v.at+v.head+v.nameSize+v.dataSize, s.align)
	}
}

// skip finds out what stands where no variable is: nothing, or damage, behind
// which there may be more variables.
func (s *varStore) skip(at int64) int64 {
	if unpack.OnlyPadding(s.data, at) {
		return at
	}
	s.Damage(fmt.Errorf("variable store: no variable at 0x%x", at))
	sl := unpack.NewSlider(s.data)
	for next := align(at+1, s.align); next < s.data.Size(); next += s.align {
		if b := sl.At(next, 2); len(b) == 2 && le16(b) == variableStart {
			if _, ok := s.variableAt(next); ok {
				return next
			}
		}
	}
	return at
}

// attributeNames are those of UEFI 2.10, section 8.2.
var attributeNames = []string{"nv", "bs", "rt", "hw-error", "auth-write", "time-auth-write", "append"}

func attributesOf(v uint32) string {
	text := ""
	for i, n := range attributeNames {
		if v>>i&1 != 0 {
			text += " " + n
		}
	}
	return text[min(1, len(text)):]
}

// add adds a variable under the name that Linux's efivarfs gives it.
func (s *varStore) add(v *variable) {
	name, err := unpack.ReadFull(s.data, v.at+v.head, v.nameSize)
	if err != nil {
		s.Damage(err)
		return
	}
	data := unpack.Window(s.data, v.at+v.head+v.nameSize, v.dataSize)
	if !v.live() {
		if v.dataSize > 0 && v.state != 0x7f {
			s.put("deleted/"+variablePath(unpack.UTF16(name), v.vendor), data, v.attributes, v.vendor, true)
		}
		return
	}
	s.count++
	s.put(variablePath(unpack.UTF16(name), v.vendor), data, v.attributes, v.vendor, false)
	for _, e := range signatureEntries(unpack.UTF16(name), data) {
		s.Add(e)
	}
}

// variablePath is name-guid, lower-case.
func variablePath(name string, vendor guid) string {
	path, _ := unpack.JoinName("", name)
	return path + "-" + lower(vendor)
}

func (s *varStore) put(path string, data unpack.Bytes, attributes uint32, vendor guid, deleted bool) {
	s.names[path]++
	if n := s.names[path]; n > 1 {
		path += "~" + strconv.Itoa(n)
	}
	attrs := map[string]string{"uefi.attributes": attributesOf(attributes), "uefi.vendor": vendor.String()}
	s.Add(unpack.Entry{Path: path, Mode: 0o600, Data: data, Deleted: deleted, Xattrs: attrs, Order: int64(s.count)})
}

// store parts a volume that holds variables: the store, and behind it the
// working area of fault-tolerant writes with its spare blocks.
func (w *walker) store(start int64) {
	b, err := unpack.ReadFull(w.data, start, 28)
	if err != nil || guidAt(b) != storeAuth && guidAt(b) != storePlain {
		if err == nil && !unpack.OnlyPadding(w.data, start) && string(b[:4]) != "$VSS" && string(b[:4]) != "NVAR" {
			w.Damage(errors.New("firmware volume: no variable store in a volume for variables"))
		}
		w.raw("content", start, w.volume.size)
		return
	}
	size := min(int64(le32(b[16:])), w.volume.size-start)
	w.parts = append(w.parts, unpack.Part{Name: "variables", Data: unpack.Window(w.data, start, size), Offset: start})
	w.raw("spare", start+size, w.volume.size)
}
