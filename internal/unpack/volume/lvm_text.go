package volume

import (
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// lvmNode is a section of LVM's text: values and sections by name, in order.
type lvmNode struct {
	order    []string
	values   map[string][]string
	children map[string]*lvmNode
}

func newLVMNode() *lvmNode {
	return &lvmNode{values: map[string][]string{}, children: map[string]*lvmNode{}}
}

// child is a section; nil if there is none, of which everything is empty.
func (n *lvmNode) child(name string) *lvmNode {
	if n == nil {
		return nil
	}
	return n.children[name]
}

// nodes are the sections in order.
func (n *lvmNode) nodes() iter.Seq2[string, *lvmNode] {
	return func(yield func(string, *lvmNode) bool) {
		if n == nil {
			return
		}
		for _, name := range n.order {
			if !yield(name, n.children[name]) {
				return
			}
		}
	}
}

func (n *lvmNode) list(key string) []string {
	if n == nil {
		return nil
	}
	return n.values[key]
}

func (n *lvmNode) text(key string) string {
	if l := n.list(key); len(l) > 0 {
		return l[0]
	}
	return ""
}

// number is a whole number; -1 if it is none.
func (n *lvmNode) number(key string) int64 {
	v, err := strconv.ParseInt(n.text(key), 10, 50)
	if err != nil {
		return -1
	}
	return v
}

var errLVMText = errors.New("damaged text of metadata")

const lvmMaxDepth = 16

// parseLVM reads the text of a volume group: its name and its section.
func parseLVM(text []byte) (string, *lvmNode, error) {
	p := lvmParser{rest: strings.TrimRight(string(text), "\x00\n")}
	top, err := p.section(0)
	if err != nil {
		return "", nil, err
	}
	for name, n := range top.nodes() {
		return name, n, nil
	}
	return "", nil, errLVMText
}

type lvmParser struct{ rest string }

// token is a word, a quoted text (with its first quote), or a sign.
func (p *lvmParser) token() (string, error) {
	for {
		p.rest = strings.TrimLeft(p.rest, " \t\r\n,")
		if !strings.HasPrefix(p.rest, "#") {
			break
		}
		_, p.rest, _ = strings.Cut(p.rest, "\n")
	}
	switch {
	case p.rest == "":
		return "", nil
	case strings.ContainsRune("{}[]=", rune(p.rest[0])):
		t := p.rest[:1]
		p.rest = p.rest[1:]
		return t, nil
	case p.rest[0] == '"':
		var b strings.Builder
		for i := 1; i < len(p.rest); i++ {
			switch c := p.rest[i]; {
			case c == '\\' && i+1 < len(p.rest):
				i++
				b.WriteByte(p.rest[i])
			case c == '"':
				p.rest = p.rest[i+1:]
				return `"` + b.String(), nil
			default:
				b.WriteByte(c)
			}
		}
		return "", errLVMText
	}
	n := strings.IndexAny(p.rest, " \t\r\n,{}[]=#\"")
	if n < 0 {
		n = len(p.rest)
	}
	t := p.rest[:n]
	p.rest = p.rest[n:]
	return t, nil
}

// section reads up to a closing brace, or the end.
func (p *lvmParser) section(depth int) (*lvmNode, error) {
	n := newLVMNode()
	if depth > lvmMaxDepth {
		return nil, errLVMText
	}
	for {
		name, err := p.token()
		switch {
		case err != nil:
			return nil, err
		case name == "" && depth == 0, name == "}" && depth > 0:
			return n, nil
		case name == "" || strings.Contains(`{}[]="`, name[:1]):
			return nil, errLVMText
		}
		sign, err := p.token()
		switch {
		case err != nil:
			return nil, err
		case sign == "{":
			c, err := p.section(depth + 1)
			if err != nil {
				return nil, err
			}
			if n.children[name] != nil {
				return nil, errLVMText
			}
			n.children[name] = c
			n.order = append(n.order, name)
		case sign == "=":
			if n.values[name], err = p.value(); err != nil {
				return nil, err
			}
		default:
			return nil, errLVMText
		}
	}
}

// value is one word or text, or a list of them.
func (p *lvmParser) value() ([]string, error) {
	t, err := p.token()
	if err != nil || t == "" || slices.Contains([]string{"{", "}", "]", "="}, t) {
		return nil, errLVMText
	}
	if t != "[" {
		return []string{strings.TrimPrefix(t, `"`)}, nil
	}
	var list []string
	for {
		switch t, err = p.token(); {
		case err != nil || t == "" || t == "{" || t == "}" || t == "[" || t == "=":
			return nil, errLVMText
		case t == "]":
			return list, nil
		}
		list = append(list, strings.TrimPrefix(t, `"`))
	}
}
