package firmware

import (
	"context"
	_ "embed"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// Privilege finds what gives somebody who is in the product more rights.
var Privilege = &Detector{
	Name: "privilege",
	Doc: "Ways from a user of the product to root: setuid and setgid programs (the usual ones of distributions are info), file capabilities, " +
		"rules of sudo, doas and polkit that ask for no password, preloaded libraries, and start-up files that everybody may write.",
	Kinds:    []doorward.Kind{doorward.KindPrivilege},
	Requires: []string{"startup", "executable"},
	Scope:    detect.ProductAll,
	Run:      runPrivilege,
}

//go:embed data/setuid.txt
var setuidTable string

var usualSetuid = sync.OnceValue(func() map[string]bool {
	usual := map[string]bool{}
	for line := range strings.Lines(setuidTable) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			usual[line] = true
		}
	}
	return usual
})

// privileges is one run of the detector.
type privileges struct {
	log *startup.Log
	out *detect.Sink
}

func runPrivilege(ctx context.Context, p *product.Product, out *detect.Sink) error {
	r := &privileges{startup.Of(p), out}
	for _, v := range p.Volumes {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.modes(v)
		r.sudo(v)
		r.doas(v)
		r.polkit(v)
		r.preload(v)
	}
	r.writable(p)
	return nil
}

// right is a privilege at work.
type right struct {
	what, title, note, found string
	gain                     doorward.Gain
	weight                   doorward.Weight // "" for what Weigh says
	certainty                doorward.Certainty
	line                     int
	check                    string
	references               []string
}

func (r *privileges) report(f *product.File, x right) {
	weight := x.weight
	if weight == "" {
		weight = doorward.Weigh(x.gain, doorward.Local, doorward.Open, false)
	}
	if f.Deleted() {
		x.certainty, weight = doorward.Hint, doorward.Low
		x.note += "; only in a deleted layer or file: still in the artifact"
	}
	if x.check == "" {
		x.check = checkLine(f, x.line)
	}
	r.out.Door(doorward.Door{
		Kind: doorward.KindPrivilege, Title: clip(x.title, 90), Weight: weight, Reach: doorward.Local, Stages: []doorward.Stage{doorward.Access},
		Certainty: x.certainty, Where: f.Where(), Check: x.check, References: append([]string{"CWE-250"}, x.references...),
		Evidence: []doorward.Evidence{{What: clip(strings.TrimSpace(x.found), 300), Note: x.note, Line: x.line}},
		Detail:   doorward.Detail{"what": x.what, "path": f.Path},
	})
}

// modes reports setuid and setgid programs and those with capabilities.
func (r *privileges) modes(v *product.Volume) {
	for _, f := range v.List() {
		mode := f.Mode()
		if mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && mode&0o111 != 0 {
			r.out.Looked(doorward.KindPrivilege, 1, "setuid or setgid program")
			r.setuid(v, f)
		}
		if caps := f.Entry.Xattrs["security.capability"]; caps != "" {
			r.out.Looked(doorward.KindPrivilege, 1, "program with capabilities")
			r.capabilities(f, caps)
		}
	}
}

func (r *privileges) setuid(v *product.Volume, f *product.File) {
	x := right{what: "setuid", certainty: doorward.Shown, found: f.Mode().String() + " " + f.Path, check: "unpack the product; ls -l " + f.Path, references: []string{"T1548.001"}}
	owner := "its owner"
	if f.Mode()&fs.ModeSetuid == 0 {
		x.what = "setgid"
		owner = "its group"
	} else if f.Entry.UID == 0 {
		owner = "root"
	}
	x.title = f.Base() + " runs with the rights of " + owner + ", whoever starts it"
	switch {
	case !f.Type.Executable():
		return // the kernel ignores the bit on scripts
	case isShellProgram(v, f) && owner == "root":
		x.gain, x.title, x.note = doorward.Control, f.Base()+" is a shell that makes everybody root", "its content is that of the product's shell"
	case f.Base() == "su" && v.Exists("system/bin"):
		x.gain, x.note = doorward.Control, "Android has no su: it makes apps and shells root"
	case usualSetuid()[f.Base()] && isProgramFolder(f.Path):
		x.weight, x.note = doorward.Info, "usual in distributions"
	case owner != "root":
		x.weight, x.note = doorward.Low, "not one of the usual programs of distributions"
	default:
		x.gain, x.note = doorward.UserData, "not one of the usual programs of distributions"
		if runsOthers(f) {
			x.gain, x.certainty = doorward.Control, doorward.Likely
			x.note += ", and it starts other programs (assumes that its user can choose or influence which)"
		}
	}
	r.report(f, x)
}

// isShellProgram says that a program is a shell, or a copy of the product's.
// Busybox drops its rights itself when it acts as one.
func isShellProgram(v *product.Volume, f *product.File) bool {
	switch f.Base() {
	case "busybox", "toybox":
		return false
	case "sh", "bash", "dash", "ksh", "zsh", "mksh", "tcsh", "csh":
		if real := v.File("bin/busybox"); real == nil || real.SHA256 != f.SHA256 {
			return true
		}
	}
	for _, shell := range []string{"bin/bash", "bin/dash", "bin/sh", "usr/bin/bash", "usr/bin/dash"} {
		if s := v.File(shell); s != nil && s.SHA256 == f.SHA256 && s.Base() != "busybox" && s.Base() != "toybox" && s.Size > 0 {
			return true
		}
	}
	return false
}

func isProgramFolder(p string) bool {
	p = strings.TrimPrefix(p, "target/")
	dir := path.Dir(p)
	for _, root := range []string{"bin", "sbin", "usr", "lib", "libexec", "opt", "system", "lib64", "lib32"} {
		if dir == root || strings.HasPrefix(dir, root+"/") {
			return !strings.Contains(dir, "tmp")
		}
	}
	return false
}

// runsOthers says that a program calls what starts programs.
func runsOthers(f *product.File) bool {
	info := f.Program()
	return info != nil && info.Uses("system", "popen", "execl", "execlp", "execle", "execv", "execvp", "execve", "execvpe", "posix_spawn", "posix_spawnp", "wordexp")
}
