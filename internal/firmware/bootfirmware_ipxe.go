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

const (
	maxIPXEScript = 64 << 10
	ipxeSite      = "http://ipxe.org" // every iPXE shows it, packed ones in their unpacked head
	ipxePrompt    = "Press Ctrl-B "
)

// ipxeItself finds iPXE in the firmware: it boots what DHCP names, and a key opens
// its shell. scripted are the files with a script of their own.
func (b *bootFirmware) ipxeItself(scripted map[*product.File]bool) {
	var boots, prompts []*product.File
	efi := false
	for _, f := range b.product.Files {
		if !f.Has(ipxeSite) || f.Type.IsText() || !inFirmware(f) {
			continue
		}
		if !scripted[f] {
			boots = append(boots, f)
			efi = efi || f.Type.Executable()
		}
		if f.Has(ipxePrompt) {
			prompts = append(prompts, f)
		}
	}
	b.out.Looked(doorward.KindUpdate, len(boots), "iPXE")
	if len(boots) > 0 {
		hidden, note := doorward.Open, "iPXE boots what the network's DHCP server names, and nothing checks it"
		if efi {
			hidden, note = doorward.Checked, "iPXE boots what the network's DHCP server names; assumes that the board's secure boot is switched on and checks it"
		}
		d := doorward.Door{
			Kind: doorward.KindUpdate, Title: "iPXE boots from the network", Reach: doorward.Adjacent, Stages: []doorward.Stage{doorward.Signal, doorward.Access}, Certainty: doorward.Likely,
			Weight: doorward.Weigh(doorward.Change, doorward.Adjacent, hidden, true), References: []string{"CWE-494"},
			Detail: doorward.Detail{"what": "network-boot", "protocol": "ipxe", "signed": map[bool]string{true: "unknown", false: "false"}[efi]},
			Check:  "Watch the network while the product starts with nothing to boot from: it asks by DHCP and fetches what the answer names.",
		}
		b.out.Door(placed(d, boots, ipxeSite, "iPXE", note))
	}
	if len(prompts) > 0 {
		d := debugDoor("boot-shell", "a key opens the shell of iPXE", doorward.Physical, doorward.Open)
		d.Check = "Press Ctrl-B while iPXE starts: its command line loads and starts whatever it is told."
		b.out.Door(placed(d, prompts, ipxePrompt, strings.TrimSpace(ipxePrompt), "its shell fetches and starts what is typed"))
	}
}

// ipxe finds scripts that are built into iPXE and boot from a place that is
// fixed. The mark alone stands in every iPXE: it tells scripts by it.
func (b *bootFirmware) ipxe(f *product.File) bool {
	all := f.Bytes()
	for _, at := range f.Hits(ipxeMark) {
		script := all[at:min(at+maxIPXEScript, int64(len(all)))]
		if end := bytes.IndexByte(script, 0); end >= 0 {
			script = script[:end]
		}
		if b.ipxeScript(f, at, string(script)) {
			return true
		}
	}
	return false
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
