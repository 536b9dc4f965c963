package archive

// sevenFolderInfo is one packed stream of files ("folder"), made by coders that
// feed each other.
type sevenFolderInfo struct {
	coders  []sevenCoder
	binds   []sevenBind
	inputs  []int   // numbers of the coders' inputs that are packed streams
	sizes   []int64 // of each coder's output
	first   int     // its first packed stream
	sum     uint32
	checked bool
	parts   []sevenPart // its files
}

type sevenCoder struct {
	method  uint64
	props   []byte
	inputs  int
	firstIn int // the number of its first input
}

type sevenBind struct{ in, out int }

type sevenPart struct {
	size    int64
	sum     uint32
	checked bool
}

const (
	sevenMaxCoders = 32
	sevenMaxInputs = 32
)

// streams reads StreamsInfo.
func (r *sevenReader) streams() (s sevenStreams) {
	parts := false
	for !r.bad {
		switch r.number() {
		case sevenEnd:
			for i := range s.folders {
				if f := &s.folders[i]; !parts {
					f.parts = []sevenPart{{f.size(), f.sum, f.checked}}
				}
			}
			return s
		case sevenPackInfo:
			s.packed = r.packInfo()
		case sevenUnpackInfo:
			s.folders = r.unpackInfo(len(s.packed))
		case sevenSubStreams:
			r.subStreams(s.folders)
			parts = true
		default:
			r.bad = true
		}
	}
	return s
}

func (r *sevenReader) packInfo() []sevenStretch {
	at := sevenStart + r.size()
	n := r.count(1)
	list := make([]sevenStretch, n)
	for !r.bad {
		switch r.number() {
		case sevenEnd:
			return list
		case sevenSize:
			for i := range list {
				list[i] = sevenStretch{at, r.size()}
				if at += list[i].size; at > 1<<60 {
					r.bad = true
				}
			}
		case sevenCRC:
			r.sums(n)
		default:
			r.bad = true
		}
	}
	return nil
}

func (r *sevenReader) unpackInfo(packed int) []sevenFolderInfo {
	if r.number() != sevenFolder {
		r.bad = true
		return nil
	}
	n := r.count(1)
	if r.byte() != 0 {
		r.bad = true
	}
	if r.bad {
		return nil
	}
	folders := make([]sevenFolderInfo, 0, min(n, 1<<16))
	first := 0
	for range n {
		f := r.folder()
		f.first = first
		if first += len(f.inputs); first > packed || r.bad {
			r.bad = true
			return nil
		}
		folders = append(folders, f)
	}
	for !r.bad {
		switch r.number() {
		case sevenEnd:
			return folders
		case sevenUnpackSizes:
			for i := range folders {
				folders[i].sizes = make([]int64, len(folders[i].coders))
				for j := range folders[i].sizes {
					folders[i].sizes[j] = r.size()
				}
			}
		case sevenCRC:
			for i, s := range r.sums(n) {
				folders[i].sum, folders[i].checked = s.sum, s.checked
			}
		default:
			r.bad = true
		}
	}
	return nil
}

func (r *sevenReader) folder() (f sevenFolderInfo) {
	n := int(r.number() & 0xffff)
	if n == 0 || n > sevenMaxCoders {
		r.bad = true
		return f
	}
	inputs := 0
	for range n {
		flags := r.byte()
		c := sevenCoder{inputs: 1, firstIn: inputs}
		for _, b := range r.bytes(uint64(flags & 15)) {
			c.method = c.method<<8 | uint64(b)
		}
		if flags&0x10 != 0 {
			c.inputs = int(r.number() & 0xffff)
			if r.number() != 1 {
				r.bad = true // coders with several outputs: nobody writes them
			}
		}
		if flags&0x20 != 0 {
			c.props = r.bytes(r.number())
		}
		if inputs += c.inputs; inputs > sevenMaxInputs || flags&0xc0 != 0 {
			r.bad = true
			return f
		}
		f.coders = append(f.coders, c)
	}
	for range n - 1 {
		f.binds = append(f.binds, sevenBind{int(r.number() & 0xffff), int(r.number() & 0xffff)})
	}
	packed := inputs - len(f.binds)
	switch {
	case packed < 1:
		r.bad = true
	case packed == 1:
		for in := range inputs {
			if f.bound(in) < 0 {
				f.inputs = []int{in}
			}
		}
		r.bad = r.bad || len(f.inputs) != 1
	default:
		for range packed {
			f.inputs = append(f.inputs, int(r.number()&0xffff))
		}
	}
	return f
}

// bound is the coder whose output feeds an input, or -1.
func (f *sevenFolderInfo) bound(in int) int {
	for _, b := range f.binds {
		if b.in == in {
			return b.out
		}
	}
	return -1
}

// main is the coder whose output feeds no other: the content.
func (f *sevenFolderInfo) main() int {
	for i := range f.coders {
		used := false
		for _, b := range f.binds {
			used = used || b.out == i
		}
		if !used {
			return i
		}
	}
	return -1
}

func (f *sevenFolderInfo) size() int64 {
	if m := f.main(); m >= 0 && m < len(f.sizes) {
		return f.sizes[m]
	}
	return 0
}

func (r *sevenReader) subStreams(folders []sevenFolderInfo) {
	for i := range folders {
		folders[i].parts = make([]sevenPart, 1)
	}
	id := r.number()
	if id == sevenNumStreams {
		all := 0
		for i := range folders {
			// An empty file has no stream: each takes a byte of its size at least,
			// but the last of a folder.
			n := r.count(1)
			if all += n; all > len(r.b)+len(folders) {
				r.bad = true
			}
			if r.bad {
				return
			}
			folders[i].parts = make([]sevenPart, n)
		}
		id = r.number()
	}
	unknown := 0
	for i := range folders {
		f := &folders[i]
		rest := f.size()
		for j := range f.parts {
			if j < len(f.parts)-1 {
				if id == sevenSize {
					f.parts[j].size = r.size()
				}
				rest -= f.parts[j].size
			} else {
				f.parts[j].size = rest
			}
			if rest < 0 {
				r.bad = true
				return
			}
		}
		if len(f.parts) == 1 && f.checked {
			f.parts[0].sum, f.parts[0].checked = f.sum, true
		} else {
			unknown += len(f.parts)
		}
	}
	if id == sevenSize {
		id = r.number()
	}
	for ; !r.bad && id != sevenEnd; id = r.number() {
		if id != sevenCRC {
			r.bad = true
			return
		}
		sums := r.sums(unknown)
		for i := range folders {
			f := &folders[i]
			if len(f.parts) == 1 && f.checked {
				continue
			}
			for j := range f.parts {
				f.parts[j].sum, f.parts[j].checked = sums[0].sum, sums[0].checked
				sums = sums[1:]
			}
		}
	}
}
