package firmware

import (
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// ruleLine is a logical line of a configuration.
type ruleLine struct {
	text string
	line int
}

// ruleLines joins continued lines and drops comments.
func ruleLines(text string) []ruleLine {
	var list []ruleLine
	joined, first, number := "", 0, 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if joined == "" {
			first = number
		}
		if rest, ok := strings.CutSuffix(line, "\\"); ok {
			joined += rest + " "
			continue
		}
		joined += line
		if t := strings.TrimSpace(joined); t != "" && (t[0] != '#' || strings.HasPrefix(t, "#include")) {
			list = append(list, ruleLine{t, first})
		}
		joined = ""
	}
	return list
}

// sudoers is what the files of one volume say.
type sudoers struct {
	aliases map[string][]string
	rules   []sudoRule
	free    []sudoRule // Defaults that ask nobody for a password
}

type sudoRule struct {
	file *product.File
	ruleLine
}

const maxSudoFiles = 200

func (r *privileges) sudo(v *product.Volume) {
	start := v.File("etc/sudoers")
	files := v.Glob("etc/sudoers.d/*")
	if start != nil {
		files = append([]*product.File{start}, files...)
	}
	s := &sudoers{aliases: map[string][]string{}}
	seen := map[*product.File]bool{}
	for len(files) > 0 && len(seen) < maxSudoFiles {
		f := files[0]
		files = files[1:]
		if seen[f] || f != start && strings.ContainsAny(f.Base(), ".~") {
			continue // sudo leaves such names out
		}
		seen[f] = true
		r.out.Looked(doorward.KindPrivilege, 1, "sudo rule file")
		files = append(files, s.read(v, f)...)
	}
	for _, rule := range s.rules {
		r.sudoRule(v, s, rule)
	}
}

// read takes a file's lines in and returns the files that it includes.
func (s *sudoers) read(v *product.Volume, f *product.File) (more []*product.File) {
	for _, l := range ruleLines(f.Text()) {
		words := strings.Fields(l.text)
		switch head := strings.TrimLeft(words[0], "#@"); {
		case (head == "includedir") && len(words) == 2:
			more = append(more, v.Glob(strings.Trim(words[1], "/")+"/*")...)
		case head == "include" && len(words) == 2:
			if inc := v.File(words[1]); inc != nil {
				more = append(more, inc)
			}
		case strings.HasSuffix(words[0], "_Alias"):
			s.alias(strings.TrimSpace(strings.TrimPrefix(l.text, words[0])))
		case strings.HasPrefix(words[0], "Defaults"):
			if strings.Contains(l.text, "!authenticate") {
				s.free = append(s.free, sudoRule{f, l})
			}
		case strings.Contains(l.text, "="):
			s.rules = append(s.rules, sudoRule{f, l})
		}
	}
	return more
}

func (s *sudoers) alias(text string) {
	for _, one := range strings.Split(text, ":") {
		name, list, ok := strings.Cut(one, "=")
		if !ok {
			continue
		}
		for _, member := range strings.Split(list, ",") {
			name := strings.TrimSpace(name)
			s.aliases[name] = append(s.aliases[name], strings.TrimSpace(member))
		}
	}
}

// expand replaces aliases by their members.
func (s *sudoers) expand(list []string, depth int) []string {
	var out []string
	for _, x := range list {
		x = strings.TrimSpace(x)
		if members, ok := s.aliases[x]; ok && depth < 8 && len(out) < 500 {
			out = append(out, s.expand(members, depth+1)...)
		} else if x != "" {
			out = append(out, x)
		}
	}
	return out
}

var runAs = regexp.MustCompile(`\([^)]*\)`)

// sudoRule reports a rule that asks for no password.
func (r *privileges) sudoRule(v *product.Volume, s *sudoers, rule sudoRule) {
	left, right, _ := strings.Cut(rule.text, "=")
	words := strings.Fields(left)
	if len(words) == 0 {
		return
	}
	who := words[0]
	var free []string
	nopass := len(s.free) > 0
	for _, c := range strings.Split(runAs.ReplaceAllString(right, ""), ",") {
		c = strings.TrimSpace(c)
		for {
			tag, rest, ok := strings.Cut(c, ":")
			if !ok || !isSudoTag(tag) {
				break
			}
			switch strings.TrimSpace(tag) {
			case "NOPASSWD":
				nopass = true
			case "PASSWD":
				nopass = false
			}
			c = strings.TrimSpace(rest)
		}
		if nopass && !strings.HasPrefix(c, "!") {
			free = append(free, c)
		}
	}
	free = s.expand(free, 0)
	if who == "root" || len(free) == 0 || notAsRoot(right) {
		return
	}
	r.report(rule.file, sudoDoor(rule, who, free, r.exists(v, s, who)))
}

func isSudoTag(tag string) bool {
	switch strings.TrimSpace(tag) {
	case "NOPASSWD", "PASSWD", "EXEC", "NOEXEC", "SETENV", "NOSETENV", "LOG_INPUT", "NOLOG_INPUT", "LOG_OUTPUT", "NOLOG_OUTPUT", "MAIL", "NOMAIL", "FOLLOW", "NOFOLLOW":
		return true
	}
	return false
}

// notAsRoot says that a rule names users to run as, and root is not among them.
func notAsRoot(right string) bool {
	m := runAs.FindString(right)
	if m == "" {
		return false
	}
	users, _, _ := strings.Cut(strings.Trim(m, "() "), ":")
	for _, u := range strings.Split(users, ",") {
		if u = strings.TrimSpace(u); u == "root" || u == "ALL" || u == "" || u == "#0" {
			return false
		}
	}
	return true
}

