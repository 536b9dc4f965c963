package unpack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"unicode/utf8"
)

// class is what classification says of bytes.
type Class struct {
	Type    Type
	Entropy float64
	Note    string
}

// sampled is how much of large content is looked at: the head, and pieces
// spread over the rest.
const sampled = 256 << 10

// scratch is room for bytes that are looked at once.
var scratch = sync.Pool{New: func() any { return new([sampled]byte) }}

func classifyBytes(data Bytes) Class {
	size := data.Size()
	if size <= sampled {
		return Classify(ReadSome(data, 0, size))
	}
	room := scratch.Get().(*[sampled]byte)
	defer scratch.Put(room)
	b := room[:0]
	const pieces = 16
	for i := range int64(pieces) {
		n, _ := data.ReadAt(room[len(b):len(b)+sampled/pieces], i*(size-sampled/pieces)/(pieces-1))
		b = b[:len(b)+n]
	}
	c := Classify(b)
	if c.Type == TypePadding && !OnlyPadding(data, 0) {
		c.Type = TypeData
	}
	return c
}

// denseEntropy is the entropy, in bits per byte, from which bytes look packed or
// encrypted.
const denseEntropy = 7.2

// classify says what a piece of bytes is.
func Classify(b []byte) Class {
	if t := ClassifyHead(b); t != TypeData {
		return Class{Type: t}
	}
	c := Class{Type: TypeData}
	var counts [256]int
	for _, v := range b {
		counts[v]++
	}
	if len(b) > 0 && counts[b[0]] == len(b) {
		c.Type = TypePadding
		return c
	}
	c.Entropy = entropy(&counts, len(b))
	if c.Entropy > denseEntropy && len(b) >= 256 {
		c.Type, c.Note = dense(&counts, len(b), c.Entropy)
		return c
	}
	if arch := codeArch(b); arch != "" {
		c.Type, c.Note = TypeCode, "machine code, "+arch
	}
	return c
}

// IsDense says that bytes look packed or encrypted, without a look at what else
// they may be.
func IsDense(b []byte) bool {
	var counts [256]int
	for _, v := range b {
		counts[v]++
	}
	return len(b) >= 256 && entropy(&counts, len(b)) > denseEntropy && ClassifyHead(b) == TypeData
}

// entropy is Shannon's, in bits per byte, rounded to what reports show.
func entropy(counts *[256]int, n int) float64 {
	e := 0.0
	for _, c := range counts {
		if c > 0 {
			p := float64(c) / float64(n)
			e -= p * math.Log2(p)
		}
	}
	return math.Round(e*100) / 100
}

// dense tells encrypted from compressed bytes by a chi-square test against the
// uniform distribution (255 degrees of freedom, mean 255, deviation 22.6):
// cipher text passes it, packed data has a bias that grows with its length.
// Short pieces and the output of range coders (LZMA) may pass, too: the note
// says so.
func dense(counts *[256]int, n int, e float64) (Type, string) {
	expected := float64(n) / 256
	chi := 0.0
	for _, c := range counts {
		d := float64(c) - expected
		chi += d * d / expected
	}
	if n >= 64<<10 && chi < 330 {
		return TypeEncrypted, fmt.Sprintf("uniform bytes (chi-square %.0f), entropy %.2f bits per byte: encrypted, or packed very well", chi, e)
	}
	return TypeCompressed, fmt.Sprintf("entropy %.2f bits per byte", e)
}

var mediaMagics = []Magic{
	{0, "\x89PNG\r\n\x1a\n"}, {0, "\xff\xd8\xff"}, {0, "GIF8"}, {0, "OggS"}, {0, "ID3"}, {0, "wOFF"}, {0, "wOF2"},
	{8, "WEBP"}, {8, "WAVE"}, {8, "AVI "}, {4, "ftyp"}, {0, "\x00\x00\x01\x00\x01\x00"},
	{0, "OTTO"}, {0, "%PDF-"}, {0, "fLaC"}, {0, "CWS"}, {0, "FWS"}, {0, "TZif"}, {0, "\xde\x12\x04\x95"},
}

// classifyHead knows what the first bytes alone tell.
func ClassifyHead(b []byte) Type {
	switch {
	case bytes.HasPrefix(b, []byte("\x7fELF")):
		return TypeELF
	case bytes.HasPrefix(b, []byte("MZ")) && len(b) > 64 && peOffset(b):
		return TypePE
	case bytes.HasPrefix(b, []byte("\xcf\xfa\xed\xfe")), bytes.HasPrefix(b, []byte("\xce\xfa\xed\xfe")):
		return TypeMachO
	case bytes.HasPrefix(b, []byte("#!")):
		return TypeScript
	}
	if len(b) == 0 || IsText(b) {
		return TypeText
	}
	if isKeyring(b) {
		return TypeMedia
	}
	for _, m := range mediaMagics {
		if end := int(m.At) + len(m.Bytes); len(b) >= max(end, 16) && string(b[m.At:end]) == m.Bytes {
			return TypeMedia
		}
	}
	return TypeData
}

// isKeyring knows a transferable OpenPGP public key (RFC 4880, sections 4.2 and
// 5.5.2): a packet of tag 6 with a two-byte length, version 4.
func isKeyring(b []byte) bool {
	return len(b) > 10 && (b[0] == 0x99 && b[3] == 4 || b[0] == 0x98 && b[2] == 4 || b[0] == 0xc6 && (b[2] == 4 || b[3] == 4))
}

func peOffset(b []byte) bool {
	off := int(b[60]) | int(b[61])<<8
	return off+4 > len(b) || string(b[off:off+4]) == "PE\x00\x00"
}

// isText says that bytes read as text: hardly any control characters but white
// space and escape (info files have a few), hardly any bytes over 127 unless
// they are UTF-8. A NUL is in no text: those are tables of strings.
func IsText(b []byte) bool {
	high, control := 0, 0
	for _, c := range b {
		switch {
		case c == 0:
			return false
		case c >= 0x80:
			high++
		case c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b && c != '\b':
			control++
		case c == 0x7f:
			control++
		}
	}
	if control*200 > len(b) || control > 0 && len(b) < 64 {
		return false
	}
	if high == 0 {
		return true
	}
	// The cut may have split the last character.
	for i := 0; i < utf8.UTFMax && len(b) > 0; i++ {
		if utf8.Valid(b[:len(b)-i]) {
			return true
		}
		if i == len(b) {
			break
		}
	}
	return high*4 < len(b)
}

// OnlyPadding says that from off on there is nothing but one repeated byte, 0
// or 0xff mixed: what flash tools fill with.
func OnlyPadding(data Bytes, off int64) bool {
	if s, ok := data.(Slice); ok && off >= 0 {
		return IsPadding(s[min(off, s.Size()):])
	}
	room := scratch.Get().(*[sampled]byte)
	defer scratch.Put(room)
	step := int64(4096) // most ends here
	for from, to := range Stretches(data, off, data.Size(), 0) {
		for off = from; off < to; step = sampled {
			n, err := data.ReadAt(room[:min(step, to-off)], off)
			if n == 0 || (err != nil && off+int64(n) < data.Size()) {
				return false
			}
			if !IsPadding(room[:n]) {
				return false
			}
			off += int64(n)
		}
	}
	return true
}

// IsPadding says that bytes are 0 and 0xff only.
func IsPadding(b []byte) bool {
	for len(b) >= 8 {
		if w := binary.NativeEndian.Uint64(b); w != 0 && w != ^uint64(0) {
			break
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 && c != 0xff {
			return false
		}
	}
	return true
}
