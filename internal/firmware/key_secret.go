package firmware

import (
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// secretPatterns stand in files that hold shared secrets.
var secretPatterns = []string{"rivateKey", "rivate_key", "resharedKey", "reshared_key", "PSK", "psk", "passphrase", "Passphrase", "secret", "SECRET", "Secret", "option key"}

// secretRule finds one sort of shared secret in a text. The last group is the
// secret.
type secretRule struct {
	pattern    *regexp.Regexp
	algorithm  string
	title      string
	note       string
	gain       doorward.Gain
	reach      doorward.Reach
	references []string
	file       func(base string) bool // nil: any
	lacks      func(value string) bool
}

var secretRules = []secretRule{
	{pattern: regexp.MustCompile(`(?m)^[ \t]*(?:option[ \t]+)?["']?(?:PrivateKey|private_key|PresharedKey|preshared_key)["']?[ \t]*[=: \t][ \t]*["']?([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)["']?[ \t]*\r?$`),
		algorithm: "WireGuard", title: "WireGuard key that is the same on every unit", note: "whoever has one unit, or the image, can pass for all in the VPN",
		gain: doorward.UserData, reach: doorward.Remote},
	{pattern: regexp.MustCompile(`(?m)^[^#\n]*:[ \t]*PSK[ \t]+["']?([^"'\s]+)["']?`), file: func(base string) bool { return strings.Contains(base, "secrets") || strings.Contains(base, "ipsec") },
		algorithm: "IPsec PSK", title: "IPsec secret that is the same on every unit", note: "whoever knows it can enter, or pass for the peer",
		gain: doorward.UserData, reach: doorward.Remote},
	{pattern: regexp.MustCompile(`(?m)^[ \t]*[0-9a-fA-F.:*/]{3,}[ \t]+(\S{6,})[ \t]*\r?$`), file: func(base string) bool { return base == "psk.txt" || base == "racoon.psk" },
		algorithm: "IPsec PSK", title: "IPsec secret that is the same on every unit", note: "whoever knows it can enter, or pass for the peer",
		gain: doorward.UserData, reach: doorward.Remote},
	{pattern: regexp.MustCompile(`(?m)^[ \t]*["']?(?:[A-Za-z0-9._-]*(?:wpa_passphrase|wpa_?psk[0-9]*|_psk|wpa2?_key|wifi_?(?:key|pass(?:word|phrase|wd)?)|wlan_?(?:key|pass(?:word|phrase|wd)?))|psk)["']?[ \t]*[=:][ \t]*["']?([^"'\s,#]{8,64})["']?,?[ \t]*\r?$`),
		algorithm: "WPA PSK", title: "Wi-Fi password that is the same on every unit", note: "whoever is near and knows it is in the network",
		gain: doorward.UserData, reach: doorward.Adjacent, lacks: notWPA},
	{pattern: regexp.MustCompile(`(?m)^[ \t]*option[ \t]+key[ \t]+["']([^"'\s]{8,64})["']`), file: func(base string) bool { return strings.Contains(base, "wireless") },
		algorithm: "WPA PSK", title: "Wi-Fi password that is the same on every unit", note: "whoever is near and knows it is in the network",
		gain: doorward.UserData, reach: doorward.Adjacent, lacks: notWPA},
	{pattern: regexp.MustCompile(`(?mi)^[ \t]*(?:export[ \t]+|option[ \t]+)?["']?[a-z0-9_.-]*(?:jwt[_-]?secret(?:[_-]?key)?|token[_-]?secret|session[_-]?secret|secret[_-]?key(?:[_-]?base)?|hmac[_-]?(?:secret|key)|signing[_-]?(?:secret|key)|cookie[_-]?secret)["']?[ \t]*(?:[:=]|[ \t]["'])[ \t]*["']?([^"'\s,;#]{12,256})["']?[,;]?[ \t]*\r?$`),
		algorithm: "shared secret", title: "signing secret that is the same on every unit", note: "whoever knows it can make sessions or tokens that the product accepts",
		gain: doorward.Control, reach: doorward.Remote, lacks: func(v string) bool {
			return strings.ContainsAny(v, "()[]/\\") && !strings.HasSuffix(v, "=") || !variedText(v)
		}},
}

func notWPA(v string) bool {
	return strings.Contains(v, "/") && !strings.Contains(v, "+") && strings.HasPrefix(v, "/") || strings.Contains(v, "WPA") || v == "wpapsk" || strings.HasPrefix(v, "0x")
}

// variedText says that a value looks like a secret: several kinds of characters,
// or long.
func variedText(v string) bool {
	digits, letters := 0, 0
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters++
		}
	}
	return digits > 1 && letters > 3 || len(v) >= 24 && !strings.Contains(v, ".")
}

