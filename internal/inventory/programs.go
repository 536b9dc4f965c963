package inventory

import (
	"path"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// programs lists the programs, libraries and raw code that no package covers.
func (in *inventory) programs() {
	for _, f := range in.product.Files {
		if in.covered[f] || f.Deleted() || f.Type.IsText() || f.Type == unpack.TypeMedia || f.Size == 0 {
			continue
		}
		if in.around(f) != nil && f.Volume == nil && in.isCovered(f) {
			continue
		}
		if info := f.Program(); info != nil {
			in.program(f, info)
		} else if f.Type == unpack.TypeCode || f.Type == unpack.TypeData {
			in.raw(f)
		}
	}
}

// isCovered says that a blob lies in a package's file.
func (in *inventory) isCovered(f *product.File) bool {
	c := in.around(f)
	return c != nil && c.Found != "elf" && c.Found != "content" && c.Found != "release"
}

// program lists an ELF, PE or Mach-O file and the libraries built into it.
func (in *inventory) program(f *product.File, info *executable.Info) {
	if info.Kind == executable.KernelModule || info.Kind == executable.Object || info.Kind == executable.Core {
		return
	}
	found := matches(f, info)
	own := -1
	for i, m := range found {
		if in.isItself(f, info, m.known) && (own < 0 || nameFits(f, info, m.known) && !nameFits(f, info, found[own].known)) {
			own = i
		}
	}
	c := doorward.Component{Type: componentType(info), Name: programName(f, info), SHA256: f.SHA256, Where: f.Where(), Found: "elf", Detail: identify(info)}
	c.PURL = purl("generic", "", c.Name, "")
	uefiModule(f, &c)
	if own >= 0 {
		found[own].describe(&c)
	}
	if info.Go != nil {
		goMain(&c, info.Go)
	}
	if info.Format == "pe" {
		sbat(f, &c)
	}
	if c.Version != "" && in.named[scope{f.Volume, c.Name}] {
		return
	}
	if os := in.os[f.Volume]; os != nil && f.Volume != nil {
		c.Parent = os.BOMRef
	}
	listed := in.add(volumeOf(f, &c), c)
	in.owner[f] = listed
	for i, m := range found {
		if i != own && !sameAs(m, found, own) {
			in.embedded(f, m, listed)
		}
	}
	if info.Go != nil {
		in.goModules(f, info.Go, listed)
	}
}

func sameAs(m match, found []match, own int) bool {
	return own >= 0 && m.known.name == found[own].known.name && m.version == found[own].version
}

// embedded lists a library that is built into a program.
func (in *inventory) embedded(f *product.File, m match, parent *doorward.Component) {
	if in.named[scope{f.Volume, m.known.name}] {
		return
	}
	c := doorward.Component{Type: m.known.kind, Where: f.WhereAt(m.offset), Found: "content"}
	m.describe(&c)
	if parent != nil && parent.Name != c.Name {
		c.Parent = parent.BOMRef
	}
	in.add(f.Volume, c)
}

// raw lists what stands in code without a program's header: boot loaders,
// kernels, whole systems in one image.
func (in *inventory) raw(f *product.File) {
	for _, m := range matches(f, nil) {
		if f.Type == unpack.TypeData && !isSystem(m.known.kind) {
			continue // data that names a program is a list or a page
		}
		c := doorward.Component{Type: m.known.kind, Where: f.WhereAt(m.offset), SHA256: f.SHA256, Found: "content"}
		m.describe(&c)
		listed := in.add(volumeOf(f, &c), c)
		if in.owner[f] == nil {
			in.owner[f] = listed
		}
	}
}

func isSystem(kind string) bool { return kind == "firmware" || kind == "operating-system" }

// volumeOf is where a component is listed once: kernels and boot loaders are of
// the whole product, wherever they lie.
func volumeOf(f *product.File, c *doorward.Component) *product.Volume {
	if isSystem(c.Type) {
		return nil
	}
	return f.Volume
}

func componentType(info *executable.Info) string {
	if info.Kind == executable.Library {
		return "library"
	}
	return "application"
}

// programName is what a library calls itself, else the file's name.
func programName(f *product.File, info *executable.Info) string {
	if info.SoName != "" {
		return stem(info.SoName)
	}
	return path.Base(f.Path)
}

// identify puts the facts of a program into words.
func identify(info *executable.Info) map[string]string {
	m := map[string]string{"format": info.Format, "arch": info.Arch}
	if info.Format == "elf" {
		m["hardening"] = info.Hardening.String()
	}
	set := func(key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	set("libc", string(info.Libc))
	set("build-id", info.BuildID)
	set("compiler", strings.Join(info.Compilers[:min(len(info.Compilers), 3)], "; "))
	set("needed", strings.Join(info.Needed, " "))
	set("soname", info.SoName)
	set("stripped", yesNo(info.Stripped))
	if info.Static {
		set("linking", "static")
	}
	return m
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// isItself says that the file is the well-known thing and does not merely hold
// it: a library whose name says so, or any program that a program's text names.
func (in *inventory) isItself(f *product.File, info *executable.Info, k *known) bool {
	if info.Kind == executable.Library {
		return nameFits(f, info, k) || slices.Contains(k.libs, stem(f.Path))
	}
	return k.kind == "application" || nameFits(f, info, k)
}

func nameFits(f *product.File, info *executable.Info, k *known) bool {
	for _, name := range []string{stem(f.Path), stem(info.SoName)} {
		if name != "" && (name == k.name || slices.Contains(k.libs, name)) {
			return true
		}
		for _, lib := range k.libs {
			if prefix, ok := strings.CutSuffix(lib, "*"); ok && strings.HasPrefix(name, prefix) {
				return true
			}
		}
	}
	return false
}
