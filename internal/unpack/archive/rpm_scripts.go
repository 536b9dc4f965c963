package archive

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// rpmScripts are the scripts of a package, under the names that Debian's have
// where there is one, and the tags of their text and their interpreter.
var rpmScripts = []struct {
	name      string
	text, run uint32
}{
	{"preinst", 1023, 1085},
	{"postinst", 1024, 1086},
	{"prerm", 1025, 1087},
	{"postrm", 1026, 1088},
	{"verify", 1079, 1091},
	{"pretrans", 1151, 1153},
	{"posttrans", 1152, 1154},
	{"preuntrans", 5104, 5106},
	{"postuntrans", 5105, 5107},
}

// rpmTriggers are scripts that other packages' installation or files set off.
var rpmTriggers = []struct {
	name      string
	text, run uint32
}{
	{"trigger", 1065, 1092},
	{"filetrigger", 5066, 5067},
	{"transfiletrigger", 5076, 5077},
}

// control is the header as a part: its bytes, which the inventory reads, and
// the scripts as files. A script gets the first line that names its
// interpreter, as rpm runs it.
func (p *rpmPackage) control() unpack.Part {
	h := p.header
	raw := unpack.Slice(h.raw)
	entries := []unpack.Entry{{Path: RPMHeader, Mode: 0o644, Data: unpack.Slice(h.raw[8:])}}
	script := func(name, run, text string) {
		if text == "" {
			return
		}
		if run == "<lua>" {
			name += ".lua"
		} else if !strings.HasPrefix(text, "#!") {
			text = "#!" + run + "\n" + text
		}
		entries = append(entries, unpack.Entry{Path: name, Mode: 0o755, Data: unpack.Slice(text), Order: int64(len(entries))})
	}
	interpreter := func(list []string) string {
		if len(list) == 0 || list[0] == "" {
			return "/bin/sh"
		}
		return strings.Join(list, " ")
	}
	for _, s := range rpmScripts {
		script(s.name, interpreter(h.texts(s.run)), h.text(s.text))
	}
	for _, s := range rpmTriggers {
		run := h.texts(s.run)
		for i, text := range h.texts(s.text) {
			script(fmt.Sprintf("%s-%d", s.name, i), interpreter(run[min(i, len(run)):min(i+1, len(run))]), text)
		}
	}
	o := &unpack.Object{Format: "rpm header", Size: raw.Size(), Entries: entries, System: true}
	return unpack.Part{Name: "header", Data: raw, Offset: p.start, Object: o}
}

// RPMHeader is the name of the header's bytes among a package's scripts.
const RPMHeader = "rpm-header"
