package archive

import (
	"bytes"
	"compress/bzip2"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/lzma"
	"github.com/klauspost/compress/zlib"
)

// Xar opens xar archives, Apple's installer packages among them. Layout: the
// xar project's wiki, pages xarformat and tocformat.
var Xar = &unpack.Reader{
	Name:    "xar",
	Doc:     "xar archives (Apple's .pkg, .xip): stored, gzip, bzip2, lzma, xz; MD5, SHA-1, SHA-256 and SHA-512 of table and files; links, owners, extended attributes; the signer's name.",
	Limits:  "Signatures are not verified.",
	Checked: "bsdtar 3.6 with each of its compressions and checksums; random trees",
	Magics:  []unpack.Magic{{At: 0, Bytes: xarMagic}},
	Carve:   true,
	Open:    openXar,
}

const (
	xarMagic  = "xar!"
	xarHeader = 28
	xarMaxTOC = 64 << 20
)

type xarTOC struct {
	Checksum   xarSum         `xml:"toc>checksum"`
	Signatures []xarSignature `xml:"toc>signature"`
	Others     []xarSignature `xml:"toc>x-signature"`
	Files      []xarFile      `xml:"toc>file"`
}

type xarSum struct {
	Style  string `xml:"style,attr"`
	Offset int64  `xml:"offset"`
	Size   int64  `xml:"size"`
	Hex    string `xml:",chardata"`
}

type xarSignature struct {
	Offset       int64    `xml:"offset"`
	Size         int64    `xml:"size"`
	Certificates []string `xml:"KeyInfo>X509Data>X509Certificate"`
}

type xarFile struct {
	ID   string `xml:"id,attr"`
	Name struct {
		Enctype string `xml:"enctype,attr"`
		Text    string `xml:",chardata"`
	} `xml:"name"`
	Type struct {
		Link string `xml:"link,attr"`
		Text string `xml:",chardata"`
	} `xml:"type"`
	Mode  string    `xml:"mode"`
	UID   int       `xml:"uid"`
	GID   int       `xml:"gid"`
	MTime string    `xml:"mtime"`
	Link  string    `xml:"link"`
	Major uint32    `xml:"device>major"`
	Minor uint32    `xml:"device>minor"`
	Data  *xarData  `xml:"data"`
	EA    []xarData `xml:"ea"`
	Files []xarFile `xml:"file"`
}

type xarData struct {
	Name      string `xml:"name"`
	Length    int64  `xml:"length"`
	Offset    int64  `xml:"offset"`
	Size      int64  `xml:"size"`
	Extracted xarSum `xml:"extracted-checksum"`
	Encoding  struct {
		Style string `xml:"style,attr"`
	} `xml:"encoding"`
}

// xar is an open archive.
type xar struct {
	in    *unpack.Input
	g     *unpack.Gatherer
	heap  int64
	end   int64                    // of what the table refers to
	ids   map[string]*unpack.Entry // files that have content, by their id
	links []xarLink
	list  []*unpack.Entry
}

type xarLink struct {
	e  *unpack.Entry
	to string
}

var errXar = errors.New("xar: damaged table of contents")

func openXar(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, xarHeader)
	if err != nil || string(h[:4]) != xarMagic {
		return nil, unpack.ErrNotThis
	}
	be := binary.BigEndian
	size, version, packed, plain, alg := int64(be.Uint16(h[4:])), be.Uint16(h[6:]), be.Uint64(h[8:]), be.Uint64(h[16:]), be.Uint32(h[24:])
	if size < xarHeader || version != 1 || packed == 0 || packed > xarMaxTOC || plain == 0 || plain > xarMaxTOC || alg > 4 {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, size, int64(packed))
	if err != nil || b[0]&15 != 8 { // zlib
		return nil, unpack.ErrNotThis
	}
	x := &xar{in: in, g: unpack.NewGatherer(in), heap: size + int64(packed), ids: map[string]*unpack.Entry{}}
	x.end = x.heap
	o := &unpack.Object{Format: "xar", Info: map[string]string{}}
	text := make([]byte, plain)
	n, err := unpack.Decompress("zlib", b, text)
	toc := &xarTOC{}
	switch {
	case err != nil:
		x.g.Damage(fmt.Errorf("%w: %w", errXar, err))
	case uint64(n) != plain:
		x.g.Damage(errXar)
	default:
		if err := xml.Unmarshal(text, toc); err != nil {
			x.g.Damage(fmt.Errorf("%w: %w", errXar, err))
		}
		x.checkTable(toc, b)
	}
	x.files("", toc.Files)
	x.finish()
	x.signatures(o, append(toc.Signatures, toc.Others...))
	x.g.Finish(o)
	if o.Size = x.end; x.end > in.Data.Size() {
		if o.Size = in.Data.Size(); o.Err == nil {
			o.Err = &unpack.CutOff{Format: "xar", Missing: x.end - in.Data.Size(), Of: x.end}
		}
	}
	return o, nil
}

