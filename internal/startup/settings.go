package startup

import (
	"bytes"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// maxSettings is how many shipped defaults are kept.
const maxSettings = 50_000

// maxDefaults is the size up to which data is read as a table of settings.
const maxDefaults = 1 << 20

// readSettings collects the shipped defaults: files of KEY=value whose name
// says that they are defaults, property files, boot-loader environments, and
// tables that are separated by NUL.
func readSettings(p *product.Product, log *Log) {
	into := log.Settings
	for _, f := range p.Files {
		if f.Deleted() || f.Size > maxDefaults && !f.Type.IsText() || !defaultsFile(f) {
			continue // large data is no table of settings
		}
		for _, line := range settingLines(f) {
			k, v, ok := strings.Cut(line, "=")
			k = strings.TrimPrefix(strings.TrimSpace(k), "export ")
			if !ok || !settingName(k) {
				continue
			}
			if _, old := into[k]; old {
				continue
			}
			if len(into) >= maxSettings {
				log.limit(Limit{File: f, Volume: f.Volume, Note: fmt.Sprintf("more than %d shipped settings: the rest was not read", maxSettings)})
				break
			}
			into[k] = unquote(strings.TrimSpace(v))
		}
	}
}

func settingLines(f *product.File) []string {
	if f.Type.IsText() {
		return strings.Split(strings.ReplaceAll(f.Text(), "\r", ""), "\n")
	}
	var lines []string
	for _, part := range bytes.Split(f.Bytes(), []byte{0}) {
		if len(part) > 2 && len(part) < 512 && len(lines) < maxSettings {
			lines = append(lines, string(part))
		}
	}
	return lines
}

// defaultsFile says by its name that a file holds shipped settings.
func defaultsFile(f *product.File) bool {
	name := strings.ToLower(f.Base())
	if f.Type == unpack.TypeELF || f.Type == unpack.TypeMedia || f.Type == unpack.TypeScript {
		return false
	}
	for _, ext := range []string{".html", ".htm", ".js", ".css", ".so", ".png", ".sh", ".lua", ".php", ".asp", ".service", ".rules", ".h"} {
		if strings.HasSuffix(name, ext) {
			return false
		}
	}
	if name == "build.prop" || name == "default.prop" || name == "prop.default" {
		return true
	}
	for _, word := range []string{"nvram", "default", "factory", "mib", "uboot-env", "u-boot-env", "fw_env"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return f.Volume == nil && strings.Contains(name, "env")
}

func settingName(k string) bool {
	if k == "" || len(k) > 100 || k[0] == '#' {
		return false
	}
	for i := range len(k) {
		c := k[i]
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("_.-:@", c) >= 0) {
			return false
		}
	}
	return true
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

// setting is a setting's value as shipped, or as a script changed it.
func (s *shell) shipped(name string) value {
	if v, ok := s.settings[name]; ok {
		return value{text: v, setting: name, unknown: strings.HasPrefix(v, "$")}
	}
	if v, ok := s.log.Settings[name]; ok {
		return value{text: v, setting: name}
	}
	return value{text: "$" + name, unknown: true, setting: name}
}

// fetch prints a setting.
func (s *shell) fetch(name value) (result, bool) {
	v := unknownValue("_")
	if !name.unknown {
		v = s.shipped(name.text)
	}
	if !v.unknown {
		v.text += "\n"
	}
	s.print(v)
	return result{}, true
}

// change records that a setting is set.
func (s *shell) change(name, v value, n syntax.Node) (result, bool) {
	s.happen(Event{Kind: Set, Target: name.text, Text: v.text}, n)
	if len(s.settings) >= maxSettings {
		s.limit("scripts change more than %d settings: the rest was not kept", maxSettings)
	} else if !name.unknown && s.alive() {
		if s.sure() {
			s.settings[name.text] = v.text
		} else if old := s.shipped(name.text); old.unknown || old.text != v.text {
			if s.conds[len(s.conds)-1].Name != name.text {
				s.settings[name.text] = "$" + name.text
			}
		}
	}
	return succeeded, true
}

func nvram(s *shell, args []value, n syntax.Node) (result, bool) {
	for i, a := range args {
		switch a.text {
		case "get", "-g", "bufget":
			return s.fetch(last(args[i+1:]))
		case "set", "-s", "bufset", "restore_default", "default_set":
			return s.setPair(args[i+1:], n)
		}
	}
	return result{}, true
}

func last(args []value) value {
	if len(args) == 0 {
		return value{unknown: true}
	}
	return args[len(args)-1]
}

// setPair is set NAME=VALUE or set NAME VALUE.
func (s *shell) setPair(args []value, n syntax.Node) (result, bool) {
	if len(args) == 0 {
		return result{}, true
	}
	if k, v, ok := strings.Cut(args[0].text, "="); ok {
		return s.change(known(k), value{text: v, unknown: args[0].unknown && strings.Contains(v, "$")}, n)
	}
	if len(args) > 1 {
		return s.change(args[len(args)-2], args[len(args)-1], n)
	}
	return result{}, true
}

func nvramGet(s *shell, args []value, n syntax.Node) (result, bool) { return s.fetch(last(args)) }
func nvramSet(s *shell, args []value, n syntax.Node) (result, bool) { return s.setPair(args, n) }

// tcapi get NODE KEY and set NODE KEY VALUE.
func tcapi(s *shell, args []value, n syntax.Node) (result, bool) {
	if len(args) >= 3 && args[0].text == "get" {
		return s.fetch(known(args[1].text + "." + args[2].text))
	}
	if len(args) >= 4 && args[0].text == "set" {
		return s.change(known(args[1].text+"."+args[2].text), args[3], n)
	}
	return result{}, true
}

// xmldbc -g PATH and -s PATH VALUE.
func xmldbc(s *shell, args []value, n syntax.Node) (result, bool) {
	for i, a := range args {
		if (a.text == "-g" || a.text == "-w") && i+1 < len(args) {
			return s.fetch(args[i+1])
		}
		if a.text == "-s" && i+2 < len(args) {
			return s.change(args[i+1], args[i+2], n)
		}
	}
	return result{}, true
}

func fwPrint(s *shell, args []value, n syntax.Node) (result, bool) {
	opts, rest := operands(args, "c")
	if len(rest) == 0 {
		return s.fetch(value{unknown: true})
	}
	if _, bare := opts['n']; bare {
		return s.fetch(rest[len(rest)-1])
	}
	v := s.shipped(rest[len(rest)-1].text)
	v.text = rest[len(rest)-1].text + "=" + v.text + "\n"
	s.print(v)
	return result{}, true
}

func fwSet(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "cs")
	if len(rest) == 0 {
		return result{}, true
	}
	var text value
	for i, a := range rest[1:] {
		if i > 0 {
			text.text += " "
		}
		text = join(text, a)
	}
	return s.change(rest[0], text, n)
}

func getprop(s *shell, args []value, n syntax.Node) (result, bool) {
	if len(args) == 0 {
		return result{}, true
	}
	v := s.shipped(args[0].text)
	if v.unknown && len(args) > 1 {
		v = args[1]
		v.setting = args[0].text
	}
	if !v.unknown {
		v.text += "\n"
	}
	s.print(v)
	return succeeded, true
}

func setprop(s *shell, args []value, n syntax.Node) (result, bool) {
	if len(args) < 2 {
		return result{}, true
	}
	return s.change(args[0], args[1], n)
}

func sysctl(s *shell, args []value, n syntax.Node) (result, bool) {
	for _, a := range args {
		if k, v, ok := strings.Cut(a.text, "="); ok {
			s.happen(Event{Kind: Set, Target: strings.TrimSpace(k), Text: strings.TrimSpace(v)}, n)
		}
	}
	return result{}, true
}
