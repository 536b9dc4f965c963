package firmware

import (
	"path"
	"strconv"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

// userLine is a line of passwd, of shadow, or of a file that is both.
type userLine struct {
	user, field string // field: the password's
	uid         int    // -1 in shadow
	home, shell string
	line        int
	text        string
}

// userFile is a file of the shape of passwd or shadow.
type userFile struct {
	file   *product.File
	shadow bool
	lines  []userLine
	byName map[string][2]int // the first and the last line of a user
}

// maxUserFile is the size up to which a file of users is read; longTexts reports
// what is larger.
const maxUserFile = product.MaxText

// readUserFile reads a file that is passwd or shadow by its structure; nil if
// it is not. A few odd lines are allowed, as login programs allow them.
func readUserFile(f *product.File) *userFile {
	if f.Size == 0 || f.Size > maxUserFile || !f.Type.IsText() {
		return nil
	}
	u := &userFile{file: f}
	odd, number := 0, 0
	shadows := 0
	for text := range strings.Lines(f.Text()) {
		number++
		text = strings.TrimRight(text, "\r\n")
		if t := strings.TrimSpace(text); t == "" || t[0] == '#' || t[0] == '+' {
			continue
		}
		l, ok := parsePasswd(text)
		if !ok {
			if l, ok = parseShadow(text); ok {
				shadows++
			}
		}
		if !ok {
			if odd++; odd > 4 {
				return nil
			}
			continue
		}
		l.line = number
		u.lines = append(u.lines, l)
	}
	if len(u.lines) == 0 || odd > len(u.lines)/2 {
		return nil
	}
	u.shadow = shadows > len(u.lines)/2
	u.byName = make(map[string][2]int, len(u.lines))
	for i, l := range u.lines {
		at, ok := u.byName[l.user]
		if !ok {
			at[0] = i
		}
		at[1] = i
		u.byName[l.user] = at
	}
	return u
}

// parsePasswd reads user:password:uid:gid:comment:home:shell.
func parsePasswd(text string) (userLine, bool) {
	p := strings.Split(text, ":")
	if len(p) != 7 || !isUserName(p[0]) || !isNumber(p[2]) || !isNumber(p[3]) || !isPathOrEmpty(p[5]) || !isPathOrEmpty(p[6]) {
		return userLine{}, false
	}
	if p[5] == "" && p[6] == "" && p[4] == "" && p[1] == "" {
		return userLine{}, false
	}
	uid, err := strconv.Atoi(p[2])
	if err != nil {
		return userLine{}, false
	}
	return userLine{user: p[0], field: p[1], uid: uid, home: p[5], shell: strings.TrimSpace(p[6]), text: text}, true
}

// parseShadow reads user:password and seven numbers, most of which may be
// missing.
func parseShadow(text string) (userLine, bool) {
	p := strings.Split(strings.TrimSpace(text), ":")
	if len(p) < 8 || len(p) > 9 || !isUserName(p[0]) || strings.ContainsAny(p[1], " \t\"'`") {
		return userLine{}, false
	}
	numbers := 0
	for _, n := range p[2:] {
		if n == "" {
			continue
		}
		if !isNumber(n) && n != "-1" {
			return userLine{}, false
		}
		numbers++
	}
	return userLine{user: p[0], field: p[1], uid: -1, text: text}, numbers > 0 || p[1] != ""
}

func isUserName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '@':
		case (c == '-' || c == '$') && i > 0:
		default:
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	if s == "" || len(s) > 10 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isPathOrEmpty(s string) bool {
	s = strings.TrimSpace(s)
	return s == "" || s[0] == '/'
}

// isNoLogin says that a shell refuses everybody, or does one thing and ends, as
// sync and halt do.
func isNoLogin(shell string) bool {
	switch path.Base(shell) {
	case "nologin", "false", "true", "sync", "halt", "shutdown", "noshell", "git-shell", "null", "nosh":
		return shell != ""
	}
	return false
}
