package firmware

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// Destination finds the fixed hosts that a product contacts.
var Destination = &Detector{
	Name: "destination",
	Doc: "Finds fixed hosts and addresses that the product contacts: in commands of scripts, in configurations, and as endpoints in programs that open " +
		"connections. Says what contacts them, and whether in the clear. Leaves out licences, XML namespaces, documentation, examples, reserved names and private addresses.",
	Kinds:    []doorward.Kind{doorward.KindDestination},
	Requires: []string{"startup", "executable"},
	Patterns: append(slices.Clone(netImports), devicePatterns...),
	Scope:    detect.ProductAll,
	Run:      runDestination,
}

// netImports are the names of functions by which a program opens connections,
// as they stand in a table of dynamic symbols.
var netImports = []string{"\x00connect\x00", "\x00getaddrinfo\x00", "\x00gethostbyname\x00", "\x00curl_easy_perform\x00", "\x00sendto\x00", "\x00SSL_connect\x00", "\x00mosquitto_connect\x00"}

// sighting is one place where a host stands.
type sighting struct {
	endpoint
	file      *product.File
	line      int   // 1-based, of text
	offset    int64 // of programs
	text      string
	program   string // what contacts it
	certainty doorward.Certainty
	payload   string // the part of the text that shows that the product's data goes there
}

