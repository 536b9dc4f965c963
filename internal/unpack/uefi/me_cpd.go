package uefi

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// MEDirectory opens code partition directories of Intel's engine 11 and later
// (CSME, TXE 3, SPS 4), and of audio and sensor firmware, as coreboot's cbfstool
// (ifwitool) and Sound Open Firmware's rimage write them.
var MEDirectory = &unpack.Reader{
	Name:    "intel-cpd",
	Doc:     "code partition directories ($CPD 1 and 2) of Intel's CSME, of its audio and other firmware: manifest with version, metadata, modules, those packed by LZMA unpacked",
	Limits:  "Modules packed by Huffman need dictionaries that Intel has not published; signatures are not checked.",
	Checked: "an independent writer; UEFIExtract's list of modules",
	Magics:  []unpack.Magic{{At: 0, Bytes: cpdMagic}},
	Carve:   true,
	Open:    openCPD,
}

const (
	cpdMagic    = "$CPD"
	cpdEntry    = 24
	cpdMax      = 256
	cpdHuffman  = 1 << 25
	cpdOffset   = 1<<25 - 1
	extModule   = 0x0a // attributes of a module
	extPackage  = 0x0f // digests of the metadata
	maxMetadata = 1 << 20
)

// cpdModule is an entry of a directory.
type cpdModule struct {
	name     string
	at, size int64
	huffman  bool
}

// cpd is a directory.
type cpd struct {
	name    string
	version byte
	head    int64
	sound   bool
	list    []cpdModule
}

func parseCPD(data unpack.Bytes) (*cpd, bool) {
	h, err := unpack.ReadFull(data, 0, 20)
	if err != nil || string(h[:4]) != cpdMagic {
		return nil, false
	}
	n := int64(le32(h[4:]))
	d := &cpd{version: h[8], head: int64(h[10]), name: strings.TrimRight(unpack.CString(h[12:16]), " ")}
	if n < 1 || n > cpdMax || h[9] != 1 || !printable(h[12:16]) || !(d.version == 1 && d.head == 16 || d.version == 2 && d.head == 20) {
		return nil, false
	}
	b, err := unpack.ReadFull(data, 0, d.head+n*cpdEntry)
	if err != nil {
		return nil, false
	}
	if d.sound = sum8(b) == 0; d.version == 2 {
		c := append([]byte(nil), b...)
		clear(c[16:20])
		d.sound = crc32.ChecksumIEEE(c) == le32(b[16:])
	}
	for e := b[d.head:]; len(e) > 0; e = e[cpdEntry:] {
		if !printable(e[:12]) {
			return nil, false
		}
		d.list = append(d.list, cpdModule{unpack.CString(e[:12]), int64(le32(e[12:]) & cpdOffset), int64(le32(e[16:])), le32(e[12:])&cpdHuffman != 0})
	}
	return d, true
}

func openCPD(in *unpack.Input) (*unpack.Object, error) {
	d, ok := parseCPD(in.Data)
	if !ok {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("intel code partition %d", d.version), Info: map[string]string{"partition": d.name}}
	g := unpack.NewGatherer(in)
	if !d.sound {
		g.Damage(errors.New("intel code partition: the directory has a wrong checksum"))
	}
	o.Size = d.head + int64(len(d.list))*cpdEntry
	c := &cpdWalk{d, in, g, o, []span{{0, o.Size}}, map[string]cpdAttributes{}, map[string][]byte{}}
	c.manifest()
	for _, m := range d.list {
		c.module(m)
	}
	g.Finish(o)
	o.Parts = leftovers(in.Data, c.spans, o.Size)
	return o, nil
}

type cpdWalk struct {
	*cpd
	in     *unpack.Input
	g      *unpack.Gatherer
	o      *unpack.Object
	spans  []span
	attrs  map[string]cpdAttributes // of the modules, by name
	digest map[string][]byte        // of the metadata, by module
}

// cpdAttributes are what the metadata says of a module.
type cpdAttributes struct {
	method           byte
	encrypted        bool
	packed, unpacked int64
	hash             []byte
}

