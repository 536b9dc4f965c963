package firmware

import (
	"encoding/json"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

var accountServicePatterns = []string{"ommunity", "com2sec", "createUser", "chap-secrets", "allow_anonymous", "guest ok", "public = ", "://"}

// services reports credentials in the configurations of single services: SNMP,
// PPP, MQTT, SMB; URLs with a password; the environment of container images.
func (a *accounts) services() {
	for _, f := range a.product.Files {
		if f.Size == 0 || f.Size > 64<<20 || quietFile(f) {
			continue
		}
		if f.Has("://") && !isSource(f.Path) {
			a.urls(f)
			if f.Type.IsText() && !isStock(f) { // of a program, URLs with a password stand among the first
				cutHits(a.out, f, "://")
			}
		}
		if !f.Type.IsText() || f.Size > maxConfig {
			continue
		}
		switch base := f.Base(); {
		case f.Has("ommunity") || f.Has("com2sec") || f.Has("createUser"):
			a.snmp(f)
		case strings.HasSuffix(base, "chap-secrets") || strings.HasSuffix(base, "pap-secrets") || strings.HasSuffix(base, "ppp-secrets"):
			a.ppp(f)
		case f.Has("allow_anonymous"):
			a.mosquitto(f)
		case strings.HasPrefix(base, "smb") && (f.Has("guest ok") || f.Has("public = ")):
			a.samba(f)
		}
	}
	for _, v := range a.product.Volumes {
		if text := v.Info["config"]; text != "" {
			a.environment(v, text)
		}
	}
}

// serviceLogin reports a login that a line of a service's configuration gives.
func (a *accounts) serviceLogin(f *product.File, line int, text, note, title string, d login) {
	d.evidence = []doorward.Evidence{lineEvidence(f, line, text, note)}
	d.where, d.check, d.title = f.Where(), checkLine(f, line), clip(title, 90)
	a.placeConfig(&d, f)
	a.report(d)
}

// snmp reads net-snmp's community lines. The community is user and password in
// one.
func (a *accounts) snmp(f *product.File) {
	local := onlyLocalSNMP(f.Text())
	number := 0
	for line := range strings.Lines(f.Text()) {
		number++
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		community, source, write := "", "", false
		switch strings.TrimSuffix(w[0], "6") {
		case "rocommunity", "rwcommunity":
			community, write = w[1], w[0][1] == 'w'
			if len(w) > 2 {
				source = w[2]
			}
		case "com2sec":
			if w = dropContext(w); len(w) >= 4 {
				source, community = w[2], w[3]
				write = strings.Contains(strings.ToLower(w[1]), "rw") || strings.Contains(strings.ToLower(w[1]), "write") || strings.Contains(strings.ToLower(w[1]), "private")
			}
		case "createUser":
			a.snmpUser(f, number, line, w)
		}
		community = strings.Trim(community, `"'`)
		if community == "" || isPlaceholder(community) {
			continue
		}
		d := login{user: community, uid: -1, gain: doorward.UserData, reach: doorward.Remote}
		d.setPassword(community)
		if community == "public" || community == "private" {
			d.credential = "default"
		} else {
			d.credential = "fixed"
		}
		note, title := "whoever knows the community reads the product's state", "SNMP community "+community+" may read"
		if write {
			d.gain = doorward.Control
			note, title = "whoever knows the community changes the product's settings", "SNMP community "+community+" may write"
		}
		if local || isLocalSource(source) {
			d.reach = doorward.Local
			note += "; from the product itself only"
		}
		a.serviceLogin(f, number, line, note, title, d)
	}
}

func dropContext(w []string) []string {
	if len(w) > 2 && w[1] == "-Cn" {
		return append([]string{w[0]}, w[3:]...)
	}
	return w
}

func isLocalSource(s string) bool {
	return s == "localhost" || strings.HasPrefix(s, "127.") || s == "::1"
}

// onlyLocalSNMP says that the agent listens on loopback alone.
func onlyLocalSNMP(text string) bool {
	found := false
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) < 2 || !strings.EqualFold(w[0], "agentaddress") {
			continue
		}
		for _, at := range strings.Split(strings.Join(w[1:], ","), ",") {
			at = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(at, "udp:"), "udp6:"), "tcp:")
			if at != "" && !strings.HasPrefix(at, "127.") && !strings.HasPrefix(at, "[::1]") && !strings.HasPrefix(at, "localhost") {
				return false
			}
			found = true
		}
	}
	return found
}

func (a *accounts) snmpUser(f *product.File, number int, line string, w []string) {
	if len(w) < 4 || isPlaceholder(w[3]) || !isUserName(w[1]) {
		return
	}
	d := login{user: w[1], uid: -1, gain: doorward.UserData, reach: doorward.Remote}
	d.setPassword(strings.Trim(w[3], `"'`))
	a.serviceLogin(f, number, line, "an SNMP user that is the same on every unit", "SNMP user "+w[1]+" has a "+credentialWord(d.credential), d)
}

// ppp reads chap-secrets and pap-secrets: client, server, secret, addresses.
func (a *accounts) ppp(f *product.File) {
	number := 0
	for line := range strings.Lines(f.Text()) {
		number++
		w := strings.Fields(line)
		if len(w) < 3 || strings.HasPrefix(w[0], "#") {
			continue
		}
		user, secret := strings.Trim(w[0], `"'`), strings.Trim(w[2], `"'`)
		if secret == "" || secret == "*" || isPlaceholder(secret) || isPlaceholder(user) || strings.HasPrefix(secret, "@") {
			continue
		}
		d := login{user: user, uid: -1, gain: doorward.UserData, reach: doorward.Remote, lighter: 1}
		d.setPassword(secret)
		a.serviceLogin(f, number, line, "a login of PPP (modem, PPPoE or VPN) that is the same on every unit", "PPP user "+user+" has a "+credentialWord(d.credential), d)
	}
}