func runDestination(_ context.Context, p *product.Product, out *detect.Sink) error {
	var all []sighting
	for _, f := range p.Files {
		switch {
		case f.Deleted() || isDocumentation(f.Inner()):
		case f.Type.IsText():
			out.Looked(doorward.KindDestination, 1, "script or settings file")
			all = append(all, textSightings(f)...)
		case f.Type.Executable():
			out.Looked(doorward.KindDestination, 1, "program")
			all = append(all, programSightings(f)...)
			if f.Size > maxProgramText && opensConnections(f) {
				leftOut(out, f, maxProgramText, f.Size-maxProgramText, fmt.Sprintf("the strings of a program are read up to %d MiB", maxProgramText>>20))
			}
		case f.Type == unpack.TypeData:
			all = append(all, tableSightings(f)...)
		}
	}
	all = append(all, eventSightings(p)...)
	byHost := map[string][]sighting{}
	for _, s := range all {
		byHost[s.host] = append(byHost[s.host], s)
	}
	for _, host := range sortedKeys(byHost) {
		out.Door(destinationDoor(p, host, byHost[host]))
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

var documentationDirs = []string{"share/doc/", "share/doc-base/", "share/man/", "/man/man", "share/info/", "share/licenses/", "share/common-licenses/", "share/locale/", "share/i18n/", "share/zoneinfo/", "share/terminfo/", "share/lintian/", "share/bug/", "/examples/", "site-packages/", "dist-packages/", "node_modules/", "lib/python", "share/perl", "perl5/", "usr/include/", "var/lib/dpkg/", "usr/lib/opkg/", "lib/apk/", "share/mime/", "share/metainfo/", "share/gir", "share/applications/"}

var documentNames = set("readme", "copying", "license", "licence", "licenses", "changelog", "changes", "authors", "credits", "news", "notice", "copyright", "thanks", "todo", "os-release", "lsb-release", "issue", "control")

// settingEndings are endings of files that a machine reads, whatever their name.
var settingEndings = set("sh", "conf", "cfg", "ini", "json", "xml", "yaml", "yml", "lua", "py", "cgi", "bin", "db")

func set(words ...string) map[string]bool {
	m := map[string]bool{}
	for _, w := range words {
		m[w] = true
	}
	return m
}

// isDocumentation says that a file is read by people or by package managers.
func isDocumentation(p string) bool {
	p = "/" + strings.TrimSuffix(strings.TrimSuffix(p, ".gz"), ".xz")
	for _, dir := range documentationDirs {
		if strings.Contains(p, "/"+strings.TrimPrefix(dir, "/")) {
			return true
		}
	}
	base := strings.ToLower(path.Base(p))
	// The whole first word: controld.conf and issue-cmd.sh are no documents.
	stem, rest, _ := strings.Cut(base, ".")
	if documentNames[stem] && !settingEndings[rest] {
		return true
	}
	switch path.Ext(base) {
	case ".md", ".rst", ".html", ".htm", ".css", ".svg", ".map", ".po", ".tex", ".pod", ".dtd", ".xsd", ".yang", ".rng", ".xsl", ".pc", ".wsdl", ".h", ".hpp", ".c", ".sample", ".example", ".dist", ".pem", ".crt":
		return true
	}
	return false
}

var cited = func() map[string]bool {
	set := map[string]bool{}
	for _, d := range table("citations.txt") {
		set[d] = true
	}
	return set
}()

// isCited says that a host is one that texts cite.
func isCited(host string) bool {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	return cited[host] || err == nil && cited[domain]
}

// destinationDoor makes one door of all sightings of a host.
func destinationDoor(p *product.Product, host string, seen []sighting) doorward.Door {
	slices.SortStableFunc(seen, func(a, b sighting) int { return a.rank() - b.rank() })
	best := seen[0]
	d := doorward.Door{
		Kind: doorward.KindDestination, Reach: doorward.Remote, Stages: []doorward.Stage{doorward.Transmit}, Certainty: best.certainty,
		References: []string{"T1071"}, Detail: doorward.Detail{"host": host},
	}
	clear, payload := false, ""
	for _, s := range seen {
		s.describe(&d)
		clear = clear || clearSchemes[s.scheme]
		if clearSchemes[s.scheme] && payload == "" {
			payload = s.payload
		}
	}
	how := ""
	if clear {
		d.Detail["cleartext"] = true
		how = " in the clear"
	} else if best.scheme != "" {
		d.Detail["cleartext"] = false
	}
	d.Weight = doorward.Weigh(doorward.Contact, doorward.Remote, doorward.Open, clear && payload != "")
	who := best.program
	if who == "" {
		who = "the product"
	}
	d.Title = fmt.Sprintf("%s contacts %s%s", who, host, how)
	if payload != "" && clear {
		d.Title += ", with data of the product"
		d.Evidence = append(d.Evidence, doorward.Evidence{What: payload, Note: "what is sent"})
	}
	d.Check = fmt.Sprintf("Search the unpacked product for %q (strings, grep -r) and watch its traffic for that name.", host)
	return d
}

// rank orders sightings: what is shown first, then those with a URL.
func (s sighting) rank() int {
	r := map[doorward.Certainty]int{doorward.Shown: 0, doorward.Likely: 10, doorward.Hint: 20}[s.certainty]
	if s.program == "" {
		r += 4
	}
	if s.url == "" && s.port == 0 {
		r += 2
	}
	return r
}

// maxSightings bounds the places that one door shows.
const maxSightings = 12

func (s sighting) describe(d *doorward.Door) {
	set := func(key string, value any) {
		if _, ok := d.Detail[key]; !ok {
			d.Detail[key] = value
		}
	}
	if s.program != "" {
		set("program", s.program)
	}
	if s.port != 0 {
		set("port", s.port)
	}
	if s.url != "" {
		set("url", s.url)
	}
	if len(d.Evidence) >= maxSightings {
		return
	}
	where, ev := s.file.Where(), doorward.Evidence{What: cut(s.text, 200), Path: s.file.Path}
	if s.line > 0 {
		ev.Line = s.line
	} else {
		where = s.file.WhereAt(s.offset)
		ev.Offset = &s.offset
		if s.file.Type.Executable() && s.certainty == doorward.Likely {
			ev.Note = "an endpoint in a program that opens connections; that it is used is assumed"
		}
	}
	for _, old := range d.Evidence {
		if old.Path == ev.Path && old.Line == ev.Line && ev.Line > 0 {
			return // the same line, read as text and as an event
		}
	}
	d.Where = append(d.Where, where...)
	d.Evidence = append(d.Evidence, ev)
}

// cut shortens a text for evidence.
func cut(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
