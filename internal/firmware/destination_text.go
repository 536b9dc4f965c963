package firmware

import (
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// contacting are commands whose arguments name the host that they contact.
var contacting = setOf("wget curl nc ncat netcat socat ftpget ftpput tftp ftp lftp ssh scp sftp dbclient rsync ntpd ntpdate ntpclient sntp chronyd rdate mosquitto_pub mosquitto_sub git telnet openvpn wg sendmail msmtp logger uclient-fetch snmptrap stunnel autossh aria2c inadyn ddclient ez-ipupdate http_get")

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// contactingIn is the first command of a line that contacts a host, "" if there
// is none: a word of its own, behind what parts commands or a path.
func contactingIn(line string) string {
	for at := 0; at < len(line); {
		end := at
		for end < len(line) && !endsWord(line[end]) {
			end++
		}
		// Of /usr/bin/wget each part is tried, since it reaches up to the end.
		for word := line[at:end]; ; {
			if contacting[word] {
				return word
			}
			i := strings.IndexAny(word, ";|&({`/")
			if i < 0 {
				break
			}
			word = word[i+1:]
		}
		at = end + 1
	}
	return ""
}

func endsWord(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == '"' || c == '\''
}

// hostKey are names of settings whose value is a host.
var hostKey = regexp.MustCompile(`(?i)(server|host|url|uri|addr|address|broker|endpoint|gateway|peer|remote|upstream|ntp|acs|cloud|portal|proxy|target|relay|stun|turn|syslog|log_ip|report|upload|dst|dest)[a-z0-9_.\]-]*$`)

// sends are parts of a command that hand over data.
var sends = regexp.MustCompile(`(\s(-d|-F|-T|--data[a-z-]*|--form|--upload-file|--post-data|--post-file|--body-data|-m)[\s=]\S+|[?&][a-z_]+=["']?\$[{(]?[a-zA-Z]|\|\s*(nc|ncat|netcat|curl|socat|telnet)\s)`)

// textSightings reads a script or a configuration line by line.
func textSightings(f *product.File) []sighting {
	text := f.Text()
	script := f.Type == "script" || strings.HasSuffix(f.Path, ".sh") || strings.HasPrefix(text, "#!")
	if !script && (!isConfiguration(f) || isManual(f.Inner())) {
		return nil
	}
	vars := map[string]string{}
	var found []sighting
	ports := map[int]int{} // line -> port, of settings
	n, hidden, described := 0, false, !script && describesPackage(f.Inner())
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if !script {
			line, hidden = withoutComment(line, hidden)
			if !mayNameHost(line) && !hasFold(line, "port") || citesOnly(line) || isProse(line) {
				continue
			}
		}
		if line == "" || isComment(line) || described && !fetches.MatchString(line) {
			continue
		}
		if !script {
			if m := portSetting.FindStringSubmatch(line); m != nil {
				_, ports[n] = splitPort("x:" + m[1])
			}
		}
		for _, s := range lineSightings(line, script, vars) {
			s.file, s.line = f, n
			if s.certainty == "" {
				s.certainty = doorward.Likely
			}
			found = append(found, s)
		}
	}
	givePorts(found, ports)
	return found
}

// mayNameHost says, fast, that endpointsOf could find one in a line.
func mayNameHost(line string) bool {
	return strings.IndexByte(line, '.') >= 0 || strings.Contains(line, "://")
}

