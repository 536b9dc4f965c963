package firmware

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// ipxeFetch are the commands of iPXE that fetch and run, or boot from, what a
// URL names.
var ipxeFetch = regexp.MustCompile(`^\s*(?:[:\w]+\s+)?(chain|kernel|imgfetch|module|initrd|boot|sanboot|imgexec)\s(?:.*\s)?((?:https?|tftp|ftp|nfs|iscsi):[^\s|&]+)`)

const maxIPXEScript = 64 << 10

// ipxe finds scripts that are built into iPXE and boot from a place that is
// fixed. The mark alone stands in every iPXE: it tells scripts by it.
func (b *bootFirmware) ipxe(f *product.File) {
	all := f.Bytes()
	for _, at := range f.Hits(ipxeMark) {
		script := all[at:min(at+maxIPXEScript, int64(len(all)))]
		if end := bytes.IndexByte(script, 0); end >= 0 {
			script = script[:end]
		}
		if b.ipxeScript(f, at, string(script)) {
			return
		}
	}
}

// ipxeScript reports the first place that a script boots from.
func (b *bootFirmware) ipxeScript(f *product.File, at int64, script string) bool {
	signed := strings.Contains(script, "imgverify") || strings.Contains(script, "imgtrust")
	for line := range strings.Lines(script) {
		from := at
		at += int64(len(line))
		m := ipxeFetch.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		u, err := url.Parse(m[2])
		if err != nil || u.Hostname() == "" || strings.Contains(u.Host, "$") {
			continue
		}
		clear := u.Scheme != "https"
		hidden, word := doorward.Open, "false"
		if signed {
			hidden, word = doorward.Checked, "true"
		}
		b.out.Door(doorward.Door{
			Kind: doorward.KindUpdate, Title: "iPXE boots what " + u.Hostname() + " sends, by a script that is built in", Reach: doorward.Remote,
			Stages: []doorward.Stage{doorward.Access, doorward.Transmit}, Certainty: doorward.Shown,
			Weight: doorward.Weigh(doorward.Change, doorward.Remote, hidden, clear), References: []string{"CWE-494"},
			Detail: doorward.Detail{"what": "network-boot", "host": u.Hostname(), "url": m[2], "path": f.Path, "signed": word}, Where: f.WhereAt(from),
			Evidence: []doorward.Evidence{{What: cut(strings.TrimSpace(line), 200), Offset: &from, Path: f.Path, Note: "it runs each time the product boots from this ROM"}},
			Check:    "Watch the network while iPXE starts, or read the script with strings.",
		})
		return true
	}
	return false
}