// maxConfig and maxTableConfig are the sizes up to which a text, and data that
// may be a table of settings, is read as a configuration. Larger text is
// reported by longTexts; larger data is no table.
const (
	maxConfig      = product.MaxText
	maxTableConfig = 1 << 20
)

// secrets reports shared secrets in configurations and settings.
func (k *keys) secrets(f *product.File) {
	k.certificateFile(f)
	if f.Size > maxConfig || !hasAny(f, secretPatterns) || isSource(f.Path) {
		return
	}
	text := settingsText(f)
	if text == "" {
		return
	}
	for i := range secretRules {
		rule := &secretRules[i]
		if rule.file != nil && !rule.file(strings.ToLower(f.Base())) {
			continue
		}
		matches := rule.pattern.FindAllStringSubmatchIndex(text, 20)
		for _, m := range matches {
			value := text[m[2]:m[3]]
			if isPlaceholder(value) || rule.lacks != nil && rule.lacks(value) {
				continue
			}
			k.secret(f, rule, text, m[2], value)
		}
	}
}

func (k *keys) secret(f *product.File, rule *secretRule, text string, at int, value string) {
	x := keyFound{file: f, offset: -1, algorithm: rule.algorithm, private: true, fingerprint: hexFingerprint([]byte(value)), title: rule.title, note: rule.note,
		gain: rule.gain, reach: rule.reach, certainty: doorward.Shown, references: []string{"CWE-321", "CWE-798"}, secrets: []string{value}, found: strings.TrimSpace(lineOf(text, at))}
	if rule.gain == doorward.Control {
		x.lighter = 1 // what its holder may do depends on the service
	}
	if f.Type.IsText() {
		x.line = 1 + strings.Count(text[:at], "\n")
	} else {
		x.offset = int64(at)
	}
	k.add(x)
}

// settingsText is a file's text, or for a table of NUL-ended settings its text
// with a line for each, of the same length.
func settingsText(f *product.File) string {
	if f.Type.IsText() {
		return f.Text()
	}
	if f.Type != unpack.TypeData || f.Size > maxTableConfig {
		return ""
	}
	b := f.Bytes()
	ends, odd := 0, 0
	for _, c := range b {
		switch {
		case c == 0 || c == 0xff:
			ends++
		case !isTextByte(c):
			odd++
		}
	}
	if odd*20 > len(b) || ends == 0 {
		return ""
	}
	out := make([]byte, len(b))
	for i, c := range b {
		if out[i] = c; !isTextByte(c) {
			out[i] = '\n'
		}
	}
	return string(out)
}

// isSource says that a file is a program's source or a web page, not a
// configuration.
func isSource(p string) bool {
	switch path.Ext(strings.ToLower(p)) {
	case ".js", ".mjs", ".ts", ".html", ".htm", ".css", ".c", ".h", ".cpp", ".hpp", ".py", ".pyc", ".pl", ".pm", ".rb", ".java", ".go", ".rs", ".svg", ".map", ".vue", ".asp", ".jsp", ".tcl", ".m4", ".po", ".tmpl", ".templates", ".xsd", ".dtd", ".1", ".5", ".8":
		return true
	}
	return false
}

var placeholderWords = regexp.MustCompile(`(?i)^(none|null|nil|true|false|yes|no|undefined|disabled?|enabled?|on|off|string|prompt|ask|required|optional|n/a|tbd|todo|value|default_password|file|plain|md5|sha256|wpa-?psk|wpa2?-?psk|tkip|aes|ccmp|text|hidden|string\(\d+\))$`)

var placeholderParts = []string{"example", "your", "change_me", "changeme!", "replace", "placeholder", "insert", "<", ">", "{", "}", "changeit_", "xxxx", "....", "****", "____", "----", "not_set", "notset", "to_be_", "secret_passphrase", "my_password", "mypassword"}

// isPlaceholder says that a value stands for one that is set later, or for none.
func isPlaceholder(v string) bool {
	lower := strings.ToLower(v)
	if v == "" || strings.HasPrefix(v, "$") && !strings.HasPrefix(v, "$1$") && !strings.HasPrefix(v, "$5$") && !strings.HasPrefix(v, "$6$") && !strings.HasPrefix(v, "$2") && !strings.HasPrefix(v, "$apr1$") {
		return true
	}
	if strings.Contains(v, "${") || strings.Contains(v, "$(") || strings.Contains(v, "%s") || strings.Contains(v, "%(") || strings.HasPrefix(v, "@") && strings.HasSuffix(v, "@") ||
		strings.HasPrefix(v, "%") && strings.HasSuffix(v, "%") || strings.HasPrefix(v, "[") || placeholderWords.MatchString(v) {
		return true
	}
	for _, part := range placeholderParts {
		if strings.Contains(lower, part) {
			return true
		}
	}
	return strings.Trim(lower, "x*.-_?") == ""
}
