package uefi

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	meTable      = 0x290 // modules stand behind the name of the partition
	meModuleTag  = "$MME"
	meModuleOld  = 0x50 // bytes of a module's line with $MAN
	meModuleNew  = 0x60 // with $MN2
	meFileTag    = "$MOD"
	meFileHead   = 0x50
	meHuffTag    = "LLUT"
	maxMEModules = 512
	meStored     = 0
	meHuffman    = 1
	meLZMA       = 2
)

var errHuffman = fmt.Errorf("%w: packed by Huffman with dictionaries that Intel has not published", unpack.ErrUnsupported)

// meModule is a line of the older engine's table of modules.
type meModule struct {
	name    string
	at      int64
	size    int64
	method  uint32
	version string
	hash    []byte // SHA-256 of what is stored; nil in the old form
}

// meModules reads the table; nil if there is none.
func meModules(data unpack.Bytes, m *meManifest) []meModule {
	each := int64(meModuleNew)
	if m.tag == "$MAN" {
		each = meModuleOld
	}
	if m.modules < 1 || m.modules > maxMEModules {
		return nil
	}
	b, err := unpack.ReadFull(data, meTable, m.modules*each)
	if err != nil {
		return nil
	}
	var list []meModule
	for ; len(b) > 0; b = b[each:] {
		if string(b[:4]) != meModuleTag {
			return nil
		}
		if m.tag == "$MAN" {
			list = append(list, meModule{name: unpack.CString(b[0x1c:0x2c]), size: int64(le32(b[0x40:])), version: version4(b[0x14:])})
			continue
		}
		list = append(list, meModule{name: unpack.CString(b[4:20]), at: int64(le32(b[0x38:])), size: int64(le32(b[0x40:])), method: le32(b[0x50:]) >> 4 & 7, hash: b[0x14:0x34]})
	}
	if m.tag == "$MAN" {
		placeOld(data, list, meTable+m.modules*each)
	}
	return list
}

// placeOld finds the modules of the old form: they lie one behind the other,
// each with a header of its own.
func placeOld(data unpack.Bytes, list []meModule, at int64) {
	for i := range list {
		next := unpack.FindBytes(data, at, meFileTag)
		if next < 0 || unpack.CString(unpack.ReadSome(data, next+0x30, 16)) != list[i].name {
			continue
		}
		h, err := unpack.ReadFull(data, next, meFileHead)
		if err != nil {
			continue
		}
		list[i].at, list[i].size, list[i].version = next+meFileHead, int64(le32(h[0x18:])), version4(h[0xc:])
		if b := unpack.ReadSome(data, list[i].at, lzmaHeader+1); plausibleLZMA(b) && b[0] == 0x5d || len(b) > 0 && b[0] == 0x36 {
			list[i].method = meLZMA
		}
		at = list[i].at + list[i].size
	}
}

// meCode adds the modules of a code partition.
func meCode(in *unpack.Input, o *unpack.Object, m *meManifest, list []meModule) {
	o.Format = "intel me code partition"
	name := unpack.CString(unpack.ReadSome(in.Data, manifestMin, 12))
	o.Info["partition"] = name
	if name == "FTPR" || name == "MFTP" || name == "CODE" || strings.HasPrefix(name, "FTPR") || m.tag == "$MAN" {
		o.Info["product"] = "Intel ME"
	}
	g := unpack.NewGatherer(in)
	each := int64(meModuleNew)
	if m.tag == "$MAN" {
		each = meModuleOld
	}
	spans := []span{{0, meTable + each*m.modules}}
	huffman := false
	for _, mod := range list {
		huffman = huffman || mod.method == meHuffman
		spans = append(spans, meModuleEntry(in, g, mod))
		o.Size = max(o.Size, min(spans[len(spans)-1].to, in.Data.Size()))
	}
	if huffman {
		if s, ok := meHuffmanData(in.Data, list); ok {
			g.Add(unpack.Entry{Path: "huffman.packed", Mode: 0o644, Data: unpack.Window(in.Data, s.from, s.to-s.from), Order: s.from, Err: errHuffman})
			o.Size = max(o.Size, min(s.to, in.Data.Size()))
			spans = append(spans, s)
		}
	}
	if m.size > in.Data.Size() {
		g.Damage(&unpack.CutOff{Format: "intel me code partition", Missing: m.size - in.Data.Size(), Of: m.size})
	}
	g.Finish(o)
	o.Parts = append(o.Parts, leftovers(in.Data, spans, o.Size)...)
}

