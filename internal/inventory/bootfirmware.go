package inventory

import (
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// bootFirmware lists what firmware says of itself outside of programs: a legacy
// BIOS, and microcode updates. Whether they can be read does not matter, only
// what their headers say.
func (in *inventory) bootFirmware() {
	seen := map[*unpack.Content]bool{}
	var visit func(n *unpack.Node, place []string)
	visit = func(n *unpack.Node, place []string) {
		c := n.Content
		if c == nil {
			return
		}
		in.microcode(n, place)
		if seen[c] {
			return
		}
		seen[c] = true
		if o := c.Object; o != nil && o.Info["product"] == "SeaBIOS" && o.Info["version"] != "" {
			in.add(nil, doorward.Component{
				Type: "firmware", Name: "seabios", Version: o.Info["version"], Maker: "SeaBIOS developers", PURL: purl("generic", "", "seabios", o.Info["version"]),
				SHA256: c.SHA256, Where: []doorward.Where{{Path: place, SHA256: c.SHA256}}, Found: "content", Detail: map[string]string{"date": o.Info["date"]},
			})
		}
		for _, child := range c.Children {
			visit(child, append(place[:len(place):len(place)], child.Step))
		}
	}
	visit(in.product.Root, []string{in.product.Root.Step})
}

// microcode lists an update by the processor that it is for.
func (in *inventory) microcode(n *unpack.Node, place []string) {
	if n.Entry == nil || n.Entry.Xattrs["microcode.revision"] == "" {
		return
	}
	x := n.Entry.Xattrs
	name := "microcode-" + strings.ToLower(x["cpu.maker"]) + "-" + x["cpu.signature"]
	in.add(nil, doorward.Component{
		Type: "firmware", Name: name, Version: x["microcode.revision"], Maker: x["cpu.maker"], PURL: purl("generic", "", name, x["microcode.revision"]),
		Where: []doorward.Where{{Path: place}}, Found: "content", Detail: map[string]string{"date": x["microcode.date"]},
	})
}

// uefiModule gives a program of a firmware volume the name and version of its
// module.
func uefiModule(f *product.File, c *doorward.Component) {
	if f.Entry == nil || f.Entry.Xattrs["uefi.guid"] == "" {
		return
	}
	c.Name = strings.TrimSuffix(c.Name, ".efi")
	c.Detail["guid"], c.Detail["module"] = f.Entry.Xattrs["uefi.guid"], f.Entry.Xattrs["uefi.type"]
	if v := f.Entry.Xattrs["uefi.version"]; v != "" && c.Version == "" {
		c.Version = v
	}
	c.PURL = purl("generic", "", c.Name, c.Version)
}
