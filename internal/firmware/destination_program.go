package firmware

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/pattern"
	"github.com/doorward/doorward/internal/product"
)

// opensConnections says that a program imports what connecting takes.
func opensConnections(f *product.File) bool {
	for _, name := range netImports {
		if f.Has(name) {
			return true
		}
	}
	return false
}

// maxProgramText is the size up to which a program's strings are read. It also
// bounds how many there are.
const maxProgramText = 64 << 20

// programSightings finds the endpoints among a program's strings: a string that
// is a URL or a host as a whole, in a program that opens connections. A URL
// within a sentence is a citation.
func programSightings(f *product.File) []sighting {
	if !opensConnections(f) {
		return nil
	}
	b := f.Bytes()
	var found []sighting
	forStrings(b[:min(len(b), maxProgramText)], 5, func(off int, s string) bool {
		e, ok := wholeEndpoint(s)
		if !ok || isCited(e.host) || looksLikeSymbol(b, off, len(s)) {
			return true
		}
		found = append(found, sighting{endpoint: e, file: f, offset: int64(off), text: s, program: f.Base(), certainty: doorward.Likely})
		return true
	})
	if len(found) > 0 {
		describeTraffic(f, found)
	}
	return found
}

// fewHosts is up to how many hosts a program that captures is taken to send what
// it captures to them: one that names many is for general use.
const fewHosts = 4

// describeTraffic says of a program's endpoints whether it can encrypt, and what
// of the product it sends.
func describeTraffic(f *product.File, found []sighting) {
	b := f.Bytes()
	secure := false
	for _, name := range []string{"SSL_connect", "mbedtls_ssl_handshake", "wolfSSL_connect", "gnutls_handshake"} {
		secure = secure || bytes.Contains(b, []byte(name))
	}
	data := productData(f, len(found) <= fewHosts)
	for i := range found {
		hit := &found[i]
		if hit.scheme == "" && !secure {
			hit.scheme = "tcp"
		}
		if hit.payload = data; carriesData(hit.text) {
			hit.payload = hit.text
		}
	}
}

// wholeEndpoint takes a string that is nothing but a URL or a host.
func wholeEndpoint(s string) (endpoint, bool) {
	if strings.Contains(s, "://") {
		if strings.ContainsAny(s, " \t<>()") || endsAsDocument(s) || strings.Contains(s, "%s:") {
			return endpoint{}, false
		}
		e, ok := parseURL(s)
		return e, ok && !isNamespace(s) && !isHomepage(e)
	}
	host, port := splitPort(s)
	if bareHost(host) && host == strings.ToLower(host) && !madeUp.MatchString(host) {
		return endpoint{host: host, port: port}, true
	}
	return endpoint{}, false
}

// looksLikeSymbol says that the string lies in a table of symbols or section
// names, where names such as a.b.c are no hosts.
func looksLikeSymbol(b []byte, off, n int) bool {
	from, to := max(0, off-64), min(len(b), off+n+64)
	around := b[from:to]
	return bytes.Contains(around, []byte("\x00.text\x00")) || bytes.Contains(around, []byte("\x00__libc_start_main\x00")) || bytes.Contains(around, []byte(".so."))
}

// identifying is a format that puts a unit's identity, or what it captured,
// into a message.
var identifying = regexp.MustCompile(`(?i)\b(x-)?(sn|serial|serial_?no|mac|imei|imsi|uuid|guid|dev(ice)?_?id|cam_?id|uid|ssid|passwd|password|user|hostname|fw_?ver|version|lat|lon)["']?\s*[=:]\s*["']?%[0-9]*[sdxlu]`)

// productData is what shows that a program sends data of the product: a message
// format with the unit's identity, or that it captures.
func productData(f *product.File, captures bool) string {
	if list := capturesOf(f); captures && len(list) > 0 {
		return list[0].shown
	}
	found := ""
	forStrings(f.Bytes(), 5, func(_ int, s string) bool {
		if strings.Contains(s, "%") && (strings.Contains(s, "HTTP/") || strings.ContainsAny(s, "&?{")) && !strings.Contains(s, "://") && identifying.MatchString(s) {
			found = s
		}
		return found == ""
	})
	return found
}

// carriesData says that a format string puts values of the product into a URL.
func carriesData(s string) bool {
	_, query, ok := strings.Cut(s, "?")
	return ok && strings.Contains(query, "%")
}

var stringClass = pattern.ClassOf(func(c byte) bool {
	return c >= 0x20 && c < 0x7f || c == '\n' || c == '\r' || c == '\t'
})

// forStrings calls f for each run of at least n printable characters and line
// ends that ends with a NUL, as C's strings do, until f returns false.
func forStrings(b []byte, n int, f func(off int, s string) bool) {
	stringClass.Runs(b, n, func(from, to int) bool {
		if to == len(b) || b[to] != 0 || to-from > 2048 {
			return true
		}
		return f(from, string(b[from:to]))
	})
}
