package firmware

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/crypt"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
	"github.com/doorward/doorward/internal/unpack"
)

// made is the place at which an account or a password is made.
type made struct {
	file   *product.File
	line   int   // 0 in a program
	offset int64 // in a program
	text   string
}

// madeUser is what the product's scripts and programs make of one user.
type madeUser struct {
	user, field string // field is a hash, or "" (no password)
	password    string // in clear, if clear
	clear       bool
	system      bool // a user of the system, not of an application
	uid         int
	shell       string
	at          made
	command     string
}

var accountScriptPatterns = []string{"passwd", "shadow", "useradd", "adduser", "usermod", "smbpasswd", "/passw", "IDENTIFIED BY"}

// programPatterns are what commands in programs, and lines of passwd, have.
var programPatterns = append(accountScriptPatterns[:len(accountScriptPatterns):len(accountScriptPatterns)], ":0:0:", ":x:", ":/bin/")

// madeAccounts reads every script, and the commands in programs, for accounts
// and passwords that are made when the product runs.
func (a *accounts) madeAccounts() {
	a.readPreseeds()
	for _, f := range a.product.Files {
		if quietFile(f) || !hasAny(f, programPatterns) && !hasAny(f, clientPatterns) {
			continue
		}
		switch {
		case (isScript(f) || a.runs(f)) && (hasAny(f, accountScriptPatterns) || hasAny(f, clientPatterns)):
			a.out.Looked(doorward.KindAccount, 1, "script that may make accounts")
			a.readScript(f)
		case f.Type == unpack.TypeELF:
			a.readProgram(f)
		}
	}
	for _, m := range a.made {
		a.reportMade(m)
	}
}

func hasAny(f *product.File, patterns []string) bool {
	for _, p := range patterns {
		if f.Has(p) {
			return true
		}
	}
	return false
}

// isScript says that a file is for a shell, by what it is or how it is marked.
func isScript(f *product.File) bool {
	if f.Type == unpack.TypeScript {
		return true
	}
	return f.Type == unpack.TypeText && (strings.HasSuffix(f.Path, ".sh") || strings.Contains(f.Path, "init.d/") || f.Mode()&0o111 != 0 && strings.Contains(f.Path, "bin/"))
}

// runs says that the start-up evaluator came through a file.
func (a *accounts) runs(f *product.File) bool {
	return f.Type.IsText() && len(a.sites()[f]) > 0
}

// sites are the lines of files at which something happens at start-up.
func (a *accounts) sites() map[*product.File]map[int]*startup.Event {
	if a.events == nil {
		a.events = map[*product.File]map[int]*startup.Event{}
		for i := range a.log.Events {
			e := &a.log.Events[i]
			if e.By.File == nil {
				continue
			}
			if a.events[e.By.File] == nil {
				a.events[e.By.File] = map[int]*startup.Event{}
			}
			if old := a.events[e.By.File][e.By.Line]; old == nil || old.Holds() != startup.True {
				a.events[e.By.File][e.By.Line] = e
			}
		}
	}
	return a.events
}

func (a *accounts) readScript(f *product.File) {
	text := strings.ReplaceAll(f.Text(), "\r\n", "\n")
	lines := strings.Split(text, "\n")
	s := &shellReader{a: a, file: f, vars: map[string]string{}, line: func(n syntax.Node) (int, string) {
		at := int(n.Pos().Line())
		if at < 1 || at > len(lines) {
			return 0, ""
		}
		return at, lines[at-1]
	}}
	s.stmts(startup.Statements(text), "")
	s.uncalled(text)
	if s.steps > maxShellSteps {
		leftOut(a.out, f, 0, 0, fmt.Sprintf("the script takes more than %d steps to follow: which passwords it writes behind them was not looked at", maxShellSteps))
	}
}

// readProgram reads the commands that a program hands to a shell, and the lines
// of passwd and shadow that lie in it.
func (a *accounts) readProgram(f *product.File) {
	seen := map[int64]bool{}
	for _, p := range programPatterns {
		for _, at := range f.Hits(p) {
			start, text := stringNear(f, at)
			if text == "" || seen[start] || len(seen) > 2000 {
				continue
			}
			seen[start] = true
			a.programText(f, start, text)
		}
	}
}

var printfVerb = regexp.MustCompile(`%[-0-9.]*l?[sduxc]`)

