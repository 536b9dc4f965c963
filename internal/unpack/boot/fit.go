package boot

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"sort"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// FIT opens U-Boot's flattened image trees: images with their hashes, inside
// the tree or behind it, and configurations of them.
var FIT = &unpack.Reader{
	Name:    "fit",
	Checked: "mkimage, with data inside and outside",
	Doc:     "U-Boot FIT images, with embedded and external data, hashes verified; with --key those that are encrypted with AES in CBC mode",
	Magics:  []unpack.Magic{{At: 0, Bytes: fdtMagic}},
	Carve:   true,
	Open:    openFIT,
}

func openFIT(in *unpack.Input) (*unpack.Object, error) {
	tree, err := ParseFDT(in.Data)
	if err != nil {
		return nil, err
	}
	images := tree.root.child("images")
	if images == nil || len(images.kids) == 0 {
		return nil, unpack.ErrNotThis
	}
	f := &fit{in: in, data: in.Data, base: (tree.total + 3) &^ 3}
	f.object = &unpack.Object{Format: "fit", Size: min(tree.total, in.Data.Size()), Info: fitInfo(tree.root), Err: tree.err}
	for _, n := range images.kids {
		f.image(n)
	}
	if len(f.object.Parts) == 0 {
		return nil, unpack.ErrNotThis
	}
	f.object.Parts = append(f.object.Parts, tree.source())
	return f.object, nil
}

// fit is an image tree while it is opened.
type fit struct {
	in     *unpack.Input
	data   unpack.Bytes
	base   int64 // what data-offset counts from
	object *unpack.Object
}

func (f *fit) fail(err error) { f.object.Err = errors.Join(f.object.Err, err) }

// image adds the part of one image node.
func (f *fit) image(n *FDTNode) {
	p := unpack.Part{Name: n.name, Format: n.str("type"), Info: imageInfo(n)}
	if v := n.prop("data"); v != nil {
		p.Data, p.Offset = v.value, v.off
	} else {
		off, inside := n.num("data-position")
		if !inside {
			if off, inside = n.num("data-offset"); inside {
				off += f.base
			}
		}
		size, sized := n.num("data-size")
		if !inside || !sized || off < 0 {
			return
		}
		if off > f.data.Size() || size > f.data.Size()-off {
			f.fail(fmt.Errorf("the data of image %s (0x%x, %d bytes) lie beyond the end", n.name, off, size))
		}
		p.Data, p.Offset = unpack.Window(f.data, off, size), off
		f.object.Size = max(f.object.Size, min(off+p.Data.Size(), f.data.Size()))
	}
	if c := p.Info["compression"]; (p.Format == "firmware" || p.Format == "standalone") && p.Info["arch"] != "" && (c == "" || c == "none") && p.Info["cipher"] == "" {
		p.Format = unpack.CodePart
	}
	f.verify(n, &p)
	if c := n.child("cipher"); c != nil && p.Data != nil {
		f.decipher(n, c, &p)
	}
	f.object.Parts = append(f.object.Parts, p)
}

// verify compares the hashes of an image with its data.
func (f *fit) verify(n *FDTNode, p *unpack.Part) {
	for _, k := range n.kids {
		algo := k.str("algo")
		switch {
		case strings.HasPrefix(k.name, "signature"):
			p.Info[k.name] = signature(k)
			continue
		case !strings.HasPrefix(k.name, "hash") || k.prop("value") == nil:
			continue
		}
		sum, err := sumOf(algo, p.Data)
		switch {
		case err != nil:
			p.Info[k.name] = algo + " not checked: " + err.Error()
		case bytes.Equal(sum, k.prop("value").bytes()):
			p.Info[k.name] = algo + " verified"
		default:
			p.Info[k.name] = algo + " wrong"
			f.fail(fmt.Errorf("the %s of image %s is %x, the tree states %x", algo, n.name, sum, k.prop("value").bytes()))
		}
	}
}

func sumOf(algo string, data unpack.Bytes) ([]byte, error) {
	makers := map[string]func() hash.Hash{
		"crc32": func() hash.Hash { return crc32.NewIEEE() },
		"md5":   md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
	if makers[algo] == nil {
		return nil, fmt.Errorf("hash %q: %w", algo, unpack.ErrUnsupported)
	}
	h := makers[algo]()
	err := unpack.Chunks(data, 0, data.Size(), func(p []byte) { h.Write(p) })
	return h.Sum(nil), err
}

// signature says how something is signed, and with which key.
func signature(n *FDTNode) string {
	s := n.str("algo")
	if key := n.str("key-name-hint"); key != "" {
		s += " key " + key
	}
	if n.prop("value") == nil {
		s += " (empty)"
	}
	return s
}

func imageInfo(n *FDTNode) map[string]string {
	info := map[string]string{}
	for _, k := range []string{"description", "type", "arch", "os", "compression"} {
		if v := n.str(k); v != "" {
			info[k] = v
		}
	}
	for _, k := range []string{"load", "entry"} {
		if v, ok := n.num(k); ok {
			info[k+" address"] = fmt.Sprintf("0x%08x", v)
		}
	}
	if c := n.child("cipher"); c != nil {
		info["cipher"] = strings.TrimSpace(c.str("algo") + " key " + c.str("key-name-hint"))
	}
	return info
}

// fitInfo is the description and the configurations.
func fitInfo(root *FDTNode) map[string]string {
	info := map[string]string{}
	if v := root.str("description"); v != "" {
		info["description"] = v
	}
	confs := root.child("configurations")
	if confs == nil {
		return info
	}
	if v := confs.str("default"); v != "" {
		info["default configuration"] = v
	}
	for _, c := range confs.kids {
		var list []string
		for i := range c.props {
			if p := c.props[i].name; p != "description" {
				list = append(list, p+"="+c.str(p))
			}
		}
		sort.Strings(list)
		for _, k := range c.kids {
			if strings.HasPrefix(k.name, "signature") {
				list = append(list, "signature="+signature(k))
			}
		}
		info["configuration "+c.name] = strings.Join(list, " ")
	}
	return info
}