// part is a piece of the heap; nil if it does not lie in the archive.
func (x *xar) part(off, size int64) unpack.Bytes {
	if off < 0 || size < 0 || off > 1<<56 || size > 1<<56 {
		return nil
	}
	if x.end = max(x.end, x.heap+off+size); x.heap+off+size > x.in.Data.Size() {
		return nil
	}
	return unpack.Window(x.in.Data, x.heap+off, size)
}

// checkTable compares the table with its checksum, which lies in the heap.
func (x *xar) checkTable(toc *xarTOC, packed []byte) {
	c := &toc.Checksum
	h := xarHash(c.Style)
	if h == nil {
		return
	}
	p := x.part(c.Offset, c.Size)
	if p == nil || c.Size > 64 {
		x.g.Damage(errXar)
		return
	}
	sum := h()
	sum.Write(packed)
	if want, err := unpack.ReadAll(p, 64); err != nil || !bytes.Equal(want, sum.Sum(nil)) {
		x.g.Damage(fmt.Errorf("xar: the table of contents: %w", unpack.ErrChecksum))
	}
}

func xarHash(style string) func() hash.Hash {
	switch strings.ToLower(style) {
	case "md5":
		return md5.New
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha512":
		return sha512.New
	}
	return nil
}

func (x *xar) files(dir string, list []xarFile) {
	for i := range list {
		if x.g.Stop() || int64(len(x.list)) > x.in.Budget.Limits.Files {
			return
		}
		f := &list[i]
		name := f.Name.Text
		if f.Name.Enctype == "base64" {
			if b, err := base64.StdEncoding.DecodeString(name); err == nil {
				name = string(b)
			}
		}
		p, err := unpack.JoinName(dir, name)
		if err != nil {
			x.g.Damage(fmt.Errorf("xar: %w", err))
		}
		e := f.entry(p)
		x.list = append(x.list, e)
		if e.Mode.IsRegular() {
			switch link := f.Type.Link; {
			case f.Type.Text == "hardlink" && link != "original" && link != "":
				x.links = append(x.links, xarLink{e, link})
			case f.Data != nil:
				e.Data, e.Err = x.content(p, f.Data)
				e.Order = f.Data.Offset
			}
			x.ids[f.ID] = e
		}
		for j := range f.EA {
			x.attribute(e, &f.EA[j])
		}
		x.files(p, f.Files)
	}
}

func (f *xarFile) entry(path string) *unpack.Entry {
	e := &unpack.Entry{Path: path, UID: f.UID, GID: f.GID}
	mode, _ := strconv.ParseUint(strings.TrimSpace(f.Mode), 8, 16)
	e.Mode = unpack.UnixMode(uint32(mode)) &^ fs.ModeType
	e.ModTime, _ = time.Parse(time.RFC3339, strings.TrimSpace(f.MTime))
	switch strings.TrimSpace(f.Type.Text) {
	case "directory":
		e.Mode |= fs.ModeDir
	case "symlink":
		e.Mode, e.Link = e.Mode|fs.ModeSymlink, f.Link
	case "fifo":
		e.Mode |= fs.ModeNamedPipe
	case "socket":
		e.Mode |= fs.ModeSocket
	case "character special":
		e.Mode, e.Major, e.Minor = e.Mode|fs.ModeDevice|fs.ModeCharDevice, f.Major, f.Minor
	case "block special":
		e.Mode, e.Major, e.Minor = e.Mode|fs.ModeDevice, f.Major, f.Minor
	}
	return e
}