func (a *accounts) programText(f *product.File, start int64, text string) {
	at := made{file: f, offset: start, text: text}
	text = printfVerb.ReplaceAllString(text, "$$ARG")
	if strings.Count(text, ":") >= 6 && !strings.ContainsAny(text, "|>") {
		a.written(at, "/etc/passwd", text, true)
		return
	}
	if !strings.ContainsAny(text, "|>") && !strings.Contains(text, "add") && !strings.Contains(text, "-d ") {
		return
	}
	s := &shellReader{a: a, file: f, vars: map[string]string{}, line: func(syntax.Node) (int, string) { return 0, at.text }}
	s.offset = start
	s.stmts(startup.Statements(text), "")
}

// stringNear is stringAt of a file.
func stringNear(f *product.File, at int64) (int64, string) {
	b, from := f.Near(at, 2048, 4096)
	start, text := stringAt(b, at-from)
	return from + start, text
}

// stringAt is the NUL-ended text around an offset, if it is text.
func stringAt(b []byte, at int64) (int64, string) {
	if at < 0 || at >= int64(len(b)) {
		return 0, ""
	}
	start, end := at, at
	for start > 0 && at-start < 2048 && isTextByte(b[start-1]) {
		start--
	}
	for end < int64(len(b)) && end-at < 4096 && isTextByte(b[end]) {
		end++
	}
	return start, string(b[start:end])
}

func isTextByte(c byte) bool { return c >= 0x20 && c < 0x7f || c == '\n' || c == '\t' || c == '\r' }

// answer is a value that is put into an installer's questions beforehand.
type answer struct {
	value string
	at    made
}

// preseed matches "OWNER pkg/question password VALUE" and the calls of helpers
// that write such lines.
var preseed = regexp.MustCompile(`(?m)^[^#\n]*?["' \t]?([a-z0-9][a-z0-9+.-]*/[a-z0-9-]*passw[a-z0-9-]*)["']?[ \t]+["']?(?:password|string)["']?[ \t]+["']?([^"'\s#]+)`)

func (a *accounts) readPreseeds() {
	a.preseeds = map[string]answer{}
	for _, f := range a.product.Files {
		if !f.Type.IsText() || quietFile(f) || !f.Has("/passw") {
			continue
		}
		text := f.Text()
		end := int64(0)
		for _, at := range f.Hits("/passw") {
			if at >= int64(len(text)) || len(a.preseeds) > 500 {
				break
			}
			if at < end {
				continue
			}
			line := lineOf(text, int(at))
			if n := strings.IndexByte(text[at:], '\n'); n >= 0 {
				end = at + int64(n)
			} else {
				end = int64(len(text))
			}
			m := preseed.FindStringSubmatch(line)
			if m == nil || len(line) > 1024 {
				continue
			}
			key, value := m[1], m[2]
			if strings.HasPrefix(value, "$") && !strings.HasPrefix(value, "$1$") && !strings.HasPrefix(value, "$5$") && !strings.HasPrefix(value, "$6$") {
				continue
			}
			if _, ok := a.preseeds[key]; !ok {
				a.preseeds[key] = answer{value, made{file: f, line: 1 + strings.Count(text[:at], "\n"), text: line}}
			}
		}
	}
	a.installerUsers()
}

func lineOf(text string, at int) string {
	start := strings.LastIndexByte(text[:at], '\n') + 1
	end := strings.IndexByte(text[at:], '\n')
	if end < 0 {
		return text[start:]
	}
	return text[start : at+end]
}

// installerUsers are those that the Debian installer makes of its answers.
func (a *accounts) installerUsers() {
	for _, q := range []struct{ key, user string }{
		{"passwd/root-password", "root"}, {"passwd/root-password-crypted", "root"},
		{"passwd/user-password", "user"}, {"passwd/user-password-crypted", "user"},
	} {
		v, ok := a.preseeds[q.key]
		if !ok || v.value == "!" || v.value == "*" {
			continue
		}
		m := madeUser{user: q.user, uid: -1, system: true, at: v.at, command: "preseed"}
		if strings.HasSuffix(q.key, "crypted") {
			m.field = v.value
		} else {
			m.password, m.clear = v.value, true
		}
		a.made = append(a.made, m)
	}
}

// answered remembers that a script asked for an answer that is known.
func (a *accounts) answered(f *product.File, key string) {
	if a.asked == nil {
		a.asked = map[*product.File][]answer{}
	}
	v := a.preseeds[key]
	for _, old := range a.asked[f] {
		if old.value == v.value {
			return
		}
	}
	a.asked[f] = append(a.asked[f], v)
}

