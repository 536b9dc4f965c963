package inventory

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// main says that a database is the one with the most packages of its root: the
// programs that belong to no package are told once.
func (s *sums) main(d *database) bool {
	for _, other := range s.list {
		if other.volume == d.volume && other.root == d.root && !other.isGiven() && len(other.packs) > len(d.packs) {
			return false
		}
	}
	return true
}

// foreign lists the programs in folders of the system that no package has. A
// database that knows less than half of them is no list of what belongs there.
func (c *comparing) foreign(listed map[string]bool) {
	var none []*product.File
	known, digests := 0, map[string]bool{} // of what may lie elsewhere, too, as a hard link or a copy
	list := c.volume.List()
	for _, f := range list {
		if k := c.claims[f.Path]; listed[f.Path] && (k == nil || !k.wrong) {
			digests[f.SHA256] = true
		}
	}
	for _, f := range list {
		p, ok := below(f.Path, c.root)
		switch {
		case !ok || f.Deleted() || !isProgram(f) || !inSystemFolder(p):
		case listed[f.Path] || digests[f.SHA256]:
			known++
		default:
			none = append(none, f)
		}
	}
	if len(none) > known {
		c.sum.Note = fmt.Sprintf("the database lists %d of %d programs in the system's folders: which of them belong to no package was not asked", known, known+len(none))
		return
	}
	c.sum.Foreign = len(none)
	for _, f := range none {
		c.out.Foreign = append(c.out.Foreign, doorward.Alteration{Where: f.Where(), Role: role(f.Path, f)})
	}
}

// below is a path seen from a folder.
func below(p, root string) (string, bool) {
	if root == "." {
		return p, true
	}
	return strings.CutPrefix(p, root+"/")
}

// isProgram says that a file is machine code or a script.
func isProgram(f *product.File) bool { return f.Type.Executable() || f.Type == unpack.TypeScript }

// systemFolders hold what only packages put there. /usr/local and /opt are not
// among them: they are for what is added by hand.
var systemFolders = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr/bin", "usr/sbin", "usr/lib", "usr/lib32", "usr/lib64", "usr/libx32", "usr/libexec", "etc/init.d", "etc/rc.d", "etc/cron.d", "etc/cron.daily", "etc/cron.hourly", "etc/profile.d"}

func inSystemFolder(p string) bool {
	return slices.ContainsFunc(systemFolders, func(dir string) bool { return strings.HasPrefix(p, dir+"/") })
}

// Roles of files, the most telling first.
var roles = []string{"login", "startup", "module", "program", "library", "script", "data"}

func roleRank(r string) int { return slices.Index(roles, r) }

//go:embed data/login.txt
var loginTable string

// loginFiles are patterns of path.Match for the base names of files that decide
// who gets in; those with a slash are for whole paths.
var loginFiles = func() (list []string) {
	for line := range strings.Lines(loginTable) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}()

// startupFolders are where what start-up runs is named.
var startupFolders = []string{"etc/init.d/", "etc/rc", "etc/inittab", "etc/systemd/", "lib/systemd/system", "usr/lib/systemd/system", "etc/cron", "etc/profile", "etc/ld.so.preload", "etc/preinit", "lib/preinit/", "lib/udev/", "usr/lib/udev/", "etc/udev/", "etc/hotplug"}

// role says what a file is for. f is nil if it is no regular file.
func role(p string, f *product.File) string {
	base := path.Base(p)
	switch {
	case fitsOne(loginFiles, p):
		return "login"
	case slices.ContainsFunc(startupFolders, func(dir string) bool { return strings.HasPrefix(p, dir) }), slices.Contains([]string{"sbin/init", "usr/sbin/init", "init", "linuxrc"}, p):
		return "startup"
	case fitsOne(loginFiles, base):
		return "login"
	case f == nil:
		return "data"
	case f.Type.Executable() && (strings.HasSuffix(base, ".ko") || strings.Contains(base, ".ko.")):
		return "module"
	case f.Type.Executable() && (strings.Contains(base, ".so") || strings.HasSuffix(base, ".a")):
		return "library"
	case f.Type.Executable():
		return "program"
	case f.Type == unpack.TypeScript:
		return "script"
	}
	return "data"
}

// fitsOne says that a name fits one of the patterns.
func fitsOne(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}
