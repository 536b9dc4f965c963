package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// DTB opens device tree blobs. The tree is given as its source text, so that
// boot arguments, consoles and debug ports in it are read as any other text;
// large binary values are parts of their own.
var DTB = &unpack.Reader{
	Name:    "dtb",
	Checked: "dtc",
	Doc:     "flattened device trees, versions 16 and 17, as source text; the partitions of flash chips in them",
	Magics:  []unpack.Magic{{At: 0, Bytes: fdtMagic}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		tree, err := ParseFDT(in.Data)
		if err != nil {
			return nil, err
		}
		o := &unpack.Object{Format: "device tree", Size: min(tree.total, in.Data.Size()), Err: tree.err, Info: map[string]string{}}
		chosen := tree.root.child("chosen")
		for k, v := range map[string]string{
			"model": tree.root.str("model"), "compatible": tree.root.str("compatible"),
			"bootargs": chosen.str("bootargs"), "stdout-path": chosen.str("stdout-path"),
		} {
			if v != "" {
				o.Info[k] = v
			}
		}
		if list := tree.root.partitions(nil); len(list) > 0 {
			var texts []string
			for _, t := range list[:min(len(list), 16)] {
				texts = append(texts, t.MTDParts())
			}
			o.Info["partitions"] = strings.Join(texts, ";")
		}
		o.Parts = append(o.Parts, tree.source())
		tree.root.bigValues("", func(path string, p *fdtProp) {
			o.Parts = append(o.Parts, unpack.Part{Name: path, Data: p.value, Offset: p.off})
		})
		return o, nil
	},
}

// bigValue is the size over which a value is no longer shown in the source
// text, unless it is text itself.
const bigValue = 4096

// bigValues calls f for the values that the source text leaves out.
func (n *FDTNode) bigValues(path string, f func(path string, p *fdtProp)) {
	for i := range n.props {
		if p := &n.props[i]; p.value.Size() > bigValue && !isStringList(p.bytes()) {
			f(path+p.name, p)
		}
	}
	for _, k := range n.kids {
		k.bigValues(path+k.name+"/", f)
	}
}

// source is the tree as device tree source, which dtc compiles back.
func (t *fdt) source() unpack.Part {
	var b bytes.Buffer
	b.WriteString("/dts-v1/;\n\n/ {\n")
	t.root.write(&b, "\t")
	b.WriteString("};\n")
	return unpack.Part{Name: "dts", Data: unpack.Slice(b.Bytes()), Offset: -1, Format: "device tree source"}
}

// maxSource bounds the text, which names and indents can make much longer than
// the blob.
const maxSource = 16 << 20

func (n *FDTNode) write(b *bytes.Buffer, indent string) {
	for i := range n.props {
		if b.Len() > maxSource {
			return
		}
		p := &n.props[i]
		b.WriteString(indent + p.name)
		switch v := p.bytes(); {
		case len(v) == 0:
		case isStringList(v):
			fmt.Fprintf(b, " = %s", stringList(v))
		case p.value.Size() > bigValue:
			fmt.Fprintf(b, "; /* %d bytes */\n", p.value.Size())
			continue
		case len(v)%4 == 0:
			b.WriteString(" = <")
			for i := 0; i < len(v); i += 4 {
				fmt.Fprintf(b, "%s0x%x", []string{"", " "}[min(i, 1)], binary.BigEndian.Uint32(v[i:]))
			}
			b.WriteByte('>')
		default:
			fmt.Fprintf(b, " = [% x]", v)
		}
		b.WriteString(";\n")
	}
	for _, k := range n.kids {
		if b.Len() > maxSource {
			return
		}
		fmt.Fprintf(b, "\n%s%s {\n", indent, k.name)
		k.write(b, indent+"\t")
		b.WriteString(indent + "};\n")
	}
}

// isStringList says that a value reads as one or more strings, each ended by
// NUL and not empty.
func isStringList(v []byte) bool {
	if len(v) < 2 || v[len(v)-1] != 0 || v[0] == 0 {
		return false
	}
	for i, c := range v {
		if c == 0 && v[max(i-1, 0)] == 0 {
			return false
		}
		if c != 0 && (c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f) {
			return false
		}
	}
	return true
}

var dtsEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`)

func stringList(v []byte) string {
	var list []string
	for s := range bytes.SplitSeq(v[:len(v)-1], []byte{0}) {
		list = append(list, `"`+dtsEscapes.Replace(string(s))+`"`)
	}
	return strings.Join(list, ", ")
}