// manifest reads versions and digests before the modules are looked at.
func (c *cpdWalk) manifest() {
	for _, m := range c.list {
		data := unpack.Window(c.in.Data, m.at, m.size)
		switch {
		case strings.HasSuffix(m.name, ".man"):
			man, ok := parseManifest(data, 0)
			if !ok {
				c.g.Damage(errors.New("intel code partition: the manifest is damaged"))
				continue
			}
			man.info(c.o.Info)
			if c.name == "FTPR" || c.name == "FTPB" || c.name == "RBEP" {
				c.o.Info["product"] = "Intel CSME"
			}
			c.extensions(unpack.ReadSome(data, man.head, maxMetadata), "")
		case strings.HasSuffix(m.name, ".met"):
			c.extensions(unpack.ReadSome(data, 0, maxMetadata), strings.TrimSuffix(m.name, ".met"))
		}
	}
}

// extensions reads the two extensions that tell how modules are stored.
func (c *cpdWalk) extensions(b []byte, module string) {
	for len(b) >= 8 {
		tag, size := le32(b), int64(le32(b[4:]))
		if size < 8 || size > int64(len(b)) {
			return
		}
		switch e := b[:size]; {
		case tag == extModule && module != "" && size >= 0x38:
			c.attrs[module] = cpdAttributes{e[8], e[9]&1 != 0, int64(le32(e[0x10:])), int64(le32(e[0x0c:])), e[0x18:]}
		case tag == extPackage && size > 0x34:
			for e = e[0x34:]; len(e) >= 20; {
				n := int(le16(e[14:]))
				if 20+n > len(e) {
					break
				}
				c.digest[strings.TrimSuffix(unpack.CString(e[:12]), ".met")] = e[20 : 20+n]
				e = e[20+n:]
			}
		}
		b = b[size:]
	}
}

// module adds one entry.
func (c *cpdWalk) module(m cpdModule) {
	name, _ := unpack.JoinName("", m.name)
	e := unpack.Entry{Path: name, Mode: 0o644, Order: m.at, Xattrs: map[string]string{}}
	a, known := c.attrs[m.name]
	method, stored := uint32(meStored), m.size
	switch {
	case known:
		if method = uint32(a.method); method != meStored && a.packed > 0 {
			stored = a.packed
		}
	case m.huffman:
		method, stored = meHuffman, c.next(m.at)-m.at // the entry's size is the unpacked one
	}
	if m.at > c.in.Data.Size() || stored > c.in.Data.Size()-m.at || m.at < c.spans[0].to {
		e.Err = fmt.Errorf("intel code partition: %s lies outside, at 0x%x to 0x%x", m.name, m.at, m.at+stored)
		c.g.Damage(e.Err)
		c.g.Add(e)
		return
	}
	c.spans = append(c.spans, span{m.at, m.at + stored})
	c.o.Size = max(c.o.Size, m.at+stored)
	packed := unpack.Window(c.in.Data, m.at, stored)
	if e.Data = packed; a.encrypted {
		e.Err = fmt.Errorf("%w: a module of the management engine", unpack.ErrEncrypted)
	} else {
		e.Data, e.Err = meUnpack(c.in, packed, method)
	}
	c.check(&e, m, a, packed, method)
	c.g.Add(e)
}

// check compares sizes and digests.
func (c *cpdWalk) check(e *unpack.Entry, m cpdModule, a cpdAttributes, packed unpack.Bytes, method uint32) {
	if method != meStored {
		e.Xattrs["me.compression"] = unpack.NameOf([]string{"", "huffman", "lzma"}, byte(method))
	}
	if method == meLZMA && e.Err == nil && a.unpacked > 0 && e.Data.Size() != a.unpacked {
		c.g.Damage(fmt.Errorf("intel code partition: %s: %w", m.name, errSize))
	}
	want := a.hash
	if method == meHuffman || a.encrypted {
		return // the digest is that of what can't be read
	}
	if module, ok := strings.CutSuffix(m.name, ".met"); ok {
		want = c.digest[module]
	}
	if len(want) > sha256.Size {
		return // SHA-384 of the newest
	}
	if !meHashed(want, packed, e.Data) {
		c.g.Damage(fmt.Errorf("intel code partition: %s has a wrong digest", m.name))
	}
}

// next is where the entry behind an offset starts.
func (c *cpdWalk) next(at int64) int64 {
	end := c.in.Data.Size()
	for _, m := range c.list {
		if m.at > at {
			end = min(end, m.at)
		}
	}
	return max(end, at)
}
