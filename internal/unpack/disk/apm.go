package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/doorward/doorward/internal/unpack"
)

// APM opens disks with an Apple Partition Map (Inside Macintosh: Devices,
// chapter 3).
var APM = &unpack.Reader{
	Name:    "apm",
	Doc:     "disks with an Apple Partition Map, in blocks of 512 to 4096 bytes; what lies in no partition is opened too",
	Limits:  "The format has no checksums.",
	Checked: "parted 3.5 (random layouts); maps of larger blocks made by hand",
	Magics:  []unpack.Magic{{At: 512, Bytes: "PM\x00\x00"}, {At: 1024, Bytes: "PM\x00\x00"}, {At: 2048, Bytes: "PM\x00\x00"}, {At: 4096, Bytes: "PM\x00\x00"}},
	Open:    openAPM,
}

const apmMost = 1024 // partitions

// apmSpare are types whose content is the map itself, or nothing.
var apmSpare = map[string]bool{"Apple_partition_map": true, "Apple_Free": true, "Apple_Void": true, "Apple_Scratch": true}

func openAPM(in *unpack.Input) (*unpack.Object, error) {
	if isISO(in.Data) {
		return nil, unpack.ErrNotThis
	}
	be := binary.BigEndian
	for _, block := range []int64{512, 1024, 2048, 4096} {
		first := unpack.ReadSome(in.Data, block, block)
		if int64(len(first)) < block || string(first[:2]) != "PM" {
			continue
		}
		count := int64(be.Uint32(first[4:]))
		if count == 0 || count > apmMost || unpack.CString(first[48:80]) == "" {
			continue
		}
		return readAPM(in, block, count)
	}
	return nil, unpack.ErrNotThis
}

// readAPM reads the map: a block for each partition, the map among them.
func readAPM(in *unpack.Input, block, count int64) (*unpack.Object, error) {
	be := binary.BigEndian
	o := &unpack.Object{Format: "apm", Info: map[string]string{"block size": strconv.FormatInt(block, 10)}}
	own := []region{{off: 0, size: block}}
	var parts []region
	mapped := false
	for i := range count {
		e, err := unpack.ReadFull(in.Data, (i+1)*block, block)
		if err != nil || string(e[:2]) != "PM" {
			if i == 0 {
				return nil, unpack.ErrNotThis
			}
			addErr(o, fmt.Errorf("entry %d of %d is damaged", i+1, count))
			continue
		}
		if int64(be.Uint32(e[4:])) != count {
			addErr(o, fmt.Errorf("entry %d counts %d entries", i+1, be.Uint32(e[4:])))
		}
		r := region{name: unpack.CString(e[16:48]), off: int64(be.Uint32(e[8:])) * block, size: int64(be.Uint32(e[12:])) * block}
		kind := unpack.CString(e[48:80])
		o.Size = max(o.Size, r.end())
		switch {
		case kind == "Apple_partition_map":
			mapped = true
			own = append(own, r)
		case apmSpare[kind] || r.size == 0:
		default:
			r.info = map[string]string{"type": kind, "number": strconv.FormatInt(i+1, 10)}
			if r.name == "" {
				r.name = strconv.FormatInt(i+1, 10)
			}
			parts = append(parts, r)
		}
	}
	if !mapped {
		return nil, unpack.ErrNotThis
	}
	if o.Size > in.Data.Size() {
		addErr(o, errors.New("the disk is cut off"))
	}
	o.Size = min(o.Size, in.Data.Size())
	layOut(in, o, own, parts)
	return o, nil
}
