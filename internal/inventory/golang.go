package inventory

import (
	"debug/buildinfo"
	"path"
	"runtime/debug"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// maxModules bounds the modules of one program.
const maxModules = 2000

// goMain names a Go program by its main module.
func goMain(c *doorward.Component, bi *buildinfo.BuildInfo) {
	c.Detail["go"] = bi.GoVersion
	if bi.Path == "" || bi.Path == "command-line-arguments" {
		return
	}
	c.Found, c.Name = "buildinfo", path.Base(bi.Path)
	version := bi.Main.Version
	if version == "(devel)" {
		version = ""
	}
	c.Version = version
	if bi.Main.Path != "" {
		c.PURL = goPURL(bi.Main.Path, version)
	}
	for _, s := range bi.Settings {
		if s.Key == "vcs.revision" {
			c.Detail["revision"] = s.Value
		}
	}
}

func goPURL(module, version string) string {
	dir, base := path.Split(module)
	return purl("golang", strings.TrimSuffix(dir, "/"), base, version)
}

// goModules lists the modules that a Go program is made of, and the standard
// library, by the version of Go.
func (in *inventory) goModules(f *product.File, bi *buildinfo.BuildInfo, parent *doorward.Component) {
	list := []*debug.Module{}
	if v := strings.TrimPrefix(strings.Fields(bi.GoVersion + " ")[0], "go"); v != "" {
		list = append(list, &debug.Module{Path: "stdlib", Version: v})
	}
	list = append(list, bi.Deps[:min(len(bi.Deps), maxModules)]...)
	for _, m := range list {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version == "" || m.Version == "(devel)" {
			continue
		}
		in.add(f.Volume, doorward.Component{
			Type: "library", Name: m.Path, Version: m.Version, PURL: goPURL(m.Path, m.Version), Where: f.Where(), Found: "buildinfo", Parent: parent.BOMRef,
		})
	}
}