// hasFold says that a line has a word of lower-case letters, in any case.
func hasFold(line, word string) bool {
	for i := range len(line) - len(word) + 1 {
		if line[i]|0x20 == word[0] && strings.EqualFold(line[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

var portSetting = regexp.MustCompile(`(?i)^[\s"'<]*[a-z0-9_.]*port["'>]*\s*[=: ]\s*["'>]?(\d{2,5})["'<,;\s]*(?:</[a-z]*port>)?$`)

// givePorts gives a host whose setting has no port that of a neighbouring line:
// broker=x, port=8883.
func givePorts(found []sighting, ports map[int]int) {
	for i := range found {
		for _, near := range []int{1, -1, 2, -2} {
			if s := &found[i]; s.port == 0 && s.url == "" {
				s.port = ports[s.line+near]
			}
		}
	}
}

func isComment(line string) bool {
	return strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "<!--") || strings.HasPrefix(line, "* ")
}

// isConfiguration says that a text that is no script holds settings, by where
// it lies or how it is called.
func isConfiguration(f *product.File) bool {
	p := "/" + f.Inner()
	for _, dir := range []string{"/etc", "/config", "/conf", "/nvram", "/mnt/", "/opt/", "/data/", "/usr/share/", "/var/", "/app", "/home/", "/root/", "/system/", "/defaults"} {
		if strings.Contains(p, dir) {
			switch path.Ext(p) {
			case ".js", ".lua", ".php", ".asp", ".py":
				return false
			}
			return true
		}
	}
	switch path.Ext(p) {
	case ".conf", ".cfg", ".ini", ".json", ".xml", ".yaml", ".yml", ".toml", ".txt", ".env", ".properties", ".default":
		return true
	}
	return f.Inner() == "" // a boot loader's environment, a script of its own
}

// lineSightings finds the hosts of one line.
func lineSightings(line string, script bool, vars map[string]string) []sighting {
	var found []sighting
	line = stripTrailingComment(line)
	if script {
		rememberVariable(line, vars)
		line = expandVariables(line, vars)
	}
	if !mayNameHost(line) {
		return nil
	}
	command := contactingIn(line)
	key, _, isSetting := strings.Cut(line, "=")
	payload := ""
	if command != "" {
		payload = sends.FindString(line)
	}
	if script && command == "" && !(isSetting && hostKey.MatchString(strings.TrimSpace(key))) && !(strings.Contains(line, "://") && literalURL.MatchString(line)) {
		return nil // a text that the script shows
	}
	for _, e := range endpointsOf(line, command != "", isSetting && hostKey.MatchString(strings.TrimSpace(key)) || settingWord(line)) {
		if command == "" && isCited(e.host) {
			continue
		}
		s := sighting{endpoint: e, text: line, program: command, payload: strings.TrimSpace(payload)}
		s.bySort(line)
		if command != "" {
			s.certainty = doorward.Shown
		}
		found = append(found, s)
	}
	return found
}

// literalURL is a URL that is a string by itself.
var literalURL = regexp.MustCompile(`["'][a-z]{2,6}://[^\s"']+["']`)

func stripTrailingComment(line string) string {
	if i := strings.Index(line, " #"); i > 0 && strings.Count(line[:i], `"`)%2 == 0 {
		return line[:i]
	}
	return line
}

var assignment = regexp.MustCompile(`^(?:export\s+|local\s+|readonly\s+)?([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"$` + "`" + `]*)"|'([^']*)'|([^\s"'$;&|` + "`" + `]+))\s*;?$`)

// maxVariables bounds what one script's variables may cost.
const maxVariables = 500

func rememberVariable(line string, vars map[string]string) {
	if len(vars) >= maxVariables || strings.IndexByte(line, '=') < 1 {
		return
	}
	if m := assignment.FindStringSubmatch(line); m != nil {
		vars[m[1]] = m[2] + m[3] + m[4]
	}
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?`)

// expandVariables puts in the values that the script itself gives.
func expandVariables(line string, vars map[string]string) string {
	if len(vars) == 0 || !strings.Contains(line, "$") || len(line) > 4096 {
		return line
	}
	return variable.ReplaceAllStringFunc(line, func(m string) string {
		name := strings.Trim(m, "${}")
		if v := vars[name]; v != "" && len(v) < 512 {
			return v
		}
		return m
	})
}

var (
	urlRE     = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+]{1,9}://[^\s"'<>|\\]+`)
	tokenRE   = regexp.MustCompile(`[A-Za-z0-9_][A-Za-z0-9_.-]*\.[A-Za-z0-9-]+(?::[0-9]{1,5})?`)
	settingRE = regexp.MustCompile(`(?i)^\s*(?:option|list|server|pool|peer|remote|host|address|upstream|mqtt_server|ntp_server|<(?:[a-z]+:)?[a-z_]*(?:server|host|url|addr|address|broker|ntp)[a-z0-9_]*>|"[a-z0-9_.-]*(?:server|host|url|uri|addr|address|broker|endpoint|ntp|cloud)[a-z0-9_]*"\s*:|[a-z0-9_.-]*(?:server|host|url|broker|endpoint)[a-z0-9_]*\s*[: ])`)
)

// settingWord says that a line without "=" sets a host: "server time.example",
// "option server 'x'", "<ServerUrl>x", `"host": "x"`.
func settingWord(line string) bool { return settingRE.MatchString(line) }

// endpointsOf returns the URLs of a line, and the bare hosts if the line is
// one that names hosts.
func endpointsOf(line string, command, setting bool) []endpoint {
	var list []endpoint
	seen := map[string]bool{}
	add := func(e endpoint) {
		if !seen[e.host] {
			seen[e.host] = true
			list = append(list, e)
		}
	}
	if len(line) > 8192 || !command && !setting && !strings.Contains(line, "://") {
		return nil
	}
	rest := line
	if strings.Contains(line, "://") {
		rest = urlRE.ReplaceAllStringFunc(line, func(m string) string {
			if e, ok := parseURL(m); ok && (command || setting || !strings.Contains(line, "xmlns")) && !endsAsDocument(m) && (command || !isNamespace(m)) {
				add(e)
			}
			return " "
		})
	}
	if !command && !setting {
		return list
	}
	for _, m := range tokenRE.FindAllString(rest, 20) {
		host, port := splitPort(strings.ToLower(m))
		if publicHostToken(host) {
			add(endpoint{host: host, port: port})
		}
	}
	return list
}

// publicHostToken says that a word of a command or setting is a host.
func publicHostToken(host string) bool {
	if bareHost(host) {
		return true
	}
	// An address needs all four numbers: 1.2.3 is a version.
	return strings.Count(host, ".") == 3 && strings.Trim(host, "0123456789.") == "" && publicHost(host)
}

// endsAsDocument says that a URL leads to something for people to read.
func endsAsDocument(u string) bool {
	u = strings.ToLower(strings.TrimRight(u, ".,;)"))
	for _, end := range []string{".html", ".htm", ".txt", ".pdf", ".dtd", ".xsd", ".md", "/licenses", "/license"} {
		if strings.HasSuffix(u, end) {
			return true
		}
	}
	return strings.Contains(u, "/licenses/") || strings.Contains(u, "/wiki/") || strings.Contains(u, "/docs/")
}

var portWord = regexp.MustCompile(`^[\s"']+([0-9]{2,5})\b`)

// portAfter returns the number right behind a host: "nc host 4444".
func portAfter(line, host string, port int) int {
	i := strings.Index(strings.ToLower(line), host)
	if i < 0 || port != 0 {
		return port
	}
	if m := portWord.FindStringSubmatch(line[i+len(host):]); m != nil {
		_, n := splitPort("x:" + m[1])
		return n
	}
	return port
}