// reportMade makes the door of a made user.
func (a *accounts) reportMade(m madeUser) {
	d := login{user: m.user, uid: m.uid, shell: m.shell, gain: doorward.UserData, certainty: doorward.Likely, madeBy: m.at.file.Base()}
	note := ""
	switch h, isHash := crypt.ParseWeb(m.field); {
	case m.clear && isUnknown(m.password):
		d.credential, d.hidden = "per-unit", doorward.Normal
		note = "the password is set when this runs; its value is not in the product"
	case m.clear:
		d.setPassword(m.password)
		note = "the password is set when this runs, to the same value on every unit"
	case isHash:
		note = a.setHash(&d, h)
	case m.field == "":
		d.credential, note = "empty", "the password is made empty"
	default:
		return
	}
	d.evidence = []doorward.Evidence{lineEvidence(m.at.file, m.at.line, m.at.text, note)}
	d.where, d.check = m.at.file.Where(), checkLine(m.at.file, m.at.line)
	if m.at.line == 0 {
		d.where = m.at.file.WhereAt(m.at.offset)
		d.evidence[0].Offset = &m.at.offset
	}
	a.completeMade(&d, &m)
	a.report(d)
}

func (a *accounts) completeMade(d *login, m *madeUser) {
	f := m.at.file
	if m.system {
		a.knownUser(d, f.Volume)
		if d.uid == 0 || d.uid < 0 && d.user == "root" {
			d.gain = doorward.Control
		}
		var note string
		d.reach, d.lighter, note = a.placeOf(f.Volume, d.credential == "empty")
		d.note(note)
	} else {
		d.reach = doorward.Remote
	}
	a.whenMade(d, m)
	for _, v := range a.asked[f] {
		if v.value == m.password && m.clear {
			d.evidence = append(d.evidence, lineEvidence(v.at.file, v.at.line, v.at.text, "where the password comes from"))
			d.where = append(d.where, v.at.file.Where()...)
			d.check += "; and " + checkLine(v.at.file, v.at.line)
		}
	}
	d.title = madeTitle(d, m)
}

// knownUser takes uid and shell from the volume's passwd, or from what else is
// made of the user, and shows the line.
func (a *accounts) knownUser(d *login, v *product.Volume) {
	for _, u := range a.dbs[v] {
		for _, l := range u.lines {
			if l.user == d.user && l.uid >= 0 {
				if d.uid < 0 {
					d.uid, d.shell = l.uid, l.shell
				}
				note := "the account"
				if l.uid == 0 && l.user != "root" {
					note = "uid 0: this user is root under another name"
				}
				d.evidence = append(d.evidence, lineEvidence(u.file, l.line, l.text, note))
				d.where = append(u.file.Where(), d.where...)
				return
			}
		}
	}
	for _, o := range a.made {
		if o.user == d.user && o.uid >= 0 && o.at.file.Volume == v && d.uid < 0 {
			d.uid, d.shell = o.uid, o.shell
		}
	}
}

// whenMade says what is known of when the line runs.
func (a *accounts) whenMade(d *login, m *madeUser) {
	e := a.sites()[m.at.file][m.at.line]
	switch {
	case m.at.file.Deleted():
		d.certainty, d.limit = doorward.Hint, doorward.Low
		d.note("only in a deleted layer or file: still in the artifact")
	case m.at.line == 0:
		d.note("assumes that the program comes to this command")
	case e == nil:
		d.note("assumes that the script is run")
	case e.Holds() == startup.True:
		d.certainty = doorward.Shown
		d.note("run at " + e.Trigger + " by " + e.Manager)
	case e.Holds() == startup.False:
		d.lighter++
		d.note("as shipped its condition is false: " + e.Condition[0].Text)
	default:
		d.note("run at " + e.Trigger + " by " + e.Manager + ", if " + conditionText(e))
	}
}

func conditionText(e *startup.Event) string {
	for _, c := range e.Condition {
		if c.Holds != startup.True {
			return clip(c.Text, 80)
		}
	}
	return "its condition holds"
}

func madeTitle(d *login, m *madeUser) string {
	who := "user " + d.user
	if d.uid == 0 && d.user != "root" {
		who = "second root user " + d.user
	}
	how := "gets a fixed password when the product runs"
	switch d.credential {
	case "default":
		how = "gets a published default password when the product runs"
	case "empty":
		how = "gets an empty password when the product runs"
	case "per-unit":
		how = "gets its password when the product runs"
	case "":
		how = "gets its password from a script"
	}
	if !m.system {
		who += " of " + m.command
	}
	return clip(who+" "+how, 90)
}

func isUnknown(s string) bool { return strings.Contains(s, "$") && len(s) > 1 }

// number is a decimal number, or -1.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func isUserDatabase(target string) bool {
	switch path.Base(target) {
	case "passwd", "shadow", "passwd-", "shadow-", "master.passwd":
		return true
	}
	return false
}
