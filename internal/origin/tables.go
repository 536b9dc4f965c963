package origin

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The tables begin with a line that names source, version and date; Command
// generate has their form.
var (
	//go:embed data/oui.zst
	ouiTable []byte
	//go:embed data/ip4.zst
	ip4Table []byte
)

// Source is where a shipped table is from.
type Source struct{ Name, Version, Date string }

// Sources lists the shipped tables.
func Sources() []Source { return []Source{sourceOf(ouiTable), sourceOf(ip4Table)} }

func sourceOf(table []byte) Source {
	line, _, _ := bytes.Cut(table, []byte{'\n'})
	f := strings.Fields(string(line))
	return Source{f[0], f[1], f[2]}
}

func registrantSource() string { return "IEEE OUI of " + sourceOf(ouiTable).Date }
func addressSource() string    { return "table of " + sourceOf(ip4Table).Date }

// body is a table without compression.
func body(table []byte) []byte {
	_, packed, _ := bytes.Cut(table, []byte{'\n'})
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	defer r.Close()
	b, err := r.DecodeAll(packed, nil)
	if err != nil {
		panic(err) // it is part of this program
	}
	return b
}

// Registrant is who registered a block of MAC addresses.
type Registrant struct {
	Name    string
	Country string // of the registrant's address; "" if the registry does not say
}

// registrants is the table's text: searching it for the few addresses of a
// product costs less than to make a map of it.
var registrants = sync.OnceValue(func() []byte { return append(body(ouiTable), '\n') })

// registrant is who has a block, in the registry's way of writing it.
func registrant(block string) (Registrant, bool) {
	text := registrants()
	for from := 0; ; {
		at := bytes.Index(text[from:], []byte(block))
		if at < 0 {
			return Registrant{}, false
		}
		at += from
		from = at + len(block)
		if at == 0 || !(text[at-1] == '\t' || text[at-1] == ' ') || !(text[from] == ' ' || text[from] == '\n') {
			continue
		}
		start := bytes.LastIndexByte(text[:at], '\n') + 1
		f := strings.Split(string(text[start:from]), "\t")
		if len(f) == 3 {
			return Registrant{f[1], f[0]}, true
		}
	}
}

// madeUp are the last three bytes of addresses that someone typed.
var madeUp = map[string]bool{"000000": true, "000001": true, "FFFFFF": true, "112233": true, "334455": true, "123456": true, "AABBCC": true, "445566": true, "030405": true, "556677": true, "DDEEFF": true}

// RegistrantOf looks a MAC address up. Addresses that are local (the second bit
// of the first byte), of groups or made up have no registrant, and a block whose
// registrant is private has none to tell.
func RegistrantOf(mac string) (Registrant, bool) {
	digits := strings.ToUpper(strings.NewReplacer(":", "", "-", "", ".", "").Replace(mac))
	head, err := strconv.ParseUint(digits[:min(2, len(digits))], 16, 8)
	if err != nil || len(digits) != 12 || head&3 != 0 || madeUp[digits[6:]] || digits[:6] == "000000" {
		return Registrant{}, false
	}
	for _, n := range []int{9, 7, 6} { // MA-S, MA-M, MA-L
		if r, ok := registrant(digits[:n]); ok {
			return r, r.Name != "Private" && !strings.HasPrefix(r.Name, "IEEE Registration")
		}
	}
	return Registrant{}, false
}

type addressTable struct {
	from    []uint32
	size    []uint32 // less one
	country []byte
	names   []string
}

var addressRanges = sync.OnceValue(func() *addressTable {
	line, rest, _ := bytes.Cut(body(ip4Table), []byte{'\n'})
	f := strings.Fields(string(line))
	n, _ := strconv.Atoi(f[0])
	t := &addressTable{from: make([]uint32, n), size: make([]uint32, n), names: f[1:]}
	next := func() uint64 {
		v, k := binary.Uvarint(rest)
		rest = rest[k:]
		return v
	}
	for i := range n {
		t.from[i] = uint32(next())
	}
	for i := range n {
		t.size[i] = uint32(next() - 1)
	}
	t.country = rest
	at := uint32(0)
	for i := range n {
		t.from[i] += at
		at = t.from[i] + t.size[i] + 1
	}
	return t
})

// AddressCountry is the country in which an IPv4 address's block is registered;
// "" if the table does not say.
func AddressCountry(ip netip.Addr) string {
	ip = ip.Unmap()
	if !ip.Is4() || ip.IsPrivate() || !ip.IsGlobalUnicast() {
		return ""
	}
	b := ip.As4()
	v := binary.BigEndian.Uint32(b[:])
	t := addressRanges()
	i := sort.Search(len(t.from), func(i int) bool { return t.from[i] > v }) - 1
	if i < 0 || v-t.from[i] > t.size[i] {
		return ""
	}
	return t.names[t.country[i]]
}
