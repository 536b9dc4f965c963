package firmware

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/crypt"
	"github.com/doorward/doorward/internal/product"
)

// webPasswords reports the users of htpasswd and htdigest files, of plain user
// lists of web servers, and of Samba and MQTT password files.
func (a *accounts) webPasswords() {
	for _, f := range a.product.Files {
		if !f.Type.IsText() || f.Size == 0 || f.Size > 64<<10 || quietFile(f) || isUserDatabase(f.Path) {
			continue
		}
		if !mayHoldUsers(f) {
			continue
		}
		a.out.Looked(doorward.KindAccount, 1, "user list")
		number := 0
		for line := range strings.Lines(f.Text()) {
			number++
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			a.webUser(f, number, line)
		}
	}
}

// mayHoldUsers says that a file is named like a user list, or that it begins
// like one.
func mayHoldUsers(f *product.File) bool {
	base := strings.ToLower(f.Base())
	if isWebPasswords(base) || base == "httpd.conf" || base == "smbpasswd" || base == "mosquitto.pwd" || strings.HasPrefix(base, "passwd") || strings.HasPrefix(base, ".ht") {
		return true
	}
	text := f.Text()
	for line := range strings.Lines(text[:min(len(text), 4096)]) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		user, secret, ok := strings.Cut(line, ":")
		if !ok || !isUserName(user) {
			return false
		}
		if _, isHash := crypt.ParseWeb(secret); isHash {
			return true
		}
		realm, sum, ok := strings.Cut(secret, ":")
		return ok && len(sum) == 32 && isHex(sum) && realm != ""
	}
	return false
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// brokenHash has the form of a hash that ParseWeb refused: nobody logs in by it.
var brokenHash = regexp.MustCompile(`^(\$[0-9a-z]{1,6}\$|\{[A-Z0-9]+\})`)

// webUser reports one line: user:hash, user:realm:md5, /path:user:password,
// user:password, user:uid:LM:NT:...
func (a *accounts) webUser(f *product.File, number int, line string) {
	p := strings.Split(line, ":")
	if len(p) < 2 {
		return
	}
	d := login{user: p[0], uid: -1, gain: doorward.UserData, reach: doorward.Remote, certainty: doorward.Likely}
	server, note := "the web server", ""
	base := strings.ToLower(f.Base())
	h, isHash := crypt.ParseWeb(strings.TrimPrefix(p[1], "{CRYPT}"))
	switch {
	case strings.HasPrefix(line, "/") && len(p) == 3 && isUserName(p[1]) && base == "httpd.conf":
		d.user = p[1]
		note = a.setConfigSecret(&d, p[2])
	case !isUserName(p[0]):
		return
	case len(p) == 2 && isHash:
		note = a.setHash(&d, h)
	case len(p) == 2 && isMosquitto(p[1]):
		server = "the MQTT broker"
		note = a.setHash(&d, mosquittoHash(p[1]))
	case len(p) == 3 && len(p[2]) == 32 && isHex(p[2]):
		h, _ := crypt.ParseDigest(p[1], p[2])
		note = a.setHash(&d, h)
	case base == "smbpasswd" && len(p) >= 6 && len(p[3]) == 32 && isHex(p[3]):
		server = "the file server (SMB)"
		h, _ := crypt.ParseNT(p[3])
		note = a.setHash(&d, h)
	case base == "smbpasswd" && len(p) >= 6 && len(p[2]) == 32 && isHex(p[2]): // no NT hash, as the oldest have it
		server = "the file server (SMB)"
		h, _ := crypt.ParseLM(p[2])
		note = a.setHash(&d, h)
	case len(p) == 2 && isWebPasswords(base) && plainPassword(p[1]) && !isPlaceholder(p[1]) && !brokenHash.MatchString(p[1]):
		d.setPassword(p[1])
		note = "the password stands in clear"
	default:
		return
	}
	if adminWord.MatchString(d.user) && server == "the web server" {
		d.gain = doorward.Control
	}
	d.evidence = []doorward.Evidence{lineEvidence(f, number, line, note)}
	d.where, d.check = f.Where(), checkLine(f, number)
	a.placeConfig(&d, f)
	d.title = clip("user "+d.user+" of "+server+" has a "+credentialWord(d.credential), 90)
	a.report(d)
}

// isMosquitto knows $6$salt$hash and $7$rounds$salt$hash of mosquitto_passwd,
// which are base64.
func isMosquitto(s string) bool {
	p := strings.Split(s, "$")
	if len(p) < 4 || p[0] != "" || p[1] != "6" && p[1] != "7" {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(p[len(p)-1])
	return err == nil && len(b) == 64
}

func mosquittoHash(s string) *crypt.Hash { return &crypt.Hash{Kind: "mosquitto", Text: s} }
