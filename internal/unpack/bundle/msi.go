package bundle

import (
	"encoding/binary"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// msiShown are the properties of an installer package that a report shows, with
// the words for them.
var msiShown = map[string]string{"ProductName": "name", "ProductVersion": "version", "Manufacturer": "vendor", "ProductCode": "product code", "UpgradeCode": "upgrade code"}

const msiMaxTable = 16 << 20

// msiProperties reads the Property table of an installer package: two columns,
// one behind the other, of numbers in the pool of strings.
func msiProperties(entries []unpack.Entry) map[string]string {
	tables := map[string][]byte{}
	for _, e := range entries {
		switch e.Path {
		case "!_StringPool", "!_StringData", "!Property":
			if e.Data != nil && e.Err == nil {
				tables[e.Path], _ = unpack.ReadAll(e.Data, msiMaxTable)
			}
		}
	}
	text, width := msiStrings(tables["!_StringPool"], tables["!_StringData"])
	rows := tables["!Property"]
	info := map[string]string{}
	if width == 0 {
		return nil
	}
	n := len(rows) / (2 * width)
	number := func(b []byte) int {
		v := 0
		for i := range width {
			v |= int(b[i]) << (8 * i)
		}
		return v
	}
	for i := range n {
		k, v := number(rows[i*width:]), number(rows[(n+i)*width:])
		if k < len(text) && v < len(text) && msiShown[text[k]] != "" {
			info[msiShown[text[k]]] = strings.ToValidUTF8(text[v], "?")
		}
	}
	return info
}

// msiStrings reads the pool: a head with the code page, then length and number
// of uses of each string; a string over 64 KiB has its length's upper half in
// an entry of its own before. width is how many bytes a number takes in tables.
func msiStrings(pool, data []byte) (text []string, width int) {
	le := binary.LittleEndian
	if len(pool) < 4 {
		return nil, 0
	}
	width = 2
	if le.Uint32(pool)&0x80000000 != 0 {
		width = 3
	}
	text = []string{""}
	for pool = pool[4:]; len(pool) >= 4; pool = pool[4:] {
		size, uses := int(le.Uint16(pool)), le.Uint16(pool[2:])
		if size == 0 && uses != 0 {
			if len(pool) < 8 {
				break
			}
			size = int(uses)<<16 | int(le.Uint16(pool[4:]))
			pool = pool[4:]
		}
		if size > len(data) {
			break
		}
		text = append(text, string(data[:size]))
		data = data[size:]
	}
	return text, width
}
