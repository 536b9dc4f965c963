package disk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// region is a partition: where a table says that it lies, in bytes.
type region struct {
	name      string
	off, size int64
	format    string
	info      map[string]string
}

func (r region) end() int64 { return r.off + r.size }

// layOut makes parts of the partitions of a table, and of everything between
// them that is not padding: boot loaders live there, in no partition. own are
// the sectors of the table itself. What is wrong is added to o.Err.
func layOut(in *unpack.Input, o *unpack.Object, own, list []region) {
	list = nameApart(list)
	for _, r := range list {
		if r.end() > in.Data.Size() {
			addErr(o, fmt.Errorf("cut off: partition %s ends at 0x%x, the image at 0x%x", r.name, r.end(), in.Data.Size()))
		}
		o.Parts = append(o.Parts, unpack.Part{Name: r.name, Offset: r.off, Data: unpack.Window(in.Data, r.off, r.size), Format: r.format, Info: r.info})
	}
	taken := slices.Concat(own, list)
	slices.SortStableFunc(taken, func(a, b region) int { return cmp.Compare(a.off, b.off) })
	at := int64(0)
	for _, r := range taken {
		o.Parts = appendFree(in, o.Parts, at, min(r.off, o.Size))
		if r.off < at && r.name != "" {
			addErr(o, fmt.Errorf("partition %s begins at 0x%x, within what lies before it", r.name, r.off))
		}
		at = max(at, r.end())
	}
	o.Parts = appendFree(in, o.Parts, at, o.Size)
	slices.SortStableFunc(o.Parts, func(a, b unpack.Part) int { return cmp.Compare(a.Offset, b.Offset) })
}

// addErr joins what is wrong with an object, up to a few lines.
func addErr(o *unpack.Object, err error) {
	const most = 4000
	if o.Err == nil {
		o.Err = err
	} else if len(o.Err.Error()) < most {
		o.Err = errors.Join(o.Err, err)
	}
}

// nameApart gives partitions of one name different ones, fit for a path.
func nameApart(list []region) []region {
	seen := map[string]int{}
	for i := range list {
		name := strings.Map(func(r rune) rune {
			if r < ' ' || r == '/' || r == 0x7f {
				return '_'
			}
			return r
		}, list[i].name)
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s#%d", name, seen[name])
		}
		list[i].name = name
	}
	return list
}

// appendFree adds what lies in no partition, without the padding around it.
func appendFree(in *unpack.Input, parts []unpack.Part, from, to int64) []unpack.Part {
	from, to = trim(in, from, min(to, in.Data.Size()))
	if from >= to {
		return parts
	}
	name := fmt.Sprintf("unallocated@0x%x", from)
	if from == 0 {
		name = "boot code"
	}
	return append(parts, unpack.Part{Name: name, Offset: from, Data: unpack.Window(in.Data, from, to-from)})
}

// trim cuts sectors of padding off both ends of a stretch.
func trim(in *unpack.Input, from, to int64) (int64, int64) {
	const step = 1 << 20
	from, to = heldPart(in.Data, from, to)
	buf := make([]byte, min(step, max(to-from, 0)))
	for from < to && in.Context.Err() == nil {
		n, err := in.Data.ReadAt(buf[:min(step, to-from)], from)
		cut := padded(buf[:n])
		if from += cut; cut < int64(n) || n == 0 || err != nil && from < to {
			break
		}
	}
	for from < to && in.Context.Err() == nil {
		p := buf[:min(step, to-from)]
		n, _ := in.Data.ReadAt(p, to-int64(len(p)))
		keep := len(p)
		for keep > 0 && n == len(p) && unpack.IsPadding(p[max(0, keep-sector):keep]) {
			keep = max(0, keep-sector)
		}
		if to -= int64(len(p) - keep); keep > 0 {
			break
		}
	}
	return from, to
}

// heldPart cuts holes off both ends of a stretch.
func heldPart(data unpack.Bytes, from, to int64) (int64, int64) {
	first, last := int64(-1), from
	for s, e := range unpack.Stretches(data, from, to, 0) {
		if first < 0 {
			first = s - (s-from)%sector
		}
		last = e
	}
	if first < 0 {
		return to, to
	}
	return first, to - (to-last)/sector*sector
}

// padded is how many bytes at the start of p are sectors of padding.
func padded(p []byte) int64 {
	at := 0
	for at < len(p) && unpack.IsPadding(p[at:min(at+sector, len(p))]) {
		at = min(at+sector, len(p))
	}
	return int64(at)
}

// sector is the unit of most tables.
const sector = 512
