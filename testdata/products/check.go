//go:build ignore

// Command check reads the product archives of this folder, holds them against
// the grammar of README.md, and counts. Run it in this folder: go run check.go.
package main

import (
	"bytes"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

var keys = map[string]string{
	"account":     "user uid credential password hash_type shell made_by",
	"key":         "path algorithm fingerprint private used_by",
	"service":     "proto port program program_path arguments started_by condition shell authenticated",
	"trigger":     "value encoding source compare effect function program chain",
	"debug":       "what device path",
	"update":      "what host url path signed",
	"privilege":   "what path",
	"sensor":      "what program device sends",
	"destination": "host port url program cleartext",
	"tracker":     "radio id",
}

var values = map[string]string{
	"credential":      "per-unit fixed default empty none",
	"signed":          "true false unknown",
	"private":         "true false",
	"sends":           "true false",
	"cleartext":       "true false",
	"proto":           "tcp udp",
	"debug what":      "serial-shell boot-shell boot-args adb jtag kernel daemon helper",
	"privilege what":  "setuid setgid capability sudo preload startup",
	"sensor what":     "camera microphone screen location",
	"expected status": "declared undeclared contradicts",
}

const weights = "critical high medium low info"

func in(list, word string) bool {
	for _, w := range strings.Fields(list) {
		if w == word {
			return true
		}
	}
	return false
}

// archive is one product: its files, links and folders by path, and its lines.
type archive struct {
	name         string
	files, modes map[string]string
	links        map[string]string
	elves        []string
	expect, trap map[string]int // by kind
	allow, none  int
	seen         map[string]int
	waiting      string // the line that waits for its why

}

var marker = regexp.MustCompile(`(?m)^-- (.+) --\n`)
var key = regexp.MustCompile(`^([a-z_]+)(\?=|\?~|=|~)(.+)$`)

func (a *archive) bad(n int, format string, args ...any) {
	fmt.Printf("%s:%d: %s\n", a.name, n, fmt.Sprintf(format, args...))
	failed = true
}

var failed bool
var used = map[string]bool{}

func split(line string) (words []string, err error) {
	var w strings.Builder
	quoted := false
	for _, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			if w.Len() > 0 {
				words = append(words, w.String())
				w.Reset()
			}
		default:
			w.WriteRune(c)
		}
	}
	if w.Len() > 0 {
		words = append(words, w.String())
	}
	if quoted {
		return words, fmt.Errorf("a quote is open")
	}
	return words, nil
}

func (a *archive) add(n int, p, what string) {
	if path.Clean(p) != p || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "../") {
		a.bad(n, "odd path %q", p)
	}
	if a.files[p] != "" && !(what == "hex" && a.files[p] == "hex") {
		a.bad(n, "%s is there twice", p)
	}
	a.files[p] = what
}

// tree reads a line that describes the tree; false if it is another line.
func (a *archive) tree(n int, w []string, line string) bool {
	need := map[string]int{"link": 4, "dir": 2, "elf": 3, "hex": 3, "nul": 2, "mode": 3, "owner": 3, "xattr": 4}[w[0]]
	if need == 0 {
		return false
	}
	if len(w) != need && !(w[0] == "hex" && len(w) > need) {
		a.bad(n, "%s takes %d words", w[0], need-1)
		return true
	}
	switch w[0] {
	case "link":
		a.add(n, w[1], "link")
		a.links[w[1]] = w[3]
		if w[2] != "->" {
			a.bad(n, "no arrow")
		}
	case "dir":
		a.add(n, w[1], "dir")
	case "elf":
		a.add(n, w[1], "elf")
		a.elves = append(a.elves, w[2])
		used[w[2]] = true
	case "hex":
		a.add(n, w[1], "hex")
		if _, err := hex.DecodeString(strings.Join(w[2:], "")); err != nil {
			a.bad(n, "%v", err)
		}
	case "mode":
		if !regexp.MustCompile(`^[0-7]{4}$`).MatchString(w[1]) {
			a.bad(n, "mode %q", w[1])
		}
		a.modes[w[2]] = line
	case "owner":
		a.modes[w[2]] = line
	case "nul":
		a.modes[w[1]] = line
	case "xattr":
		a.modes[w[2]] = line
		if _, err := hex.DecodeString(w[3]); err != nil {
			a.bad(n, "%v", err)
		}
	}
	return true
}

