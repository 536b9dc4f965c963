package flash

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	ubifsCrypt   = 0x40 // flag of an encrypted inode
	maxUBIFSDeep = 256
)

// ubifsKinds are the types that a folder states of its entries.
var ubifsKinds = []fs.FileMode{0, fs.ModeDir, fs.ModeSymlink, fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice, fs.ModeNamedPipe, fs.ModeSocket}

// entries makes paths of names and inodes.
func (u *ubifs) entries() []unpack.Entry {
	var list []unpack.Entry
	entered := map[uint32]bool{1: true}
	if root := u.files[1]; root != nil && root.have {
		list = append(list, u.entry(".", ubifsName{ino: 1, kind: 1}))
	}
	var walk func(dir uint32, path string, depth int)
	walk = func(dir uint32, path string, depth int) {
		secret := u.files[dir] != nil && u.files[dir].flags&ubifsCrypt != 0
		for _, name := range slices.Sorted(maps.Keys(u.names[dir])) {
			n := u.names[dir][name]
			if n.kind == 1 && entered[n.ino] {
				continue
			}
			if secret {
				name = "encrypted-" + hex.EncodeToString([]byte(name))
			}
			list = append(list, u.entry(path+name, n))
			if n.kind == 1 && depth < maxUBIFSDeep {
				entered[n.ino] = true
				walk(n.ino, path+name+"/", depth+1)
			}
		}
	}
	walk(1, "", 0)
	return list
}

// entry makes the entry of a name.
func (u *ubifs) entry(path string, n ubifsName) unpack.Entry {
	e := unpack.Entry{Path: path, Inode: uint64(n.ino)}
	if int(n.kind) < len(ubifsKinds) {
		e.Mode = ubifsKinds[n.kind]
	}
	f := u.files[n.ino]
	if f == nil || !f.have {
		e.Err = fmt.Errorf("inode %d is missing", n.ino)
		return e
	}
	e.Mode, e.UID, e.GID, e.Order = unpack.UnixMode(f.mode), int(f.uid), int(f.gid), f.order
	if f.mtime < 1<<40 {
		e.ModTime = time.Unix(int64(f.mtime), 0).UTC()
	}
	for name, x := range u.attrs[n.ino] {
		if v := u.files[x.ino]; v != nil && v.have {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[name] = string(v.inline)
		}
	}
	switch {
	case e.Mode.IsRegular():
		u.regular(&e, f)
	case e.Mode&fs.ModeSymlink != 0:
		if e.Link = string(f.inline); f.flags&ubifsCrypt != 0 {
			e.Link, e.Err = "", fmt.Errorf("%w by fscrypt", unpack.ErrEncrypted)
		}
	case e.Mode&fs.ModeDevice != 0:
		e.Major, e.Minor = deviceNumber(f.inline, binary.LittleEndian)
	}
	return e
}

// maxUBIFSFile bounds a file; the format's own limit is about 2 TiB.
const maxUBIFSFile = 1 << 41

func (u *ubifs) regular(e *unpack.Entry, f *ubifsFile) {
	switch {
	case f.size > maxUBIFSFile:
		e.Err = fmt.Errorf("a size of %d bytes is impossible", f.size)
	case f.flags&ubifsCrypt != 0 && f.size > 0:
		e.Err = fmt.Errorf("%w by fscrypt: %d bytes", unpack.ErrEncrypted, f.size)
	case f.size > 0:
		e.Data = &ubifsContent{fs: u, file: f}
		if len(f.blocks) > 0 {
			e.Order = int64(f.blocks[0].place.lnum)<<32 | int64(f.blocks[0].place.offs)
		}
	}
}

// ubifsContent is a file's content.
type ubifsContent struct {
	fs   *ubifs
	file *ubifsFile
}

// Size implements Bytes.
func (c *ubifsContent) Size() int64 { return int64(c.file.size) }

// ReadAt implements Bytes. A block that has no node is a hole.
func (c *ubifsContent) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	size := c.Size()
	if off >= size {
		return 0, io.EOF
	}
	var err error
	if int64(len(p)) > size-off {
		p, err = p[:size-off], io.EOF
	}
	clear(p)
	blocks := c.file.blocks
	end := off + int64(len(p))
	var page []byte
	for i := sort.Search(len(blocks), func(i int) bool { return int64(blocks[i].block+1)*ubifsBlock > off }); i < len(blocks); i++ {
		start := int64(blocks[i].block) * ubifsBlock
		if start >= end {
			break
		}
		from, to := max(start, off), min(start+ubifsBlock, end)
		dst := p[from-off : to-off]
		if len(dst) < ubifsBlock {
			if page == nil {
				page = make([]byte, ubifsBlock)
			}
			clear(page)
			dst = page
		}
		if err := c.fs.block(&blocks[i], c.file, dst); err != nil {
			return int(from - off), err
		}
		if to-from < ubifsBlock {
			copy(p[from-off:to-off], page[from-start:])
		}
	}
	return len(p), err
}

var ubifsMethods = []string{"", "lzo", "deflate", "zstd"}

// block unpacks one block into dst, which has room for a whole one and is
// clear. It is safe for concurrent use.
func (u *ubifs) block(b *ubifsBlockAt, f *ubifsFile, dst []byte) error {
	p := b.place
	fail := func(err error) error { return fmt.Errorf("data node at block %d, 0x%x: %w", p.lnum, p.offs, err) }
	if int64(p.lnum) >= u.sb.lebs || int64(p.offs)+int64(p.len) > u.sb.lebSize || p.len > maxUBIFSNode {
		return fail(io.ErrUnexpectedEOF)
	}
	raw, err := unpack.ReadFull(u.data, int64(p.lnum)*u.sb.lebSize+int64(p.offs), int64(p.len))
	if err != nil {
		return fail(err)
	}
	n, ok := parseUBIFSNode(raw)
	if !ok || n.kind != ubifsData {
		return fail(fmt.Errorf("it is damaged"))
	}
	size, method := int(n.u32(40)), int(n.u16(44))
	if size > ubifsBlock || method >= len(ubifsMethods) {
		return fail(fmt.Errorf("compression %d, %d bytes: %w", method, size, unpack.ErrUnsupported))
	}
	src := n.raw[48:]
	if method == 0 {
		if copy(dst[:size], src) < size {
			return fail(io.ErrUnexpectedEOF)
		}
		return nil
	}
	got, err := unpack.Decompress(ubifsMethods[method], src, dst[:size])
	if err == nil && got < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fail(err)
	}
	return nil
}
