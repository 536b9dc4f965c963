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
		in.headerComponent(n, place)
		if seen[c] {
			return
		}
		seen[c] = true
		in.headerProduct(c, place)
		for _, child := range c.Children {
			visit(child, append(place[:len(place):len(place)], child.Step))
		}
	}
	visit(in.product.Root, []string{in.product.Root.Step})
}

// headerProducts are what readers name as the product of an object, with its
// name as a component and its maker.
var headerProducts = map[string][2]string{
	"SeaBIOS":    {"seabios", "SeaBIOS developers"},
	"Intel ME":   {"intel-me", "Intel"},
	"Intel CSME": {"intel-csme", "Intel"},
	"coreboot":   {"coreboot", "coreboot project"},
}

// headerProduct lists firmware whose headers tell product and version.
func (in *inventory) headerProduct(c *unpack.Content, place []string) {
	if c.Object == nil {
		return
	}
	info := c.Object.Info
	if info["table"] != "" && c.Reader == "acpi-table" {
		in.acpiTable(c, place)
		return
	}
	p, ok := headerProducts[info["product"]]
	if info["loader"] == "TF-A" {
		p, ok = [2]string{"trusted-firmware-a", "Arm"}, true
	}
	if !ok || info["version"] == "" {
		return
	}
	version := strings.TrimPrefix(info["version"], "v")
	detail := map[string]string{}
	for _, key := range []string{"date", "signature", "partition", "board", "architecture"} {
		if info[key] != "" {
			detail[key] = info[key]
		}
	}
	in.add(nil, doorward.Component{
		Type: "firmware", Name: p[0], Version: version, Maker: p[1], PURL: purl("generic", "", p[0], version),
		SHA256: c.SHA256, Where: []doorward.Where{{Path: place, SHA256: c.SHA256}}, Found: "content", Detail: detail,
	})
}

// acpiTable lists a table of ACPI under the maker's name for it.
func (in *inventory) acpiTable(c *unpack.Content, place []string) {
	info := c.Object.Info
	name := "acpi-" + strings.ToLower(info["table"])
	in.add(nil, doorward.Component{
		Type: "firmware", Name: name, Version: info["revision"], Maker: info["maker"], PURL: purl("generic", "", name, info["revision"]),
		SHA256: c.SHA256, Where: []doorward.Where{{Path: place, SHA256: c.SHA256}}, Found: "content", Detail: map[string]string{"name": info["name"], "made by": info["made by"]},
	})
}

// headerComponent lists a file whose header tells its name and version.
func (in *inventory) headerComponent(n *unpack.Node, place []string) {
	if n.Entry == nil || n.Entry.Xattrs["component.version"] == "" {
		return
	}
	x := n.Entry.Xattrs
	in.add(nil, doorward.Component{
		Type: "firmware", Name: x["component.name"], Version: x["component.version"], Maker: x["component.maker"], PURL: purl("generic", "", x["component.name"], x["component.version"]),
		Where: []doorward.Where{{Path: place}}, Found: "content", Detail: map[string]string{},
	})
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