func (a *archive) pairs(n int, kinds []string, words []string) {
	for i, w := range words {
		if w == "at" {
			if i+2 != len(words) {
				a.bad(n, "at takes one list, and ends the line")
				return
			}
			for _, p := range strings.Split(words[i+1], ",") {
				a.place(n, p)
			}
			return
		}
		m := key.FindStringSubmatch(w)
		if m == nil {
			a.bad(n, "what is %q?", w)
			continue
		}
		known := false
		for _, k := range kinds {
			if k == "*" || in(keys[k], m[1]) {
				known = true
			}
			list := values[m[1]]
			if list == "" {
				list = values[k+" "+m[1]]
			}
			if list != "" && len(kinds) == 1 {
				for _, v := range strings.Split(m[3], "|") {
					if !in(list, v) {
						a.bad(n, "%s=%s: one of %s", m[1], v, list)
					}
				}
			}
		}
		if !known {
			a.bad(n, "%s has no key %s", kinds, m[1])
		}
	}
}

// place holds that a path of an expectation is a file of the tree.
func (a *archive) place(n int, p string) {
	if strings.HasSuffix(p, "/") {
		for f := range a.files {
			if strings.HasPrefix(f, p) {
				return
			}
		}
		a.bad(n, "nothing below %s", p)
		return
	}
	if k := a.files[p]; k == "" || k == "link" || k == "dir" {
		a.bad(n, "%s is no file of the product", p)
	}
}

func (a *archive) kinds(n int, word string) []string {
	ks := strings.Split(word, "|")
	for _, k := range ks {
		if keys[k] == "" && k != "*" {
			a.bad(n, "no kind %q", k)
		}
	}
	return ks
}

func isWeights(word string) bool {
	for _, w := range strings.Split(word, ",") {
		if !in(weights, w) {
			return false
		}
	}
	return true
}

func (a *archive) line(n int, line string) {
	w, err := split(line)
	if err != nil {
		a.bad(n, "%v", err)
	}
	if strings.HasPrefix(line, "why: ") {
		if a.waiting == "" {
			a.bad(n, "why without a line that it belongs to")
		}
		a.waiting = ""
		return
	}
	if a.waiting != "" {
		a.bad(n, "no why for %q", a.waiting)
		a.waiting = ""
	}
	if a.tree(n, w, line) {
		return
	}
	switch {
	case strings.HasPrefix(line, "product: ") && n == 1:
	case strings.HasPrefix(line, "expect none >= ") && len(w) == 4 && in(weights, w[3]):
		a.none++
	case strings.HasPrefix(line, "expect door ") && len(w) > 4:
		ks, rest := a.kinds(n, w[2]), w[3:]
		if in(values["expected status"], rest[0]) {
			rest = rest[1:]
		}
		if !isWeights(rest[0]) {
			a.bad(n, "weights %q", rest[0])
		}
		rest = rest[1:]
		if rest[0] == "many" {
			rest = rest[1:]
		}
		if len(rest) < 2 || rest[len(rest)-2] != "at" {
			a.bad(n, "an expectation needs at")
		}
		a.pairs(n, ks, rest)
		a.expect[ks[0]]++
		a.waiting = line
	case w[0] == "allow" && len(w) > 1:
		ks, rest := a.kinds(n, w[1]), w[2:]
		if len(rest) > 0 && isWeights(rest[0]) {
			rest = rest[1:]
		}
		a.pairs(n, ks, rest)
		a.allow++
	case w[0] == "trap" && len(w) > 1:
		ks, rest := a.kinds(n, w[1]), w[2:]
		if len(rest) > 1 && rest[0] == ">=" {
			if !in(weights, rest[1]) {
				a.bad(n, "weight %q", rest[1])
			}
			rest = rest[2:]
		}
		a.pairs(n, ks, rest)
		a.trap[ks[0]]++
		a.waiting = line
	default:
		a.bad(n, "cannot read %q", line)
	}
	if a.seen[line]++; a.seen[line] > 1 && w[0] != "hex" {
		a.bad(n, "twice: %s", line)
	}
}

