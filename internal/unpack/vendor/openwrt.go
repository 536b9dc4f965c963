package vendor

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// OpenWrt opens what OpenWrt's fwtool appends to images: metadata as JSON and a
// signature, each with a trailer that says type, size and CRC. The image before
// them is a part.
var OpenWrt = &unpack.Reader{
	Name:    "openwrt",
	Doc:     "OpenWrt images with appended metadata (devices, version) and signature, CRC verified",
	Limits:  "the signature is shown, not verified",
	Checked: "an independent writer; all ways of damage",
	Open:    openOpenWrt,
}

const fwtoolTrailer = 16

func openOpenWrt(in *unpack.Input) (*unpack.Object, error) {
	if !in.Whole {
		return nil, unpack.ErrNotThis
	}
	g := newImage(in, "openwrt image", in.Data.Size(), 0)
	end := in.Data.Size()
	for range 4 {
		b := unpack.ReadSome(in.Data, end-fwtoolTrailer, fwtoolTrailer)
		if len(b) < fwtoolTrailer || string(b[:4]) != "FWx0" {
			break
		}
		h := head{b, binary.BigEndian}
		size := h.u32(12)
		if size < fwtoolTrailer || size > min(end, 1<<20) {
			break
		}
		block, err := unpack.ReadFull(in.Data, end-size, size)
		if err != nil {
			break
		}
		// The checksum covers the image too, and the blocks before.
		if c, err := rawCRC(in.Data, 0, end-fwtoolTrailer); end <= 1<<30 && (err != nil || int64(c) != h.u32(4)) {
			g.damaged(0, end, "the checksum of image and metadata is wrong")
		}
		g.fwtoolBlock(b[8], block[:size-fwtoolTrailer], end-size)
		end -= size
	}
	if end == in.Data.Size() {
		return nil, unpack.ErrNotThis
	}
	g.cover(end, in.Data.Size()-end)
	g.part("image", "", 0, end, nil)
	return g.finish(), nil
}

func (g *image) fwtoolBlock(kind byte, data []byte, off int64) {
	name := map[byte]string{0: "signature", 1: "metadata"}[kind]
	if name == "" {
		name = fmt.Sprintf("block%d", kind)
	}
	if i := strings.IndexByte(string(data), '{'); kind == 1 && i >= 0 {
		data, off = data[i:], off+int64(i)
		var meta struct {
			Devices []string `json:"supported_devices"`
			Version struct{ Dist, Version, Revision, Target, Board string }
		}
		if json.Unmarshal(data, &meta) == nil {
			g.info("devices", strings.Join(meta.Devices, ", "))
			g.info("version", strings.TrimSpace(meta.Version.Dist+" "+meta.Version.Version+" "+meta.Version.Revision))
			g.info("target", meta.Version.Target)
			g.info("board", meta.Version.Board)
		}
	}
	g.o.Parts = append(g.o.Parts, unpack.Part{Name: name, Data: unpack.Slice(data), Offset: off, Format: name})
}
