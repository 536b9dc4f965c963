package startup

import (
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

// fills knows how the paths of a running system lead to the files of the
// artifact: links of the volume, and what boot scripts copied, linked and
// mounted.
type fills struct {
	volume  *product.Volume
	list    []fill
	aliases []fill // the volume's links: target is the link, from what it points to
}

// fill says that what is seen at target comes from a path of the volume, or of
// another one.
type fill struct {
	target, from string // absolute
	volume       *product.Volume
	sure         bool // no guard
}

// maxFills is how many are kept of one volume.
const maxFills = 4096

func newFills(v *product.Volume) *fills {
	f := &fills{volume: v}
	for _, p := range v.Tree.Paths() {
		e := v.Tree.Entry(p)
		if e.Mode&fs.ModeSymlink == 0 || e.Link == "" {
			continue
		}
		at, ok := v.Tree.Resolve(p)
		if ok && !isDir(v, at) {
			if strings.HasPrefix(p, "etc/") && len(f.aliases) < maxFills {
				f.aliases = append(f.aliases, fill{target: "/" + p, from: "/" + at})
			}
			continue
		}
		if at != p && len(f.aliases) < maxFills {
			f.aliases = append(f.aliases, fill{target: "/" + p, from: "/" + at})
		}
	}
	return f
}

func isDir(v *product.Volume, at string) bool {
	e := v.Tree.Entry(at)
	return e != nil && e.Mode.IsDir()
}

func (f *fills) add(x fill) {
	x.target, x.from = path.Clean(x.target), path.Clean(x.from)
	if len(f.list) < maxFills && x.target != "/" && x.target != x.from && !slices.Contains(f.list, x) {
		f.list = append(f.list, x)
	}
}

// under returns the rest of p below dir: "" for dir itself.
func under(p, dir string) (rest string, ok bool) {
	if p == dir {
		return "", true
	}
	if dir == "/" {
		return p[1:], strings.HasPrefix(p, "/")
	}
	if strings.HasPrefix(p, dir) && p[len(dir)] == '/' {
		return p[len(dir)+1:], true
	}
	return "", false
}

// absolute resolves a path's links as far as the volume has them.
func (f *fills) absolute(p string) string {
	at, _ := f.volume.Tree.Resolve(p)
	if at == "." {
		return "/"
	}
	return "/" + at
}

// source finds the file that is at a path when the system runs.
func (f *fills) source(p string) *product.File { return f.find(p, 3) }

func (f *fills) find(p string, depth int) *product.File {
	at := f.absolute(p)
	if file := f.filled(at, depth, true); file != nil {
		return file
	}
	if file := f.volume.File(at); file != nil {
		return file
	}
	return f.filled(at, depth, false)
}

// filled looks p up among the fills, later ones first.
func (f *fills) filled(p string, depth int, sure bool) *product.File {
	if depth == 0 {
		return nil
	}
	for i := len(f.list) - 1; i >= 0; i-- {
		x := f.list[i]
		if x.sure != sure {
			continue
		}
		rest, ok := under(p, x.target)
		if !ok {
			continue
		}
		from := path.Join(x.from, rest)
		if x.volume != nil && x.volume != f.volume {
			if file := x.volume.File(from); file != nil {
				return file
			}
			continue
		}
		if file := f.volume.File(from); file != nil {
			return file
		}
		if file := f.find(from, depth-1); file != nil {
			return file
		}
	}
	return nil
}

// runPaths returns where a path of the volume is seen at run time.
func (f *fills) runPaths(own string) []string {
	seen := []string{own}
	for i := 0; i < len(seen) && len(seen) < 32; i++ {
		p := seen[i]
		for _, list := range [][]fill{f.list, f.aliases} {
			for _, x := range list {
				if x.volume != nil && x.volume != f.volume {
					continue
				}
				rest, ok := under(p, x.from)
				if !ok || x.from == "/" {
					continue
				}
				if to := path.Join(x.target, rest); !slices.Contains(seen, to) && len(seen) < 32 {
					seen = append(seen, to)
				}
			}
		}
	}
	return seen[1:]
}

// names lists what is in a folder at run time.
func (f *fills) names(dir string) []string {
	at := f.absolute(dir)
	set := map[string]bool{}
	for _, n := range f.volume.Tree.Names(strings.TrimPrefix(at, "/")) {
		set[n] = true
	}
	if at == "/" {
		for _, n := range f.volume.Tree.Names(".") {
			set[n] = true
		}
	}
	for _, x := range f.list {
		v := x.volume
		if v == nil {
			v = f.volume
		}
		if rest, ok := under(at, x.target); ok {
			if from, ok := v.Tree.Resolve(path.Join(x.from, rest)); ok {
				for _, n := range v.Tree.Names(from) {
					set[n] = true
				}
			}
		} else if path.Dir(x.target) == at {
			set[path.Base(x.target)] = true
		}
	}
	list := make([]string, 0, len(set))
	for n := range set {
		list = append(list, n)
	}
	sort.Strings(list)
	return list
}

// maxGlob is how many names one pattern gives.
const maxGlob = 512

// glob returns the paths, as written, that a pattern names, by path.
func (f *fills) glob(pattern string) []string {
	if !strings.HasPrefix(pattern, "/") {
		return nil
	}
	found := []string{"/"}
	for seg := range strings.SplitSeq(pattern[1:], "/") {
		if seg == "" {
			continue
		}
		var next []string
		for _, dir := range found {
			if !isGlob(seg) {
				next = append(next, path.Join(dir, seg))
				continue
			}
			for _, n := range f.names(dir) {
				if (n[0] != '.' || seg[0] == '.') && matchPattern(seg, n) && len(next) < maxGlob {
					next = append(next, path.Join(dir, n))
				}
			}
		}
		found = next
	}
	return found
}