// meModuleEntry adds one module and returns where it lies.
func meModuleEntry(in *unpack.Input, g *unpack.Gatherer, mod meModule) span {
	name, _ := unpack.JoinName("", mod.name)
	e := unpack.Entry{Path: name, Mode: 0o644, Order: mod.at, Xattrs: map[string]string{"me.compression": unpack.NameOf([]string{"none", "huffman", "lzma"}, byte(mod.method))}}
	if mod.version != "" && mod.version != "0.0.0.0" {
		e.Xattrs["me.version"] = mod.version
	}
	if mod.method == meHuffman {
		e.Err = errHuffman
		g.Add(e)
		return span{}
	}
	if mod.at < meTable || mod.at > in.Data.Size() || mod.size > in.Data.Size()-mod.at {
		e.Err = errors.New("intel me: a module lies outside of its partition")
		g.Damage(fmt.Errorf("%w: %s", e.Err, mod.name))
		g.Add(e)
		return span{}
	}
	packed := unpack.Window(in.Data, mod.at, mod.size)
	e.Data, e.Err = meUnpack(in, packed, mod.method)
	if !meHashed(mod.hash, packed, e.Data) {
		g.Damage(fmt.Errorf("intel me: the module %s has a wrong digest", mod.name))
	}
	g.Add(e)
	return span{mod.at, mod.at + mod.size}
}

// meUnpack undoes a module's compression. Some LZMA modules have three zeros
// behind the first byte of the stream which are no part of it.
func meUnpack(in *unpack.Input, packed unpack.Bytes, method uint32) (unpack.Bytes, error) {
	switch method {
	case meStored:
		return packed, nil
	case meHuffman:
		return packed, errHuffman
	case meLZMA:
		out, err := unpackLZMA(in, packed, false)
		if err == nil {
			return out, nil
		}
		b, bad := unpack.ReadFull(packed, 0, min(packed.Size(), 64<<20))
		if bad == nil && len(b) > 17 && unpack.OnlyByte(b[14:17], 0) {
			if out, again := unpackLZMA(in, unpack.Slice(append(append([]byte(nil), b[:14]...), b[17:]...)), false); again == nil {
				return out, nil
			}
		}
		return packed, err
	}
	return packed, fmt.Errorf("%w: compression %d of a module", unpack.ErrUnsupported, method)
}

// meHashed compares a digest with what is stored or unpacked; it may be stored
// with its bytes reversed.
func meHashed(want []byte, stored ...unpack.Bytes) bool {
	if len(want) != sha256.Size || unpack.OnlyByte(want, 0) || unpack.OnlyByte(want, 0xff) {
		return true
	}
	var reversed [sha256.Size]byte
	for i, c := range want {
		reversed[len(want)-1-i] = c
	}
	for _, data := range stored {
		h := sha256.New()
		if data == nil || unpack.Chunks(data, 0, data.Size(), func(p []byte) { h.Write(p) }) != nil {
			continue
		}
		if sum := h.Sum(nil); string(sum) == string(want) || string(sum) == string(reversed[:]) {
			return true
		}
	}
	return false
}

// meHuffmanData is where the pages of all Huffman modules of a partition lie.
func meHuffmanData(data unpack.Bytes, list []meModule) (span, bool) {
	for _, mod := range list {
		h, err := unpack.ReadFull(data, mod.at, 0x34)
		if mod.method != meHuffman || err != nil || string(h[:4]) != meHuffTag {
			continue
		}
		size, from := int64(le32(h[0x10:])), int64(le32(h[0x14:]))
		if from < mod.at || size <= 0 || size > data.Size()-from {
			from, size = mod.at, min(mod.size, data.Size()-mod.at)
		}
		return span{mod.at, from + size}, true
	}
	return span{}, false
}
