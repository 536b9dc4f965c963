package disk

import (
	"bytes"
	"cmp"
	"compress/bzip2"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/doorward/doorward/internal/unpack"
)

// AndroidPayload opens the payloads of over-the-air updates (update_engine's
// update_metadata.proto).
var AndroidPayload = &unpack.Reader{
	Name:    "payload",
	Doc:     "payload.bin of Android and ChromeOS updates: whole images in operations replace, bzip2, xz, zstd, zero and discard, with the digest of each operation",
	Limits:  "Differences to an older version are stated as unread, since they need that version; signatures are not checked.",
	Checked: "payloads made by hand by the specification, from a writer of its own, in every operation",
	Magics:  []unpack.Magic{{At: 0, Bytes: "CrAU"}},
	Carve:   true,
	Open:    openAndroidPayload,
}

// Types of operations that need no older version.
const (
	payloadReplace = 0
	payloadBzip2   = 1
	payloadZero    = 6
	payloadDiscard = 7
	payloadXZ      = 8
	payloadZstd    = 14
)

const (
	payloadMaxManifest  = 64 << 20
	payloadMaxItems     = 4 << 20   // operations and extents
	payloadMaxOperation = 256 << 20 // unpacked bytes of one, which are held in memory
	payloadCache        = 64 << 20
)

// payloadOp is an operation: packed bytes, and where the unpacked ones go.
type payloadOp struct {
	kind         uint64
	offset, size int64
	sum          []byte
	out          int64 // unpacked bytes
}

// payloadPart is a partition that is unpacked when it is read.
type payloadPart struct {
	name  string
	size  int64
	hash  []byte
	ops   []payloadOp
	spans []unpack.Extent // from is the operation's number; kind is unused
	inOp  []int64
	delta string
	bad   bool
	whole *payload
	index int64
}

func openAndroidPayload(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, 24)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	version, manifest, header := binary.BigEndian.Uint64(h[4:]), binary.BigEndian.Uint64(h[12:]), int64(24)
	signature := int64(binary.BigEndian.Uint32(h[20:]))
	if version == 1 {
		header, signature = 20, 0
	}
	if version < 1 || version > 2 || manifest == 0 || manifest > payloadMaxManifest || signature > 1<<20 {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, header, int64(manifest))
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	base := header + int64(manifest) + signature
	p := &payload{in: in, data: unpack.Window(in.Data, base, in.Data.Size()-base), block: 4096, info: map[string]string{}, room: payloadMaxItems, cache: unpack.NewBlockCache(payloadCache)}
	if !p.manifest(b) || p.block < 512 || p.block > 1<<20 {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: fmt.Sprintf("android payload %d", version), Info: p.info}
	end := base + p.end
	if o.Size = min(end, in.Data.Size()); end > in.Data.Size() {
		o.Err = &unpack.CutOff{Format: "payload", Missing: int64(end) - in.Data.Size(), Of: int64(end)}
	}
	p.addParts(o)
	return o, nil
}

type payload struct {
	in    *unpack.Input
	data  unpack.Bytes
	block int64
	info  map[string]string
	parts []*payloadPart
	end   int64 // of operations and signatures
	signs [2]int64
	room  int // operations and extents that may still come
	cache *unpack.BlockCache
}

// manifest reads DeltaArchiveManifest.
func (p *payload) manifest(b []byte) bool {
	var updates [][]byte
	ok := protoFields(b, func(field int, v uint64, data []byte) {
		switch field {
		case 3:
			p.block = int64(min(v, 1<<32))
		case 4:
			p.signs[0] = int64(min(v, 1<<50))
		case 5:
			p.signs[1] = int64(min(v, 1<<30))
		case 13:
			updates = append(updates, data)
		case 16:
			p.info["partial"] = fmt.Sprint(v != 0)
		case 18:
			p.info["patch level"] = string(data)
		case 12:
			if p.info["kind"] = "whole images"; v != 0 {
				p.info["kind"] = fmt.Sprintf("differences, minor version %d", v)
			}
		}
	})
	p.end = p.signs[0] + p.signs[1]
	if !ok || len(updates) == 0 {
		return false
	}
	for _, u := range updates {
		part := &payloadPart{whole: p, index: int64(len(p.parts)) << 32}
		if !p.update(part, u) || part.name == "" {
			return false
		}
		p.parts = append(p.parts, part)
	}
	return true
}

// update reads PartitionUpdate.
func (p *payload) update(part *payloadPart, b []byte) bool {
	return protoFields(b, func(field int, _ uint64, data []byte) {
		switch field {
		case 1:
			part.name = string(data)
		case 7:
			protoFields(data, func(field int, v uint64, data []byte) {
				switch field {
				case 1:
					part.size = int64(min(v, 1<<50))
				case 2:
					part.hash = data
				}
			})
		case 8:
			part.bad = part.bad || !p.operation(part, data)
		}
	})
}

