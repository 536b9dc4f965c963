package startup

import (
	"path"
	"strings"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// Limits of the evaluation of one volume. They count work, so that a result
// does not depend on the machine's speed.
const (
	maxSteps  = 400_000 // commands and words
	maxEvents = 30_000
	maxDepth  = 24 // scripts that call scripts
	maxCalls  = 40 // functions that call functions
	maxRuns   = 6  // of one script with the same arguments
	maxOutput = 1 << 16
)

// engine evaluates one volume.
type engine struct {
	product   *product.Product
	v         *product.Volume
	log       *Log
	steps     int
	events    int
	fs        *fills
	written   map[string]*text   // what scripts wrote, by absolute path
	scripts   map[string]*script // parsed, by digest
	runs      map[string]int     // how often a script ran with given arguments
	ran       map[*product.File]bool
	settings  map[string]string // as changed by scripts
	mounts    []fill
	installed map[string]bool // packages that are configured
	control   bool            // the volume holds a package's scripts
	units     *units
	programs  map[*product.File]bool // whose strings were looked at
	names     map[string]bool        // programs looked up by name
	uci       map[string]*uciFile
	builtins  map[string]builtin
	wrappers  map[string]wrapper
	tools     map[string]tool
}

// text is the content of a file that scripts write.
type text struct {
	s       string
	unknown bool
	sure    bool
}

// foreign says that nothing is known of what a script wrote: a command's output.
func (w *text) foreign() bool { return w.unknown && (w.s == "" || w.s[0] == '$') || w.s == folderMark }

func newEngine(v *product.Volume, log *Log) *engine {
	return &engine{
		control: (v.Tree.Entry("control") != nil || v.Tree.Entry("rpm-header") != nil) && v.Tree.Entry("postinst") != nil,
		product: v.Product, v: v, log: log, steps: maxSteps, fs: newFills(v),
		written: map[string]*text{}, scripts: map[string]*script{}, runs: map[string]int{},
		ran: map[*product.File]bool{}, settings: map[string]string{}, uci: map[string]*uciFile{}, programs: map[*product.File]bool{}, names: map[string]bool{},
		builtins: builtinTable(), wrappers: wrapperTable(), tools: toolTable(),
	}
}

func (e *engine) fills() *fills { return e.fs }

// step uses up one step of the budget; false if there is none left.
func (e *engine) step() bool {
	if e.steps > 0 {
		e.steps--
	}
	return e.steps > 0
}

func (e *engine) emit(ev Event) {
	if e.namesItself(ev) {
		return
	}
	if e.events >= maxEvents {
		e.limit("more than %d things happen at start-up: the rest was not looked at", maxEvents)
		return
	}
	e.events++
	ev.Volume = e.v
	e.log.Events = append(e.log.Events, ev)
}

// file finds what is at an absolute path when the system runs.
func (e *engine) file(p string) *product.File {
	if f := e.fs.source(p); f != nil {
		return f
	}
	if f := e.elsewhere(p); f != nil {
		return f
	}
	return e.sibling(p)
}

// sibling finds a file of a package whose scripts are in an archive of their
// own, beside the one with its files.
func (e *engine) sibling(p string) *product.File {
	if !e.control {
		return nil
	}
	for _, v := range e.product.Volumes {
		if v != e.v {
			if f := v.File(p); f != nil {
				return f
			}
		}
	}
	return nil
}

// elsewhere finds a file that lies on another volume of the product, which is
// mounted over a folder that this one leaves empty.
func (e *engine) elsewhere(p string) *product.File {
	for i := len(e.mounts) - 1; i >= 0; i-- {
		rest, ok := under(p, e.mounts[i].target)
		if !ok || rest == "" {
			continue
		}
		for _, v := range e.product.Volumes {
			if v == e.v {
				continue
			}
			if f := v.File(rest); f != nil && !f.Deleted() {
				return f
			}
		}
	}
	return nil
}

// exists says whether something is at a path when the system runs: True or
// False, or Unknown for what is made while it runs.
func (e *engine) exists(p string) Truth {
	p = path.Clean(p)
	if w := e.written[p]; w != nil {
		if w.sure {
			return True
		}
		if !e.v.Exists(p) {
			return Unknown
		}
	}
	if e.v.Exists(p) || e.file(p) != nil {
		return True
	}
	at := e.fs.absolute(p)
	for _, x := range e.fs.list {
		if _, ok := under(at, x.target); !ok {
			continue
		}
		if x.target == at && x.sure {
			return True
		}
		if at != x.target {
			continue
		}
		return Unknown
	}
	if madeAtRunTime(at) || madeAtRunTime(p) {
		return Unknown
	}
	for _, m := range e.mounts {
		if _, ok := under(at, m.target); ok {
			return Unknown
		}
	}
	return False
}

// madeAtRunTime says that a path lies where the kernel, a memory file system or
// removable storage puts things.
func madeAtRunTime(p string) bool {
	for _, dir := range []string{"/proc", "/sys", "/dev", "/tmp", "/var", "/run", "/mnt", "/media", "/ram", "/ramdisk", "/sdcard", "/data", "/overlay", "/jffs", "/jffs2", "/nvram", "/config", "/cfg", "/opt", "/home", "/root", "/usr/local", "/mnt1", "/mnt2", "/usbdisk", "/shares", "/storage"} {
		if _, ok := under(p, dir); ok {
			return true
		}
	}
	return false
}

// content is the text of a file as it is when the system runs.
func (e *engine) content(p string) (value, *product.File) {
	p = path.Clean(p)
	if w := e.written[p]; w != nil {
		return value{text: w.s, unknown: w.unknown || !w.sure}, nil
	}
	if f := e.file(p); f != nil {
		if t := f.Text(); f.Type.IsText() && len(t) <= maxOutput {
			return known(t), f
		}
		return unknownValue(path.Base(p)), f
	}
	return unknownValue(path.Base(p)), nil
}

// searchPath is where programs are looked up, after the folders that a script
// adds.
var searchPath = []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/system/bin", "/system/xbin", "/vendor/bin", "/opt/bin", "/opt/sbin", "/userfs/bin", "/app", "/app/bin", "/mnt/mtd", "/home", "/usr/etc", "/etc"}

// program finds a program by name or path; where is its absolute path.
func (e *engine) program(name, paths, cwd string) (f *product.File, where string) {
	if name == "" || strings.ContainsRune(name, 0) {
		return nil, name
	}
	if strings.Contains(name, "/") {
		p := name
		if !strings.HasPrefix(p, "/") {
			p = path.Join(cwd, p)
		}
		p = path.Clean(p)
		return e.runnable(p), p
	}
	n := 0
	for dir := range strings.SplitSeq(paths, ":") {
		if n++; n > 32 || !strings.HasPrefix(dir, "/") {
			continue
		}
		if f := e.runnable(path.Join(dir, name)); f != nil {
			return f, path.Join(dir, name)
		}
	}
	for _, dir := range searchPath {
		if f := e.runnable(dir + "/" + name); f != nil {
			return f, dir + "/" + name
		}
	}
	return nil, name
}

func (e *engine) runnable(p string) *product.File {
	f := e.file(p)
	if f == nil || f.Type != unpack.TypeELF && !f.Type.IsText() {
		return nil
	}
	return f
}
