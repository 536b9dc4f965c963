package inventory

import (
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

var kernelRelease = regexp.MustCompile(`^(\d+\.\d+(?:\.\d+){0,2})`)

// kernels lists the kernels that a reader opened, by their banner.
func (in *inventory) kernels() {
	seen := map[*unpack.Content]bool{}
	var visit func(n *unpack.Node, place []string)
	visit = func(n *unpack.Node, place []string) {
		c := n.Content
		if c == nil || seen[c] {
			return
		}
		seen[c] = true
		if c.Object != nil && strings.HasPrefix(c.Object.Info["banner"], "Linux version ") {
			in.kernel(c, place)
		}
		for _, child := range c.Children {
			visit(child, append(place[:len(place):len(place)], child.Step))
		}
	}
	visit(in.product.Root, []string{in.product.Root.Step})
}

func (in *inventory) kernel(c *unpack.Content, place []string) {
	banner := c.Object.Info["banner"]
	release, _, _ := strings.Cut(strings.TrimPrefix(banner, "Linux version "), " ")
	in.addKernel(nil, release, banner, []doorward.Where{{Path: place, SHA256: c.SHA256}}, c.SHA256)
}

// addKernel lists a kernel by its release, such as 3.10.14-vendor+, unless a
// package covers it.
func (in *inventory) addKernel(v *product.Volume, release, banner string, where []doorward.Where, sum string) *doorward.Component {
	version := kernelRelease.FindString(release)
	if version == "" {
		return nil
	}
	c := doorward.Component{
		Type: "operating-system", Name: "linux", Version: version, Maker: "Linux kernel developers", PURL: purl("generic", "", "linux", version),
		CPE: cpe23("o:linux:linux_kernel", version, ""), SHA256: sum, Where: where, Found: "content", Detail: map[string]string{"release": release},
	}
	if banner != "" {
		c.Detail["banner"] = banner
	}
	return in.add(v, c)
}

// modules lists kernel modules that no package covers. They belong to the kernel
// of their release; if it is not in the product, their own mark tells which it is.
func (in *inventory) modules() {
	for _, f := range in.product.Files {
		if in.covered[f] || f.Deleted() {
			continue
		}
		if info := f.Program(); info != nil && info.Kind == executable.KernelModule {
			in.module(f, info)
		}
	}
}

func (in *inventory) module(f *product.File, info *executable.Info) {
	release, _, _ := strings.Cut(info.ModInfo["vermagic"], " ")
	name := strings.TrimSuffix(path.Base(f.Path), ".ko")
	c := doorward.Component{
		Type: "device-driver", Name: name, Version: info.ModInfo["version"], Maker: person(info.ModInfo["author"]), SHA256: f.SHA256, Where: f.Where(), Found: "elf",
		PURL: purl("generic", "", name, info.ModInfo["version"]), Detail: map[string]string{"arch": info.Arch},
	}
	for _, key := range []string{"vermagic", "license", "description", "intree"} {
		if s := info.ModInfo[key]; s != "" {
			c.Detail[key] = s
		}
	}
	if k := in.kernelOf(f, release, info.ModInfo["vermagic"]); k != nil {
		c.Parent = k.BOMRef
	}
	in.owner[f] = in.add(f.Volume, c)
}

// kernelOf is the kernel that a module was built for.
func (in *inventory) kernelOf(f *product.File, release, vermagic string) *doorward.Component {
	for _, c := range in.list {
		if c.Name == "linux" && c.Detail["release"] == release {
			return c
		}
	}
	if release == "" {
		return nil
	}
	k := in.addKernel(nil, release, "", f.Where(), "")
	if k != nil {
		k.Detail["vermagic"] = vermagic
	}
	return k
}