// operation reads InstallOperation and notes where its bytes go.
func (p *payload) operation(part *payloadPart, b []byte) bool {
	op, n := payloadOp{}, int64(len(part.ops))
	ok := true
	parsed := protoFields(b, func(field int, v uint64, data []byte) {
		switch field {
		case 1:
			op.kind = v
		case 2:
			op.offset = int64(min(v, 1<<50))
		case 3:
			op.size = int64(min(v, 1<<50))
		case 6:
			start, blocks := uint64(0), uint64(0)
			ok = protoFields(data, func(field int, v uint64, _ []byte) {
				switch field {
				case 1:
					start = v
				case 2:
					blocks = v
				}
			}) && start < 1<<40 && blocks < 1<<40 && ok
			if p.room--; blocks > 0 && ok && p.room > 0 {
				part.spans = append(part.spans, unpack.Extent{Offset: int64(start) * p.block, Size: int64(blocks) * p.block, From: n})
				part.inOp = append(part.inOp, op.out)
				op.out += int64(blocks) * p.block
			}
		case 8:
			op.sum = data
		}
	})
	if p.room--; !parsed || !ok || p.room <= 0 {
		return false
	}
	switch op.kind {
	case payloadReplace, payloadBzip2, payloadXZ, payloadZstd:
		p.end = max(p.end, op.offset+op.size)
		ok = op.out <= payloadMaxOperation && op.size <= payloadMaxOperation
	case payloadZero, payloadDiscard:
	default:
		part.delta = fmt.Sprintf("operation %d changes an older version, which is not here", op.kind)
		p.end = max(p.end, op.offset+op.size)
	}
	part.ops = append(part.ops, op)
	return ok
}

// addParts makes parts of the partitions, and says which can't be read.
func (p *payload) addParts(o *unpack.Object) {
	for _, part := range p.parts {
		switch {
		case part.bad || part.sort() != nil: // a bad operation leaves extents that are nobody's
			addErr(o, fmt.Errorf("partition %s: its operations can't be read", part.name))
		case part.delta != "":
			o.Gaps = append(o.Gaps, unpack.Gap{Offset: 0, Size: 0, Reason: "unsupported", Note: fmt.Sprintf("partition %s: %s", part.name, part.delta)})
		case diskSize(p.in, part.size) != nil:
			addErr(o, fmt.Errorf("partition %s: %w", part.name, diskSize(p.in, part.size)))
		default:
			info := map[string]string{}
			if len(part.hash) > 0 {
				info["SHA-256 stated"] = fmt.Sprintf("%x", part.hash)
			}
			disk := unpack.Mapped(part.spans, part.size, part.read)
			o.Parts = append(o.Parts, unpack.Part{Name: part.name, Data: disk, Offset: -1, Info: info})
		}
	}
}

// sort puts the spans in order; from then is the number of a span's origin.
func (part *payloadPart) sort() error {
	order := make([]int, len(part.spans))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(part.spans[a].Offset, part.spans[b].Offset) })
	spans, inOp := make([]unpack.Extent, 0, len(order)), make([]int64, 0, len(order))
	end := int64(0)
	for _, i := range order {
		s := part.spans[i]
		if s.Offset < end {
			return errors.New("two operations write the same blocks")
		}
		end = s.Offset + s.Size
		op := part.ops[s.From]
		if op.kind == payloadZero || op.kind == payloadDiscard {
			continue // a hole
		}
		inOp = append(inOp, part.inOp[i])
		spans = append(spans, unpack.Extent{Offset: s.Offset, Size: s.Size, From: int64(len(inOp)-1)<<32 | s.From})
	}
	part.spans, part.inOp = spans, inOp
	if part.size == 0 {
		part.size = end
	}
	return nil
}

// read unpacks the operation of a span.
func (part *payloadPart) read(s unpack.Extent, p []byte, at int64) (int, error) {
	op, skip := s.From&(1<<32-1), part.inOp[s.From>>32]
	block, err := part.whole.cache.Get(part.index|op, part.unpack, nil)
	if err != nil {
		return 0, err
	}
	if at += skip; at >= int64(len(block.Data)) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, block.Data[at:]), nil
}

func (part *payloadPart) unpack(key int64) ([]byte, int64, error) {
	number := key & (1<<32 - 1)
	op := part.ops[number]
	packed, err := unpack.ReadFull(part.whole.data, op.offset, op.size)
	if err != nil {
		return nil, 0, err
	}
	if sum := sha256.Sum256(packed); len(op.sum) > 0 && !bytes.Equal(sum[:], op.sum) {
		return nil, 0, fmt.Errorf("partition %s: the digest of operation %d is wrong", part.name, number)
	}
	out := make([]byte, op.out)
	n := 0
	switch op.kind {
	case payloadReplace:
		n = copy(out, packed)
	case payloadBzip2:
		n, err = io.ReadFull(bzip2.NewReader(bytes.NewReader(packed)), out)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
	case payloadXZ:
		n, err = unpack.Decompress("xz", packed, out)
	case payloadZstd:
		n, err = unpack.Decompress("zstd", packed, out)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("partition %s: operation %d: %w", part.name, number, err)
	}
	// The last operation may end within a block.
	if int64(len(out)-n) >= part.whole.block {
		return nil, 0, fmt.Errorf("partition %s: operation %d has %d of %d bytes", part.name, number, n, len(out))
	}
	return out, 0, nil
}
