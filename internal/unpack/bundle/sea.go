package bundle

import (
	"encoding/binary"

	"github.com/doorward/doorward/internal/unpack"
)

// NodeSEA opens the blob of a Node single executable application (node's
// src/node_sea.cc, SeaSerializer).
var NodeSEA = &unpack.Reader{
	Name:    "node-sea",
	Doc:     "blobs of Node single executable applications: the main script and the assets.",
	Limits:  "A start-up snapshot and V8's code cache are named, not read.",
	Checked: "blobs of node, with and without assets and code cache",
	Magics:  []unpack.Magic{{At: 0, Bytes: "\x20\xda\x43\x01"}},
	Open:    openNodeSEA,
}

// Flags of a blob.
const (
	seaSnapshot  = 1 << 1
	seaCodeCache = 1 << 2
	seaAssets    = 1 << 3
	seaArguments = 1 << 4
	seaKnown     = 1<<5 - 1
)

func openNodeSEA(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 8)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	flags := binary.LittleEndian.Uint32(h[4:])
	if flags&^seaKnown != 0 {
		return nil, unpack.ErrNotThis
	}
	// Later versions have a byte on arguments, and the code's path, before the
	// code: the layout that fits is the right one.
	for _, v := range []seaLayout{{0, true}, {1, true}, {0, false}} {
		if o := v.read(in, flags); o != nil {
			return o, nil
		}
	}
	return nil, unpack.ErrNotThis
}

type seaLayout struct {
	skip int64
	path bool
}

// seaString is a length of 8 bytes and as many bytes.
type seaCursor struct {
	data unpack.Bytes
	at   int64
	bad  bool
}

func (c *seaCursor) number() int64 {
	b, err := unpack.ReadFull(c.data, c.at, 8)
	if err != nil || c.bad {
		c.bad = true
		return 0
	}
	c.at += 8
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(c.data.Size()) {
		c.bad = true
		return 0
	}
	return int64(n)
}

func (c *seaCursor) string() (off, n int64) {
	n = c.number()
	off = c.at
	if n > c.data.Size()-c.at {
		c.bad = true
	}
	c.at += n
	return off, n
}

// read reads the blob in a layout; nil if it does not fit.
func (v seaLayout) read(in *unpack.Input, flags uint32) *unpack.Object {
	c := &seaCursor{data: in.Data, at: 8 + v.skip}
	g := unpack.NewGatherer(in)
	info := map[string]string{}
	if v.path {
		off, n := c.string()
		if c.bad || n > 4096 {
			return nil
		}
		info["code"] = string(unpack.ReadSome(in.Data, off, n))
	}
	off, n := c.string()
	if c.bad || n == 0 {
		return nil
	}
	name := "main.js"
	if flags&seaSnapshot != 0 {
		name = "snapshot.blob"
	}
	g.Add(unpack.Entry{Path: name, Mode: 0o644, Data: unpack.Window(in.Data, off, n), Order: off})
	if flags&seaCodeCache != 0 {
		c.string()
		info["code cache"] = "V8"
	}
	if flags&seaAssets != 0 {
		for range c.number() {
			off, n := c.string()
			key := string(unpack.ReadSome(in.Data, off, min(n, 4096)))
			if off, n = c.string(); c.bad || g.Stop() {
				break
			}
			g.Add(unpack.Entry{Path: "assets/" + key, Mode: 0o644, Data: unpack.Window(in.Data, off, n), Order: off})
		}
	}
	if flags&seaArguments != 0 {
		for range c.number() {
			off, n := c.string()
			if c.bad || len(info["arguments"]) > 4096 {
				break
			}
			info["arguments"] += string(unpack.ReadSome(in.Data, off, min(n, 4096))) + " "
		}
	}
	if c.bad || in.Whole && !unpack.OnlyPadding(in.Data, c.at) {
		return nil
	}
	o := &unpack.Object{Format: "node-sea", Size: c.at, Info: info}
	g.Finish(o)
	return o
}
