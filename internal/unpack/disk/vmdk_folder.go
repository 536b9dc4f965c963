package disk

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

const vmdkHead = "# Disk DescriptorFile"

// vmdkFolder opens the disks whose descriptors lie in a folder together with
// their extents. All other files stay files.
func vmdkFolder(ctx context.Context, budget *unpack.Budget, entries []unpack.Entry) *unpack.Object {
	files := map[string]*unpack.Entry{}
	for i := range entries {
		files[unpack.CleanPath(entries[i].Path)] = &entries[i]
	}
	o := &unpack.Object{Format: "folder with vmdk disks", System: true}
	gone := map[string]bool{}
	for i := range entries {
		e := &entries[i]
		if !e.Mode.IsRegular() || !strings.HasSuffix(strings.ToLower(e.Path), ".vmdk") || e.Size() > vmdkDescriptor || ctx.Err() != nil {
			continue
		}
		text := unpack.ReadSome(e.Data, 0, vmdkDescriptor)
		if !strings.HasPrefix(string(text), vmdkHead) {
			continue
		}
		joined, used, err := joinVMDK(ctx, budget, files, path.Dir(unpack.CleanPath(e.Path)), parseVMDK(text))
		if err != nil {
			o.Gaps = append(o.Gaps, unpack.Gap{Reason: unpack.ReasonOf(err), Note: fmt.Sprintf("%s: %v", e.Path, err)})
			continue
		}
		o.Parts = append(o.Parts, unpack.Part{Name: strings.ReplaceAll(unpack.CleanPath(e.Path), "/", "_"), Data: joined, Offset: -1})
		for _, name := range used {
			gone[name] = true
		}
	}
	if len(o.Parts) == 0 {
		return nil
	}
	for _, e := range entries {
		if !gone[unpack.CleanPath(e.Path)] {
			o.Entries = append(o.Entries, e)
		}
	}
	return o
}

// joinVMDK puts the extents of a descriptor behind each other.
func joinVMDK(ctx context.Context, budget *unpack.Budget, files map[string]*unpack.Entry, dir string, d vmdkText) (unpack.Bytes, []string, error) {
	if d.parent != "" {
		return nil, nil, fmt.Errorf("%w: it holds only what differs from the disk %q", unpack.ErrUnsupported, d.parent)
	}
	var used []string
	var parts []unpack.Bytes
	var list []unpack.Extent
	at := int64(0)
	for _, e := range d.extents {
		if e.kind == "ZERO" {
			at += e.size
			continue
		}
		name := unpack.CleanPath(path.Join(dir, e.file))
		f := files[name]
		if f == nil || f.Data == nil {
			return nil, nil, fmt.Errorf("%w: its extent %q is not there", unpack.ErrUnsupported, e.file)
		}
		b := f.Data
		switch e.kind {
		case "FLAT", "VMFS":
			b = unpack.Window(b, e.offset*sector, e.size)
		case "SPARSE", "VMFSSPARSE":
			x, err := openVMDK(&unpack.Input{Context: ctx, Data: b, Whole: true, Budget: budget})
			if err == nil {
				err = x.Err
			}
			if err != nil || len(x.Parts) != 1 {
				return nil, nil, fmt.Errorf("its extent %q: %w", e.file, errors.Join(err, unpack.ErrUnsupported))
			}
			b = x.Parts[0].Data
		default:
			return nil, nil, fmt.Errorf("%w: an extent of the kind %s", unpack.ErrUnsupported, e.kind)
		}
		if b.Size() < e.size {
			return nil, nil, fmt.Errorf("its extent %q is cut off: %d of %d bytes", e.file, b.Size(), e.size)
		}
		list = append(list, unpack.Extent{Offset: at, Size: e.size, From: int64(len(parts))})
		parts, used, at = append(parts, b), append(used, name), at+e.size
	}
	if at == 0 || at > mostVirtual {
		return nil, nil, errors.New("its descriptor names no extents")
	}
	return unpack.Joined(list, at, parts), used, nil
}
