package declare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// value is a JSON value that knows where it stands, so that errors can say so.
type value struct {
	start   int // byte offset of its first byte
	str     *string
	scalar  any // number (json.Number), bool
	members []member
	items   []*value
	pointer string // JSON pointer (RFC 6901)
}

type member struct {
	key   string
	value *value
}

type syntaxError struct {
	offset int
	err    error
}

func (e *syntaxError) Error() string { return e.err.Error() }
func (e *syntaxError) Unwrap() error { return e.err }

// maxNesting is how deep a document may be nested.
const maxNesting = 500

// parseJSON parses a whole document. A key that occurs twice keeps both values:
// get returns the last, as most readers do.
func parseJSON(text []byte) (*value, error) {
	p := &parser{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	p.dec.UseNumber()
	if err := p.next(); err != nil {
		return nil, err
	}
	root, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, &syntaxError{int(p.dec.InputOffset()), errors.New("something stands after the end of the document")}
	}
	return root, nil
}

type parser struct {
	text  []byte
	dec   *json.Decoder
	tok   json.Token
	start int
}

// next reads a token and notes where it starts.
func (p *parser) next() error {
	start := int(p.dec.InputOffset())
	for start < len(p.text) && strings.IndexByte(" \t\r\n,:", p.text[start]) >= 0 {
		start++
	}
	tok, err := p.dec.Token()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return &syntaxError{start, err}
	}
	p.tok, p.start = tok, start
	return nil
}

// value makes a value of the token that was read.
func (p *parser) value(pointer string, depth int) (*value, error) {
	v := &value{start: p.start, pointer: pointer}
	if depth > maxNesting {
		return nil, &syntaxError{p.start, fmt.Errorf("nested more than %d deep", maxNesting)}
	}
	switch t := p.tok.(type) {
	case string:
		v.str = &t
	case json.Delim:
		if t == '{' {
			return v, p.object(v, depth)
		}
		return v, p.array(v, depth)
	default:
		v.scalar = t
	}
	return v, nil
}

func (p *parser) object(v *value, depth int) error {
	v.members = []member{}
	for {
		if err := p.next(); err != nil {
			return err
		}
		if p.tok == json.Delim('}') {
			return nil
		}
		key, _ := p.tok.(string)
		if err := p.next(); err != nil {
			return err
		}
		escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		child, err := p.value(v.pointer+"/"+escaped, depth+1)
		if err != nil {
			return err
		}
		v.members = append(v.members, member{key, child})
	}
}

func (p *parser) array(v *value, depth int) error {
	v.items = []*value{}
	for {
		if err := p.next(); err != nil {
			return err
		}
		if p.tok == json.Delim(']') {
			return nil
		}
		child, err := p.value(v.pointer+"/"+strconv.Itoa(len(v.items)), depth+1)
		if err != nil {
			return err
		}
		v.items = append(v.items, child)
	}
}

// get returns the member of an object, or nil; nil values give nil.
func (v *value) get(keys ...string) *value {
	for _, key := range keys {
		if v == nil {
			return nil
		}
		var found *value
		for i := range v.members {
			if v.members[i].key == key {
				found = v.members[i].value
			}
		}
		v = found
	}
	return v
}

// text returns a string's value, "" for anything else.
func (v *value) text() string {
	if v == nil || v.str == nil {
		return ""
	}
	return *v.str
}

// number returns an integer's value; ok is false for anything else.
func (v *value) number() (n int64, ok bool) {
	if v == nil {
		return 0, false
	}
	num, isNum := v.scalar.(json.Number)
	if !isNum {
		return 0, false
	}
	n, err := num.Int64()
	return n, err == nil
}

// list returns the items of an array, nil for anything else.
func (v *value) list() []*value {
	if v == nil {
		return nil
	}
	return v.items
}

// at returns the offset in the document of byte i of a string's value.
func (v *value) at(doc []byte, i int) int {
	pos := v.start + 1
	for n := 0; n < i && pos < len(doc) && doc[pos] != '"'; {
		if doc[pos] != '\\' {
			n, pos = n+1, pos+1
			continue
		}
		size := 2
		if pos+1 < len(doc) && doc[pos+1] == 'u' {
			size = 6
		}
		end := min(pos+size, len(doc))
		// A pair of surrogates is one character.
		if size == 6 && end+6 <= len(doc) && isSurrogate(doc[pos:end]) && doc[end] == '\\' && doc[end+1] == 'u' {
			end += 6
		}
		var s string
		if json.Unmarshal([]byte(`"`+string(doc[pos:end])+`"`), &s) != nil {
			return pos
		}
		n, pos = n+len(s), end
	}
	return pos
}

func isSurrogate(escape []byte) bool {
	n, err := strconv.ParseUint(string(escape[2:]), 16, 32)
	return err == nil && n >= 0xd800 && n < 0xdc00
}