// xarDecoders are the encodings by their style.
var xarDecoders = map[string]func(packed unpack.Bytes, size int64) (io.Reader, error){
	"": zipDecoderStored, "application/octet-stream": zipDecoderStored,
	"application/x-gzip": func(packed unpack.Bytes, _ int64) (io.Reader, error) {
		r, _ := unpack.SourceOf(packed)
		return zlib.NewReader(r)
	},
	"application/x-bzip2": func(packed unpack.Bytes, _ int64) (io.Reader, error) {
		r, _ := unpack.SourceOf(packed)
		return bzip2.NewReader(r), nil
	},
	"application/x-xz":   zipWhole(func(src, dst []byte) (int, error) { return lzma.DecodeXZ(dst, src) }),
	"application/x-lzma": zipWhole(xarLZMA),
}

// xarLZMA decodes what is called lzma and may be xz.
func xarLZMA(src, dst []byte) (int, error) {
	if bytes.HasPrefix(src, []byte("\xfd7zXZ\x00")) {
		return lzma.DecodeXZ(dst, src)
	}
	return unpack.Decompress("lzma", src, dst)
}

func (x *xar) content(path string, d *xarData) (unpack.Bytes, error) {
	packed := x.part(d.Offset, d.Length)
	decode := xarDecoders[d.Encoding.Style]
	switch {
	case packed == nil || d.Size < 0:
		return nil, fmt.Errorf("xar: %q: %w", path, io.ErrUnexpectedEOF)
	case decode == nil:
		return packed, fmt.Errorf("xar: %q: %w encoding %q", path, unpack.ErrUnsupported, d.Encoding.Style)
	case d.Size > max(unpack.RatioFree, d.Length*x.in.Budget.Limits.Ratio):
		return packed, fmt.Errorf("xar: %q: %w: expands from %d to %d bytes", path, unpack.ErrLimit, d.Length, d.Size)
	case d.Size == 0:
		return nil, nil
	}
	f := &packedFile{size: d.Size, open: func() (io.Reader, error) { return decode(packed, d.Size) }}
	if h := xarHash(d.Extracted.Style); h != nil {
		want, err := hex.DecodeString(strings.TrimSpace(d.Extracted.Hex))
		if err != nil {
			return nil, fmt.Errorf("xar: %q: %w", path, errXar)
		}
		f.hash, f.want = h, want
	}
	return f, nil
}

// attribute reads an extended attribute, whose value lies in the heap.
func (x *xar) attribute(e *unpack.Entry, d *xarData) {
	if d.Name == "" || d.Size > unpack.MaxXattr {
		return
	}
	c, err := x.content(e.Path, d)
	if err != nil {
		x.g.Damage(err)
		return
	}
	var b []byte
	if c != nil {
		if b, err = unpack.ReadAll(c, unpack.MaxXattr); err != nil {
			x.g.Damage(fmt.Errorf("xar: attribute %s of %q: %w", d.Name, e.Path, err))
			return
		}
	}
	if e.Xattrs == nil {
		e.Xattrs = map[string]string{}
	}
	e.Xattrs[d.Name] = string(b)
}

// finish resolves hard links, and hands all entries over.
func (x *xar) finish() {
	for i, l := range x.links {
		to := x.ids[l.to]
		if to == nil || to == l.e {
			l.e.Err = fmt.Errorf("xar: %q is a link to file %q, which is not there", l.e.Path, l.to)
			continue
		}
		if to.Inode == 0 {
			to.Inode = uint64(i) + 1
		}
		l.e.Inode, l.e.Data, l.e.Err, l.e.Order = to.Inode, to.Data, to.Err, to.Order
	}
	for _, e := range x.list {
		if !x.g.Add(*e) {
			return
		}
	}
}

// signatures says who signed, by the first certificate of each.
func (x *xar) signatures(o *unpack.Object, list []xarSignature) {
	for _, s := range list {
		x.part(s.Offset, s.Size)
		if len(s.Certificates) == 0 {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s.Certificates[0]), ""))
		if err != nil {
			continue
		}
		if c, err := x509.ParseCertificate(b); err == nil {
			o.Info["signer"] = c.Subject.String()
		}
	}
}
