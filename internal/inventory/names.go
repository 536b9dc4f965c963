package inventory

import (
	"net/url"
	"strings"
)

// purl writes a package URL (https://github.com/package-url/purl-spec). The
// qualifiers come in pairs and in alphabetical order, empty ones are left out.
func purl(kind, namespace, name, version string, qualifiers ...string) string {
	s := "pkg:" + kind + "/"
	if namespace != "" {
		for part := range strings.SplitSeq(namespace, "/") {
			s += escape(part) + "/"
		}
	}
	s += escape(name)
	if version != "" {
		s += "@" + escape(version)
	}
	sep := "?"
	for i := 0; i+1 < len(qualifiers); i += 2 {
		if qualifiers[i+1] != "" {
			s += sep + qualifiers[i] + "=" + escape(qualifiers[i+1])
			sep = "&"
		}
	}
	return s
}

// escape percent-encodes; the specification leaves ':' as it is.
func escape(s string) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	return strings.ReplaceAll(s, "%3A", ":")
}

// cpe23 writes a CPE 2.3 formatted string (NIST IR 7695, section 6.2) for
// "vendor:product", with part a unless the product is named "o:vendor:product"
// or "h:vendor:product".
func cpe23(product, version, update string) string {
	if product == "" || version == "" {
		return ""
	}
	part := "a"
	if len(product) > 2 && product[1] == ':' {
		part, product = product[:1], product[2:]
	}
	vendor, name, ok := strings.Cut(product, ":")
	if !ok {
		return ""
	}
	if update == "" {
		update = "*"
	} else {
		update = cpeValue(update)
	}
	return "cpe:2.3:" + part + ":" + cpeValue(vendor) + ":" + cpeValue(name) + ":" + cpeValue(version) + ":" + update + ":*:*:*:*:*:*"
}

// cpeValue escapes what is neither letter, digit, '.', '-' nor '_'.
func cpeValue(s string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// cpeOfURI turns the older form, cpe:/a:vendor:product, into 2.3.
func cpeOfURI(uri, version string) string {
	rest, ok := strings.CutPrefix(uri, "cpe:/")
	if !ok || strings.Count(rest, ":") < 2 {
		return ""
	}
	parts := strings.SplitN(rest, ":", 5)
	return cpe23(parts[0]+":"+parts[1]+":"+parts[2], version, "")
}

// upstream is the version that a package's maker gave it, without the epoch and
// the distributor's revision.
func upstream(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	if at := strings.LastIndexByte(version, '-'); at > 0 {
		version = version[:at]
	}
	for _, mark := range []string{"+dfsg", ".dfsg", "+ds", "+really", "~dfsg"} {
		if before, _, ok := strings.Cut(version, mark); ok {
			version = before
		}
	}
	return version
}
