package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// File is a file of a product, as far as a comparison looks at it.
type File struct {
	Path   string // inside the product, without regions
	SHA256 string
	Size   int64  // bytes
	Mode   string // type and permission bits, such as -rwsr-xr-x; may be empty
}

// Files compares the files of a reference with those of what was received. One
// path may stand for several files (A/B slots). A file with unchanged content
// under another path has moved.
func Files(reference, received []File) []doorward.FileChange {
	before, after := byPath(reference), byPath(received)
	var changes []doorward.FileChange
	var added, removed []File
	for _, path := range paths(before, after) {
		a, b := without(before[path], after[path]), without(after[path], before[path])
		n := min(len(a), len(b))
		for i := range n {
			changes = append(changes, changed(a[i], b[i]))
		}
		removed = append(removed, a[n:]...)
		added = append(added, b[n:]...)
	}
	return append(changes, comeAndGone(added, removed)...)
}

func byPath(files []File) map[string][]File {
	m := map[string][]File{}
	for _, f := range files {
		m[f.Path] = append(m[f.Path], f)
	}
	for _, list := range m {
		slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.SHA256+a.Mode, b.SHA256+b.Mode) })
	}
	return m
}

func paths(maps ...map[string][]File) []string {
	var list []string
	for _, m := range maps {
		for p := range m {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// without gives the files of one list that the other does not have.
func without(list, other []File) []File {
	other = slices.Clone(other)
	var rest []File
	for _, f := range list {
		if i := slices.IndexFunc(other, func(o File) bool { return o.SHA256 == f.SHA256 && o.Mode == f.Mode }); i >= 0 {
			other = slices.Delete(other, i, i+1)
			continue
		}
		rest = append(rest, f)
	}
	return rest
}

func changed(was, is File) doorward.FileChange {
	c := doorward.FileChange{Change: doorward.Changed, Path: is.Path, SHA256: is.SHA256, Size: is.Size, Was: was.SHA256}
	if was.SHA256 != is.SHA256 {
		c.What = append(c.What, fmt.Sprintf("content: %d → %d bytes", was.Size, is.Size))
	}
	if was.Mode != is.Mode {
		c.What = append(c.What, fmt.Sprintf("mode: %s → %s", orNone(was.Mode), orNone(is.Mode)))
	}
	return c
}

// comeAndGone pairs files that only moved; the others were added or removed.
func comeAndGone(added, removed []File) []doorward.FileChange {
	gone := map[string][]int{}
	for i, f := range removed {
		if f.SHA256 != "" && f.Size > 0 {
			gone[f.SHA256] = append(gone[f.SHA256], i)
		}
	}
	paired := map[int]bool{}
	var moved, fresh, left []doorward.FileChange
	for _, f := range added {
		if from := gone[f.SHA256]; len(from) > 0 {
			gone[f.SHA256] = from[1:]
			paired[from[0]] = true
			c := changed(removed[from[0]], f)
			c.What = append([]string{"moved from " + removed[from[0]].Path}, c.What...)
			moved = append(moved, c)
			continue
		}
		fresh = append(fresh, doorward.FileChange{Change: doorward.Added, Path: f.Path, SHA256: f.SHA256, Size: f.Size})
	}
	for i, f := range removed {
		if !paired[i] {
			left = append(left, doorward.FileChange{Change: doorward.Removed, Path: f.Path, SHA256: f.SHA256, Size: f.Size})
		}
	}
	return slices.Concat(moved, fresh, left)
}
