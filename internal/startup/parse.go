package startup

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward/internal/product"
)

// script is a parsed shell script.
type script struct {
	text  string // "" if it is loose
	lines []string
	stmts []*syntax.Stmt
	loose bool // did not parse as a whole: stmts are the lines that do alone
	shell bool // is for a Bourne shell at all
}

// maxScript is the size up to which a script is read.
const maxScript = 4 << 20

// parse reads a file as a shell script, once.
func (e *engine) parse(f *product.File) *script {
	if s := e.scripts[f.SHA256]; s != nil {
		return s
	}
	s := &script{}
	if f.Size > maxScript && f.Type.IsText() {
		e.log.limit(Limit{File: f, Volume: e.v, Size: f.Size, Note: fmt.Sprintf("a script over %d MiB is not followed", maxScript>>20)})
	} else {
		s = parseText(f.Text())
	}
	e.scripts[f.SHA256] = s
	return s
}

func parseText(t string) *script {
	t = strings.ReplaceAll(t, "\r\n", "\n")
	s := &script{lines: strings.Split(t, "\n"), shell: isShell(t)}
	if !s.shell {
		return s
	}
	for _, lang := range []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX, syntax.LangMirBSDKorn} {
		if stmts, ok := parseShell(t, lang); ok {
			s.stmts, s.text = stmts, t
			return s
		}
	}
	s.loose = true
	s.stmts = parseLines(s.lines)
	return s
}

// parseShell guards against a panic of the parser: the text is hostile.
func parseShell(t string, lang syntax.LangVariant) (stmts []*syntax.Stmt, ok bool) {
	defer func() {
		if recover() != nil {
			stmts, ok = nil, false
		}
	}()
	if tooDeep(t) {
		return nil, false
	}
	f, err := syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(t), "")
	if err != nil {
		return nil, false
	}
	return f.Stmts, true
}

// maxNesting bounds what a script can nest, since the parser recurses for it. No
// script that people wrote comes near.
const maxNesting = 8000

// tooDeep says that a text may nest too much for a recursive parser. It counts
// what opens, however it closes.
func tooDeep(t string) bool {
	depth, words := 0, 0
	for i := range len(t) {
		switch t[i] {
		case '(', '{', '`', '[':
			depth++
		case ')', '}', ']':
			depth = max(depth-1, 0)
		case '&', '|', '!':
			words++
		case 'f', 'e':
			if i > 0 && (t[i-1] == 'i' || t[i-1] == 'l' || t[i-1] == 's') {
				words++ // if, while, case
			}
		}
		if depth > maxNesting {
			return true
		}
	}
	return words > 8*maxNesting
}

// parseLines keeps what parses line by line: the fall-back for a script with a
// syntax error or of another dialect.
func parseLines(lines []string) []*syntax.Stmt {
	var all []*syntax.Stmt
	for i, line := range lines {
		line = strings.TrimSpace(line)
		line = strings.TrimSuffix(strings.TrimSuffix(line, "; then"), ";then")
		for _, word := range []string{"then ", "else ", "do "} {
			line = strings.TrimPrefix(line, word)
		}
		if line == "" || line[0] == '#' || len(line) > 4096 {
			continue
		}
		stmts, ok := parseShell(line, syntax.LangBash)
		if !ok {
			continue
		}
		for _, st := range stmts {
			syntax.Walk(st, func(n syntax.Node) bool {
				if s, ok := n.(*syntax.Stmt); ok {
					s.Position = syntax.NewPos(0, uint(i+1), 1)
				}
				return true
			})
		}
		all = append(all, stmts...)
	}
	return all
}

// isShell says by the first line that a text is for a Bourne shell. A text
// without #! is what the calling shell runs itself.
func isShell(t string) bool {
	if !strings.HasPrefix(t, "#!") {
		return true
	}
	head, _, _ := strings.Cut(t, "\n")
	return isShellLine(head)
}

func isShellLine(head string) bool {
	fields := strings.Fields(strings.TrimPrefix(head, "#!"))
	for _, f := range fields {
		name := f[strings.LastIndexByte(f, '/')+1:]
		switch name {
		case "sh", "ash", "bash", "dash", "ksh", "mksh", "busybox", "openrc-run", "runscript", "msh", "hush", "execlineb", "with-contenv", "zsh", "rc.common":
			return name != "execlineb"
		case "env", "command":
			continue
		}
		if strings.HasPrefix(f, "-") {
			continue
		}
		return false
	}
	return false
}

func (s *script) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	t := strings.TrimSpace(s.lines[n-1])
	if len(t) > 400 {
		t = t[:400]
	}
	return t
}
