package archive

import (
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// WIM opens Windows imaging archives. Layout: Microsoft's "Windows Imaging File
// Format (WIM)" and wimlib's headers.
var WIM = &unpack.Reader{
	Name:    "wim",
	Doc:     "Windows imaging archives (.wim, .esd, .swm): stored, XPRESS, LZX and LZMS with chunks of any size, solid or not; several images; links, alternate streams, owners and modes of wimlib; SHA-1 of every file.",
	Limits:  "What lies in another part of a split archive is reported; security descriptors are not read.",
	Checked: "wimlib 1.13 with each compression, several chunk sizes, and solid; random trees",
	Magics:  []unpack.Magic{{At: 0, Bytes: wimMagic}},
	Carve:   true,
	Open:    openWIM,
}

const (
	wimMagic    = "MSWIM\x00\x00\x00"
	wimHeader   = 208
	wimBlobSize = 50
	wimMaxTable = 256 << 20
	wimMaxXML   = 16 << 20

	wimCompressed = 0x2 // flags of the archive
	wimXPRESS     = 0x20000
	wimLZX        = 0x40000
	wimLZMS       = 0x80000
	wimXPRESS2    = 0x200000
)

type wim struct {
	in     *unpack.Input
	o      *unpack.Object
	size   int64
	method string
	chunk  int64
	part   uint16
	blobs  map[[20]byte]*wimBlob
	list   []*wimBlob
	images []*wimBlob // their metadata
	cache  *unpack.BlockCache
}

var errWIM = errors.New("wim: damaged")

func openWIM(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, wimHeader)
	le := binary.LittleEndian
	if err != nil || string(h[:8]) != wimMagic || le.Uint32(h[8:]) != wimHeader {
		return nil, unpack.ErrNotThis
	}
	w := &wim{in: in, size: wimHeader, chunk: int64(le.Uint32(h[20:])), part: le.Uint16(h[40:]), blobs: map[[20]byte]*wimBlob{}, cache: unpack.NewBlockCache(wimCache)}
	flags := le.Uint32(h[16:])
	switch {
	case flags&wimCompressed == 0:
		w.method = "stored"
	case flags&wimLZX != 0:
		w.method = "LZX"
	case flags&(wimXPRESS|wimXPRESS2) != 0:
		w.method = "XPRESS"
	default:
		w.method = "LZMS"
	}
	table, text := wimResourceOf(h[48:]), wimResourceOf(h[72:])
	if version := le.Uint32(h[12:]); version != 0x10d00 && version != 0xe00 || w.chunk > wimMaxChunk || table.plain > wimMaxTable || table.plain%wimBlobSize != 0 {
		return nil, unpack.ErrNotThis
	}
	w.o = &unpack.Object{Format: "wim " + w.method, Info: map[string]string{}}
	if parts := le.Uint16(h[42:]); parts > 1 {
		w.o.Info["volumes"] = fmt.Sprintf("number %d of %d", w.part, parts)
	}
	for _, r := range []wimResource{table, text, wimResourceOf(h[124:])} {
		w.reach(r)
	}
	g := unpack.NewGatherer(in)
	if err := w.readTable(table); err != nil {
		g.Damage(err)
	}
	// Split archives have the images in their first part.
	if want := int(le.Uint32(h[44:])); want != len(w.images) && w.part <= 1 {
		g.Damage(fmt.Errorf("%w: %d images instead of %d", errWIM, len(w.images), want))
	}
	w.open(g, w.names(text))
	if w.o.Size = w.size; w.size > in.Data.Size() {
		w.o.Size = in.Data.Size()
		g.Damage(&unpack.CutOff{Format: "wim", Missing: w.size - in.Data.Size(), Of: w.size})
	}
	g.Finish(w.o)
	return w.o, nil
}

// reach notes how far the archive goes.
func (w *wim) reach(r wimResource) { w.size = max(w.size, r.at+r.packed) }

// readTable reads what lies where: files, and the metadata of the images.
func (w *wim) readTable(r wimResource) error {
	b, err := w.all(r, wimMaxTable)
	if err != nil {
		return fmt.Errorf("wim: the table of contents: %w", err)
	}
	var solid []*wimBlob // resources that the following files lie in
	for ; len(b) >= wimBlobSize; b = b[wimBlobSize:] {
		blob := &wimBlob{wimResource: wimResourceOf(b), part: binary.LittleEndian.Uint16(b[24:])}
		copy(blob.hash[:], b[30:])
		if blob.flags&wimSolid != 0 {
			if blob.plain == wimSolidMark {
				if len(solid) > 0 && solid[len(solid)-1].filled {
					solid = nil
				}
				solid = append(solid, blob)
				w.reach(blob.wimResource)
				continue
			}
			blob.place(solid)
		} else {
			w.reach(blob.wimResource)
			solid = nil
		}
		if int64(len(w.list)) > w.in.Budget.Limits.Files {
			return nil
		}
		if blob.flags&wimMetadata != 0 {
			w.images = append(w.images, blob)
			continue
		}
		w.list = append(w.list, blob)
		w.blobs[blob.hash] = blob
	}
	return nil
}

// names are those of the images, which XML in UTF-16 tells.
func (w *wim) names(r wimResource) (names []string) {
	b, err := w.all(r, wimMaxXML)
	if err != nil || len(b) < 2 {
		return nil
	}
	var doc struct {
		Images []struct {
			Name string `xml:"NAME"`
		} `xml:"IMAGE"`
	}
	if xml.Unmarshal([]byte(unpack.UTF16(b[2:])), &doc) == nil {
		for _, img := range doc.Images {
			names = append(names, img.Name)
		}
	}
	return names
}

// open reads the images: one becomes the object's own tree, several become parts.
func (w *wim) open(g *unpack.Gatherer, names []string) {
	name := func(i int) string {
		if i < len(names) && names[i] != "" {
			return names[i]
		}
		return fmt.Sprintf("image %d", i+1)
	}
	for i, blob := range w.images {
		meta, err := w.metadata(blob)
		if err != nil {
			w.o.Gaps = append(w.o.Gaps, unpack.Gap{Offset: blob.at, Size: blob.packed, Reason: unpack.ReasonOf(err), Note: fmt.Sprintf("the folders of %s: %v", name(i), err)})
			continue
		}
		if len(w.images) == 1 {
			w.o.Info["image"] = name(i)
			w.tree(g, meta)
			break
		}
		o := &unpack.Object{Format: "wim image", System: true, Info: map[string]string{"image": name(i)}}
		own := unpack.NewGatherer(w.in)
		w.tree(own, meta)
		own.Finish(o)
		w.o.Parts = append(w.o.Parts, unpack.Part{Name: name(i), Data: unpack.Slice(meta), Offset: -1, Info: o.Info, Object: o})
	}
	n := 0
	for _, blob := range w.list {
		if blob.used || blob.plain == 0 || blob.part != w.part && blob.part != 0 {
			continue
		}
		if n++; n > wimMaxUnused {
			w.o.Gaps = append(w.o.Gaps, unpack.Gap{Reason: "limit", Note: "more files that no image has"})
			break
		}
		data, err := w.content(blob)
		if err != nil {
			w.o.Gaps = append(w.o.Gaps, unpack.Gap{Offset: blob.at, Size: blob.packed, Reason: unpack.ReasonOf(err), Note: fmt.Sprintf("a file that no image has: %v", err)})
			continue
		}
		w.o.Parts = append(w.o.Parts, unpack.Part{Name: fmt.Sprintf("unused %x", blob.hash[:6]), Data: data, Offset: -1})
	}
	w.o.Parts = unpack.NumberParts(w.o.Parts)
}
