package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"strconv"
	"sync"

	"github.com/doorward/doorward/internal/unpack"
)

// Asar opens archives of Electron: a header in JSON between Chromium's pickles,
// then the files (electron/asar, README and src/disk.ts).
var Asar = &unpack.Reader{
	Name:    "asar",
	Doc:     "asar archives of Electron, with links; the files' hashes are verified.",
	Limits:  "Files marked as unpacked lie in a folder beside the archive; their number is given.",
	Checked: "archives made by hand with every sort of entry, and damaged ones",
	Magics:  []unpack.Magic{{At: 16, Bytes: `{"files":`}},
	Carve:   true,
	Open:    openAsar,
}

const (
	asarMaxHeader = 128 << 20
	asarMaxBlock  = 16 << 20
)

type asarNode struct {
	Files      map[string]*asarNode `json:"files"`
	Size       int64                `json:"size"`
	Offset     string               `json:"offset"`
	Executable bool                 `json:"executable"`
	Link       string               `json:"link"`
	Unpacked   bool                 `json:"unpacked"`
	Integrity  *asarIntegrity       `json:"integrity"`
}

type asarIntegrity struct {
	Algorithm string   `json:"algorithm"`
	Hash      string   `json:"hash"`
	BlockSize int64    `json:"blockSize"`
	Blocks    []string `json:"blocks"`
}

type asarReader struct {
	in       *unpack.Input
	g        *unpack.Gatherer
	base     int64
	end      int64
	unpacked int
}

func openAsar(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 16)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	size, inner, text := int64(le.Uint32(h[4:])), int64(le.Uint32(h[8:])), int64(le.Uint32(h[12:]))
	if le.Uint32(h) != 4 || inner+4 != size || text > inner-4 || inner-4-text > 3 || size > asarMaxHeader {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, 16, text)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	var root asarNode
	if json.Unmarshal(b, &root) != nil || root.Files == nil {
		return nil, unpack.ErrNotThis
	}
	a := &asarReader{in: in, g: unpack.NewGatherer(in), base: 8 + size, end: 8 + size}
	a.folder(&root, "")
	o := &unpack.Object{Format: "asar", Size: min(a.end, in.Data.Size())}
	if a.unpacked > 0 {
		o.Info = map[string]string{"unpacked": fmt.Sprintf("%d files lie beside, in the folder with .unpacked behind the archive's name", a.unpacked)}
	}
	a.g.Finish(o)
	return o, nil
}

func (a *asarReader) folder(n *asarNode, path string) {
	var names []string
	for name := range n.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		f := n.Files[name]
		p, err := unpack.JoinName(path, name)
		if err != nil {
			a.g.Damage(fmt.Errorf("asar: %w", err))
		}
		if f == nil || a.g.Stop() {
			continue
		}
		switch {
		case f.Files != nil:
			a.g.Add(unpack.Entry{Path: p, Mode: fs.ModeDir | 0o755})
			a.folder(f, p)
		case f.Link != "":
			a.g.Add(unpack.Entry{Path: p, Mode: fs.ModeSymlink | 0o777, Link: "/" + f.Link}) // links count from the archive's root
		case f.Unpacked:
			a.unpacked++
		default:
			a.g.Add(a.file(f, p))
		}
	}
}

func (a *asarReader) file(f *asarNode, path string) unpack.Entry {
	e := unpack.Entry{Path: path, Mode: 0o644}
	if f.Executable {
		e.Mode = 0o755
	}
	off, err := strconv.ParseInt(f.Offset, 10, 64)
	if err != nil || off < 0 || f.Size < 0 || off > 1<<60 || f.Size > 1<<60 || a.base+off+f.Size > a.in.Data.Size() {
		if f.Size == 0 {
			return e
		}
		e.Err = fmt.Errorf("asar: %q lies outside of the archive", path)
		a.g.Damage(e.Err)
		return e
	}
	e.Order = a.base + off
	a.end = max(a.end, e.Order+f.Size)
	if f.Size == 0 {
		return e
	}
	e.Data = unpack.Window(a.in.Data, e.Order, f.Size)
	if i := f.Integrity; i != nil && i.Algorithm == "SHA256" {
		if i.BlockSize <= 0 || i.BlockSize > asarMaxBlock || int64(len(i.Blocks)) != (f.Size+i.BlockSize-1)/i.BlockSize {
			i = &asarIntegrity{Hash: i.Hash, BlockSize: f.Size, Blocks: []string{i.Hash}}
		}
		if i.BlockSize <= unpack.InMemory {
			e.Data = &hashedFile{data: e.Data, block: i.BlockSize, want: i.Blocks, right: make([]bool, len(i.Blocks))}
		}
	}
	return e
}

// hashedFile compares each block with its SHA-256 when it is first read.
type hashedFile struct {
	data  unpack.Bytes
	block int64
	want  []string

	mu    sync.Mutex
	right []bool
}

var errHash = errors.New("the content's hash is wrong")

// Size implements Bytes.
func (h *hashedFile) Size() int64 { return h.data.Size() }

// ReadAt implements Bytes.
func (h *hashedFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= h.Size() {
		return 0, io.EOF
	}
	n, err := h.data.ReadAt(p, off)
	for i := off / h.block; n > 0 && i <= (off+int64(n)-1)/h.block; i++ {
		if bad := h.verify(i); bad != nil {
			return int(max(0, i*h.block-off)), bad
		}
	}
	return n, err
}

func (h *hashedFile) verify(i int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.right[i] {
		return nil
	}
	b, err := unpack.ReadFull(h.data, i*h.block, min(h.block, h.Size()-i*h.block))
	if err != nil {
		return err
	}
	want, err := hex.DecodeString(h.want[i])
	if sum := sha256.Sum256(b); err != nil || !bytes.Equal(sum[:], want) {
		return errHash
	}
	h.right[i] = true
	return nil
}