func sudoDoor(rule sudoRule, who string, commands []string, exists bool) right {
	x := right{what: "sudo", found: rule.text, line: rule.line, certainty: doorward.Shown, gain: doorward.UserData, references: []string{"T1548.003"},
		title: who + " runs " + strings.Join(commands, ", ") + " as root without a password",
		note:  "no password is asked for"}
	for _, c := range commands {
		if c == "ALL" || strings.HasSuffix(c, "*") || interprets(path.Base(strings.Fields(c + " ")[0])) {
			x.gain = doorward.Control
			x.note = "whoever is " + who + " is root without a password"
		}
	}
	if !exists {
		x.certainty, x.weight = doorward.Hint, doorward.Low
		x.note += "; the product has no such user"
	}
	return x
}

// exists says that a user, or a group, of a rule is in the product.
func (r *privileges) exists(v *product.Volume, s *sudoers, who string) bool {
	for _, name := range s.expand([]string{who}, 0) {
		file := "etc/passwd"
		if group, ok := strings.CutPrefix(name, "%"); ok {
			name, file = group, "etc/group"
		}
		f := r.log.Source(v, file)
		if name == "ALL" || f == nil || strings.HasPrefix(f.Text(), name+":") || strings.Contains(f.Text(), "\n"+name+":") {
			return true
		}
	}
	return false
}

// doas reports rules of doas.conf that ask for no password.
func (r *privileges) doas(v *product.Volume) {
	files := append(v.Glob("etc/doas.conf"), v.Glob("etc/doas.d/*.conf")...)
	for _, f := range files {
		r.out.Looked(doorward.KindPrivilege, 1, "doas rule file")
		for _, l := range ruleLines(f.Text()) {
			words := strings.Fields(l.text)
			if words[0] != "permit" || !contains(words, "nopass") {
				continue
			}
			x := right{what: "sudo", found: l.text, line: l.line, certainty: doorward.Shown, gain: doorward.Control, note: "no password is asked for",
				title: "doas lets " + doasWho(words) + " be root without a password", references: []string{"T1548.003"}}
			if contains(words, "cmd") {
				x.gain = doorward.UserData
				x.title = "doas lets " + doasWho(words) + " run a command as root without a password"
			}
			if doasWho(words) != "root" {
				r.report(f, x)
			}
		}
	}
}

func doasWho(words []string) string {
	for _, w := range words[1:] {
		switch {
		case w == "nopass" || w == "persist" || w == "keepenv" || w == "nolog" || w == "setenv" || strings.ContainsAny(w, "{}="):
		default:
			return w
		}
	}
	return "nobody"
}

var polkitYes = regexp.MustCompile(`return\s+(polkit\.Result\.YES|["']yes["'])`)

// polkit reports rules that allow every action without looking at it.
func (r *privileges) polkit(v *product.Volume) {
	for _, pattern := range []string{"etc/polkit-1/rules.d/*.rules", "usr/share/polkit-1/rules.d/*.rules"} {
		for _, f := range v.Glob(pattern) {
			r.out.Looked(doorward.KindPrivilege, 1, "polkit rule file")
			text := withoutComments(f.Text())
			for _, body := range strings.Split(text, "addRule")[1:] {
				m := polkitYes.FindStringIndex(body)
				if m == nil || strings.Contains(body[:m[0]], "action.id") || strings.Contains(body[:m[0]], "action.lookup") {
					continue
				}
				r.report(f, right{what: "sudo", found: body[m[0]:m[1]], certainty: doorward.Shown, gain: doorward.Control,
					title: f.Base() + " allows every action that polkit guards", note: "the rule says yes without looking at the action"})
				break
			}
		}
	}
	for _, f := range append(v.Glob("etc/polkit-1/localauthority/*/*.pkla"), v.Glob("var/lib/polkit-1/localauthority/*/*.pkla")...) {
		text := f.Text()
		if strings.Contains(text, "Action=*") && regexp.MustCompile(`(?m)^Result(Any|Inactive|Active)=yes`).MatchString(text) {
			r.report(f, right{what: "sudo", found: "Action=* with Result...=yes", certainty: doorward.Shown, gain: doorward.Control,
				title: f.Base() + " allows every action that polkit guards", note: "the rule says yes to any action"})
		}
	}
}

var jsComment = regexp.MustCompile(`(?s)/\*.*?\*/|(^|\s)//[^\n]*`)

func withoutComments(text string) string { return jsComment.ReplaceAllString(text, "") }

// preload reports libraries that every program loads.
func (r *privileges) preload(v *product.Volume) {
	f := r.log.Source(v, "etc/ld.so.preload")
	if f == nil {
		f = v.File("etc/ld.so.preload")
	}
	if f == nil {
		return
	}
	r.out.Looked(doorward.KindPrivilege, 1, "preload list")
	for _, l := range ruleLines(f.Text()) {
		x := right{what: "preload", found: l.text, line: l.line, certainty: doorward.Shown, gain: doorward.Control, references: []string{"T1574.006"},
			title: "every program loads " + l.text, note: "a library of this list sees and changes what all programs do, root's too"}
		if !v.Exists(strings.Fields(l.text)[0]) {
			x.note += "; the product does not ship it: who can put a file there is root"
		}
		r.report(f, x)
	}
}