// mosquitto reports a broker that lets everybody in.
func (a *accounts) mosquitto(f *product.File) {
	number := 0
	listens := strings.Contains(f.Text(), "\nlistener ") || strings.HasPrefix(f.Text(), "listener ") || strings.Contains(f.Text(), "\nport ")
	for line := range strings.Lines(f.Text()) {
		number++
		w := strings.Fields(line)
		if len(w) == 2 && w[0] == "allow_anonymous" && w[1] == "true" && listens {
			d := login{user: "*", uid: -1, credential: "none", gain: doorward.UserData, reach: doorward.Remote}
			a.serviceLogin(f, number, line, "the MQTT broker asks nobody for a password", "the MQTT broker lets everybody in", d)
		}
	}
}

// samba reports shares that guests may use.
func (a *accounts) samba(f *product.File) {
	number, share := 0, ""
	for line := range strings.Lines(f.Text()) {
		number++
		t := strings.ToLower(strings.TrimSpace(line))
		if strings.HasPrefix(t, "[") {
			share = strings.Trim(t, "[]")
			continue
		}
		key, value, _ := strings.Cut(t, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if (key == "guest ok" || key == "public") && (value == "yes" || value == "true" || value == "1") && share != "printers" && share != "print$" && share != "" {
			d := login{user: "*", uid: -1, credential: "none", gain: doorward.UserData, reach: doorward.Adjacent}
			a.serviceLogin(f, number, line, "the share "+share+" asks nobody for a password", "the file share "+share+" lets everybody in", d)
		}
	}
}

// manyURLs is from when on a file is read as a whole for them.
const manyURLs = 64

// urls reports URLs that carry user and password.
func (a *accounts) urls(f *product.File) {
	hits, reported := f.Hits("://"), 0
	if len(hits) > manyURLs {
		f.Bytes() // from now on it is at hand
	}
	for _, at := range hits {
		b, _ := f.Near(at, 0, 200)
		if len(b) <= 3 || reported > 20 {
			break
		}
		rest := b[3:]
		end := 0
		for end < len(rest) && rest[end] > 0x20 && rest[end] < 0x7f && !strings.ContainsRune("/\"'<>,;()\\|{}[]`", rune(rest[end])) {
			end++
		}
		text := string(rest[:end])
		i := strings.LastIndexByte(text, '@')
		if i < 3 {
			continue
		}
		user, password, ok := strings.Cut(text[:i], ":")
		host, _, _ := strings.Cut(text[i+1:], ":")
		if !ok || user == "" || password == "" || !isLoginName(user) || isPlaceholder(password) || strings.ContainsAny(text[:i], "%$*@") || !strings.Contains(host, ".") && host != "localhost" ||
			isPlaceholder(host) || strings.EqualFold(password, "password") || strings.EqualFold(password, "pass") {
			continue
		}
		a.url(f, f.Bytes(), at, user, password, host)
		reported++
	}
}

func (a *accounts) url(f *product.File, b []byte, at int64, user, password, host string) {
	start, text := stringAt(b, at)
	line := 0
	if f.Type.IsText() {
		text = lineOf(string(b), int(at))
		if isCommentLine(strings.TrimSpace(text) + " ") {
			return
		}
		line = 1 + strings.Count(string(b[:at]), "\n")
	}
	d := login{user: user, uid: -1, gain: doorward.UserData, reach: doorward.Remote, lighter: 1, certainty: doorward.Shown}
	d.setPassword(password)
	d.evidence = []doorward.Evidence{lineEvidence(f, line, text, "a login at "+host+" that is the same on every unit")}
	d.where, d.check = f.Where(), checkLine(f, line)
	if line == 0 {
		d.where = f.WhereAt(start)
		d.evidence[0].Offset = &start
	}
	d.title = clip("user "+user+" at "+host+" has a "+credentialWord(d.credential)+" in a URL", 90)
	a.placeConfig(&d, f)
	if f.Type.Executable() {
		d.lighter, d.certainty = 1, doorward.Shown
	}
	a.report(d)
}

// environment reports passwords in the environment of a container image.
func (a *accounts) environment(v *product.Volume, text string) {
	var image struct {
		Config struct{ Env []string }
	}
	if json.Unmarshal([]byte(text), &image) != nil {
		return
	}
	a.out.Looked(doorward.KindAccount, 1, "container environment")
	var list []credSetting
	for _, e := range image.Config.Env {
		key, value, _ := strings.Cut(e, "=")
		list = append(list, credSetting{key: key, value: value})
	}
	for i, s := range list {
		m := passwordKey.FindStringSubmatch(s.key)
		if m == nil || noPassword.MatchString(s.key) || !isLoginSecret(s) {
			continue
		}
		user, _ := userOf(list, i, m[1])
		if user == "" {
			user = strings.Trim(strings.ToLower(m[1]), "_")
		}
		if user == "" {
			user = strings.ToLower(s.key)
		}
		d := login{user: user, uid: -1, gain: doorward.UserData, reach: doorward.Remote, certainty: doorward.Likely}
		note := a.setConfigSecret(&d, s.value)
		d.evidence = []doorward.Evidence{{What: clip(s.key+"="+s.value, 300), Note: "in the image's environment; " + note + "; assumes that it is not overridden"}}
		for _, place := range v.Places {
			d.where = append(d.where, doorward.Where{Path: place})
		}
		d.title = clip("the container's environment has a "+credentialWord(d.credential)+" for "+user, 90)
		d.check = "docker inspect, or read the image's config: Env has " + s.key
		a.report(d)
	}
}