func check(file string) *archive {
	data, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	a := &archive{name: file, files: map[string]string{}, modes: map[string]string{}, links: map[string]string{},
		expect: map[string]int{}, trap: map[string]int{}, seen: map[string]int{}}
	comment := string(data)
	if at := marker.FindStringIndex(comment); at != nil {
		comment = comment[:at[0]]
	}
	lines := strings.Split(comment, "\n")
	for _, m := range marker.FindAllSubmatch(data, -1) {
		a.add(0, string(m[1]), "file")
	}
	for pass := 0; pass < 2; pass++ { // the tree first, then what is said of it
		for i, line := range lines {
			w := strings.Fields(line)
			if len(w) == 0 || line[0] == '#' {
				continue
			}
			isTree := in("link dir elf hex nul mode owner xattr", w[0])
			if isTree == (pass == 0) {
				a.line(i+1, line)
			}
		}
	}
	if a.waiting != "" {
		a.bad(len(lines), "no why for %q", a.waiting)
	}
	if a.none != 1 {
		a.bad(1, "expect none stands %d times", a.none)
	}
	a.whole(data)
	return a
}

// whole checks what needs the whole archive.
func (a *archive) whole(data []byte) {
	files := 0
	for p, what := range a.files {
		if what != "link" && what != "dir" {
			files++
		}
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			if k := a.files[d]; k != "" && k != "dir" {
				a.bad(0, "%s lies below the %s %s", p, k, d)
			}
		}
	}
	if files < 10 || files > 60 {
		a.bad(0, "%d files", files)
	}
	for p, line := range a.modes {
		below := false
		for f := range a.files {
			below = below || strings.HasPrefix(f, p+"/")
		}
		if a.files[p] == "" && !below {
			a.bad(0, "%s: no such file", line)
		}
	}
	for _, bad := range []string{"@@", "\r"} {
		if bytes.Contains(data, []byte(bad)) {
			a.bad(0, "contains %s", bad)
		}
	}
	for _, name := range a.elves {
		st, err := os.Stat(filepath.Join("bin", name))
		if err != nil {
			a.bad(0, "%v", err)
			continue
		}
		f, err := elf.Open(filepath.Join("bin", name))
		if err != nil || st.Size() > 20<<10 {
			a.bad(0, "%s: %v, %d bytes", name, err, st.Size())
			continue
		}
		f.Close()
	}
}

func main() {
	names, _ := filepath.Glob("*.txtar")
	doors, traps, sumDoors, sumTraps := map[string]int{}, map[string]int{}, 0, 0
	for _, name := range names {
		a := check(name)
		d, t, files := 0, 0, 0
		for k, n := range a.expect {
			doors[k] += n
			d += n
		}
		for k, n := range a.trap {
			traps[k] += n
			t += n
		}
		for _, what := range a.files {
			if what != "link" && what != "dir" {
				files++
			}
		}
		fmt.Printf("%-28s %3d files %3d doors %3d traps %3d allowed\n", name, files, d, t, a.allow)
		sumDoors, sumTraps = sumDoors+d, sumTraps+t
	}
	fmt.Println(len(names), "products,", sumDoors, "doors", doors, sumTraps, "traps", traps)
	built, _ := filepath.Glob("bin/*.*")
	sort.Strings(built)
	for _, b := range built {
		if n := filepath.Base(b); n != "build.sh" && !used[n] {
			fmt.Println("not used:", n)
		}
	}
	if failed {
		os.Exit(1)
	}
}
