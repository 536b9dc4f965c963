package firmware

import (
	"embed"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

//go:embed data
var data embed.FS

// table returns the lines of a text table in data/, without comments.
func table(name string) []string {
	b, err := data.ReadFile("data/" + name)
	if err != nil {
		panic(err) // embedded
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// endpoint is a fixed host with what is known of how it is contacted.
type endpoint struct {
	host   string
	port   int    // 0 if not known
	scheme string // "" if not known
	url    string // "" if only the host stands there
}

// clearSchemes are those in which nothing is encrypted.
var clearSchemes = map[string]bool{"http": true, "ftp": true, "tftp": true, "ws": true, "mqtt": true, "rtsp": true, "rtmp": true, "tcp": true, "udp": true, "telnet": true, "git": true, "rsync": true, "ntp": true, "stun": true, "coap": true, "syslog": true}

var schemePorts = map[string]int{"http": 80, "https": 443, "ftp": 21, "tftp": 69, "ws": 80, "wss": 443, "mqtt": 1883, "mqtts": 8883, "rtsp": 554, "rtmp": 1935, "ssh": 22, "sftp": 22, "git": 9418, "rsync": 873, "ftps": 990, "ntp": 123, "amqp": 5672, "amqps": 5671}

// parseURL takes an endpoint out of a URL; false if its host is none that can
// be contacted from outside, or is no fixed name.
func parseURL(s string) (endpoint, bool) {
	s = strings.TrimRight(s, ".,;:)'\"`>")
	scheme, rest, ok := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if _, known := schemePorts[scheme]; !ok || !known && !clearSchemes[scheme] && scheme != "ssl" && scheme != "tls" && scheme != "mqtts" {
		return endpoint{}, false
	}
	authority, _, _ := strings.Cut(rest, "/")
	authority, _, _ = strings.Cut(authority, "?")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	host, port := splitPort(authority)
	if u, err := url.Parse(scheme + "://" + authority); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	if port == 0 {
		port = schemePorts[scheme]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !publicHost(host) {
		return endpoint{}, false
	}
	return endpoint{host: host, port: port, scheme: scheme, url: s}, true
}

// splitPort splits host:port.
func splitPort(s string) (string, int) {
	host, port, ok := strings.Cut(s, ":")
	if !ok || strings.Contains(port, ":") {
		return s, 0
	}
	n, err := strconv.Atoi(port)
	if err != nil || n <= 0 || n > 65535 {
		return host, 0
	}
	return host, n
}

var hostRE = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// publicHost says that a name or an address can be contacted from anywhere:
// no reserved name (RFC 2606, RFC 6761, RFC 6762, RFC 8375), no private,
// loopback, documentation or multicast address.
func publicHost(host string) bool {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return publicAddress(addr)
	}
	if len(host) > 253 || !hostRE.MatchString(host) || placeholderHost(host) {
		return false
	}
	_, managed := publicsuffix.PublicSuffix(host)
	return managed && !isSuffix(host)
}

// isSuffix says that the name is a public suffix itself, such as co.uk.
func isSuffix(host string) bool {
	_, err := publicsuffix.EffectiveTLDPlusOne(host)
	return err != nil
}

var reservedNames = map[string]bool{"example": true, "test": true, "invalid": true, "localhost": true, "local": true, "localdomain": true, "lan": true, "home": true, "internal": true, "arpa": true, "onion": true, "corp": true}

func placeholderHost(host string) bool {
	labels := strings.Split(host, ".")
	if reservedNames[labels[len(labels)-1]] {
		return true
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return true
	}
	name, _, _ := strings.Cut(domain, ".")
	switch name {
	case "example", "yourdomain", "mydomain", "your-domain", "yourserver", "your-server", "domain", "mycompany", "yourcompany", "foo", "bar", "foobar", "somewhere", "somedomain", "server", "host", "hostname", "changeme":
		return true
	}
	return false
}

var reservedNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("100::/64"),
}

// publicAddress leaves out what RFC 6890, RFC 5737 and RFC 3849 reserve.
func publicAddress(a netip.Addr) bool {
	if a.IsPrivate() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return false
	}
	for _, n := range reservedNets {
		if n.Contains(a) {
			return false
		}
	}
	return true
}

// suffixesOfFiles are top-level domains that are file endings, too: a name with
// such an ending is a host only if its first label says so.
var suffixesOfFiles = map[string]bool{"so": true, "py": true, "sh": true, "pl": true, "cc": true, "in": true, "md": true, "rs": true, "ps": true, "zip": true, "mov": true, "app": true, "is": true, "as": true, "id": true, "st": true, "ai": true, "ml": true, "la": true, "mk": true, "ac": true, "am": true, "cf": true, "do": true, "js": true, "bin": true, "pm": true, "ko": true, "tf": true, "info": true, "name": true, "my": true, "to": true, "se": true, "be": true, "no": true, "it": true, "at": true, "sc": true, "ms": true, "ls": true, "pw": true, "bz": true, "gz": true, "lz": true, "key": true, "call": true, "run": true, "link": true, "host": true, "data": true, "store": true, "play": true, "ink": true, "new": true, "open": true, "read": true, "media": true, "support": true, "network": true, "security": true, "address": true, "box": true, "cam": true, "audio": true, "video": true, "blue": true, "red": true, "ftp": true, "py3": true, "srl": true, "ren": true, "men": true, "day": true, "now": true, "map": true, "locker": true, "phone": true, "radio": true, "stream": true, "watch": true, "date": true, "time": true, "ps1": true, "lib": true, "dev": true, "cat": true, "prof": true, "pro": true, "int": true, "top": true, "one": true, "man": true, "frl": true, "bar": true, "foo": true, "zone": true, "page": true, "off": true, "mil": true}

// hostLabels are first labels that only hosts have.
var hostLabels = regexp.MustCompile(`^(www\d*|api\d*|ftp|ntp\d*|time|update|updates|upgrade|ota|fw|firmware|cloud|mqtt|broker|log|logs|stat|stats|cdn|dl|download|srv|server|svc|gw|gateway|relay|p2p|stun|turn|dns|ddns|dyndns|push|auth|login|iot|data|collect|telemetry|report|cfg|config|acs|cwmp|tr069|rtmp|live|media|stream|portal|account|register|device|devices)[0-9]*$`)

// bareHost says that a whole string is a host's name, and not a file's, a
// package's (com.example.thing) or a property's.
func bareHost(s string) bool {
	if len(s) < 5 || strings.IndexByte(s, '.') < 0 || strings.IndexByte(s, ' ') >= 0 {
		return false // as most texts
	}
	s = strings.ToLower(s)
	if !hostRE.MatchString(s) || !publicHost(s) {
		return false
	}
	labels := strings.Split(s, ".")
	first, last := labels[0], labels[len(labels)-1]
	if hostLabels.MatchString(first) && len(labels) > 2 {
		return true
	}
	if suffixesOfFiles[last] {
		return false
	}
	if reversed[first] {
		return false
	}
	// Two labels are a host only under the endings that names of files,
	// classes and settings do not have.
	if len(labels) == 2 {
		return (last == "com" || last == "net" || last == "org") && len(first) > 3
	}
	return true
}

// reversed are first labels of names written from the top down.
var reversed = map[string]bool{"com": true, "org": true, "net": true, "io": true, "de": true, "cn": true, "edu": true, "gov": true, "java": true, "javax": true, "android": true, "ro": true, "sys": true, "persist": true}
