package firmware

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
	"github.com/doorward/doorward/internal/unpack"
)

// flashes are strings of programs that write the product's storage.
var flashes = []string{"/dev/mtd", "mtd write", "mtd_write", "sysupgrade", "flashcp", "nandwrite"}

var updateWord = regexp.MustCompile(`(?i)update|upgrade|firmware|fota|\bota\b|/fw/|\.bin\b|\.img\b|patch`)

// programs finds programs that something starts, that know an update address
// and that write to flash.
func (u *updates) programs() {
	started := map[*product.File]*startup.Event{}
	for i := range u.log.Events {
		e := &u.log.Events[i]
		if e.Kind == startup.Start && e.File != nil && e.File.Type == unpack.TypeELF && stateOf(e) != never && started[e.File] == nil {
			started[e.File] = e
		}
	}
	for _, f := range u.product.Files {
		e := started[f]
		if e == nil || boxed(f) || linksTo(f) >= boxLinks || !hasPattern(f, flashes) {
			continue
		}
		u.program(f, e)
	}
}

func hasPattern(f *product.File, patterns []string) bool {
	for _, p := range patterns {
		if f.Has(p) {
			return true
		}
	}
	return false
}

func (u *updates) program(f *product.File, e *startup.Event) {
	b := f.Bytes()
	n := 0
	for _, p := range []string{"http://", "https://"} {
		for _, off := range f.Hits(p) {
			url := urlAt(b, off)
			end, ok := parseURL(url)
			if !ok || !updateWord.MatchString(url) || endsAsDocument(url) || n >= 16 {
				continue
			}
			n++
			c := channel{file: f, host: end.host, url: end.url, signed: "unknown", clear: clearSchemes[end.scheme], reach: doorward.Remote, certainty: doorward.Likely, offset: &off}
			c.what = fmt.Sprintf("%s knows updates at %s and writes flash", f.Base(), end.host)
			if importsVerify(f) {
				c.signed = "true"
			}
			c.evidence = []doorward.Evidence{{What: url, Note: "assumed: the program installs what it gets from here, since it also names the flash", Offset: &off}}
			c.evidence = append(c.evidence, doorward.Evidence{What: e.By.Text, Note: "starts the program", Path: e.By.File.Path, Line: e.By.Line})
			c.check = fmt.Sprintf("Run strings -t x on /%s in the unpacked file system and look at what stands around the address.", f.Path)
			u.add(c)
		}
	}
}

// urlAt is the printable text around an offset that starts there.
func urlAt(b []byte, off int64) string {
	if off < 0 || off >= int64(len(b)) {
		return ""
	}
	t := b[off:min(int64(len(b)), off+512)]
	if end := bytes.IndexFunc(t, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '<' }); end >= 0 {
		t = t[:end]
	}
	return string(t)
}

var acsKey = regexp.MustCompile(`(?i)(?:acs[_.-]?url|acs[_.-]?server|acs[_.-]?addr(?:ess)?|(?:tr-?069|cwmp)[\w.-]*url|ManagementServer\.URL)["'\]]*\s*(?:[=: ]|>|value\s*=)\s*["']?((?:https?://)[^\s"'<,;]+)`)

// acsElement opens what an XML configuration tells of the server, and
// urlElement is its address there.
var (
	acsElement = regexp.MustCompile(`(?i)<(?:ManagementServer|acs)[\s>]`)
	urlElement = regexp.MustCompile(`(?i)<(?:url|address|server)>\s*(https?://[^\s"'<,;]+)`)
)

// remoteManagement finds TR-069 clients: their server rules the product.
func (u *updates) remoteManagement() {
	client := u.cwmpClient()
	if client == nil {
		return
	}
	n := 0
	for _, f := range u.product.Files {
		if !f.Type.IsText() || f.Deleted() || f.Size > 2<<20 || !hasPattern(f, []string{"acs", "ACS", "Acs", "ManagementServer", "tr069", "cwmp"}) || n >= 32 {
			continue
		}
		near := 0 // lines since an element that is about the server was opened
		for i, line := range strings.Split(f.Text(), "\n") {
			t := strings.TrimSpace(line)
			m := acsKey.FindStringSubmatch(t)
			if near--; acsElement.MatchString(t) {
				near = 12
			}
			if m == nil && near > 0 {
				m = urlElement.FindStringSubmatch(t)
			}
			if strings.Contains(strings.ToLower(t), "</managementserver") || strings.Contains(strings.ToLower(t), "</acs") {
				near = 0
			}
			if m == nil || t[0] == '#' || strings.HasPrefix(t, "<!--") {
				continue
			}
			end, ok := parseURL(m[1])
			if !ok {
				continue
			}
			n++
			c := channel{file: f, host: end.host, url: m[1], signed: "unknown", clear: clearSchemes[end.scheme], reach: doorward.Remote, certainty: doorward.Shown}
			c.what = "TR-069: " + end.host + " rules the product"
			c.evidence = []doorward.Evidence{{What: t[:min(len(t), 300)], Note: "the server that the client connects to", Line: i + 1}, {What: client.By.Text, Note: "starts the client", Path: client.By.File.Path, Line: client.By.Line}}
			u.add(c)
		}
	}
	if n > 0 {
		return
	}
	f := client.By.File
	c := channel{file: f, signed: "unknown", reach: doorward.Remote, certainty: doorward.Likely, lighter: 1}
	c.what = "TR-069: " + path.Base(client.Program) + " takes orders from a server that is set later"
	c.evidence = []doorward.Evidence{evidenceOf(client.By, "starts the client; assumed: its server is given by the network or a setting")}
	u.add(c)
}

// cwmpClient is the start of a TR-069 client.
func (u *updates) cwmpClient() *startup.Event {
	var best *startup.Event
	for i := range u.log.Events {
		e := &u.log.Events[i]
		if e.Kind != startup.Start || e.File == nil || e.By.File == nil || stateOf(e) == never {
			continue
		}
		if d := daemons().daemons[e.Applet]; (d == nil || d.name != "cwmpd") && !cwmpName.MatchString(e.Applet) {
			continue
		}
		if best == nil || stateOf(e) < stateOf(best) {
			best = e
		}
	}
	return best
}

var cwmpName = regexp.MustCompile(`(?i)^(?:tr-?0?69|cwmp)|(?:tr-?069|cwmp)[cd]?$`)
