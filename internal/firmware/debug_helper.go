package firmware

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
)

// openHelpers finds web programs that run what their query says, without the
// session check that their siblings make, and that no page links to.
func openHelpers(p *product.Product, out *detect.Sink) {
	for _, f := range p.Files {
		if f.Volume == nil || f.Deleted() || isDocumentation(f.Inner()) || !f.Has("QUERY_STRING") {
			continue
		}
		out.Looked(doorward.KindDebug, 1, "web program")
		ev, ok := runsItsQuery(f)
		if !ok || checksSession(f) {
			continue
		}
		d := debugDoor("helper", fmt.Sprintf("%s runs commands from the network without a log-in", f.Base()), doorward.Remote, doorward.Open)
		d.Stages = []doorward.Stage{doorward.Signal, doorward.Access}
		d.Detail["path"] = f.Path
		d.Where, d.Evidence = f.Where(), []doorward.Evidence{ev}
		if f.Type.Executable() {
			d.Certainty = doorward.Likely
		}
		if pages := linkedFrom(f); len(pages) == 0 {
			d.Evidence = append(d.Evidence, doorward.Evidence{What: f.Base(), Note: "no page of the product links to it"})
		}
		if s := sibling(f); s != nil {
			d.Evidence = append(d.Evidence, doorward.Evidence{What: s.Path, Note: "its sibling checks the session first", Path: s.Path})
		}
		d.References = append(d.References, "CWE-912")
		d.Check = fmt.Sprintf("Read %s; on the device, ask the web server for it with a harmless command.", f.Path)
		out.Door(d)
	}
}

// session are words by which a web program checks who asks.
var session = regexp.MustCompile(`(?i)HTTP_COOKIE|REMOTE_USER|HTTP_AUTHORIZATION|AUTH_TYPE|session|check_?(auth|login|user|token)|is_?login|logged_?in|verify_?(auth|token|login)|auth_?check|csrf|need_?login`)

func checksSession(f *product.File) bool {
	if f.Type.IsText() {
		text := f.Text()
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); !isComment(line) && session.MatchString(line) {
				return true
			}
		}
		return false
	}
	return session.Match(f.Bytes())
}

// sibling is a web program beside f that checks the session.
func sibling(f *product.File) *product.File {
	for _, other := range f.Volume.Glob(path.Dir(f.Path) + "/*") {
		if other != f && other.Size < 4<<20 && checksSession(other) {
			return other
		}
	}
	return nil
}

// linkedFrom are the pages and scripts that name a web program.
func linkedFrom(f *product.File) []*product.File {
	var pages []*product.File
	for _, m := range f.Product().Mentions(f.Base()) {
		if m != f && m.Volume == f.Volume && m.Type.IsText() && !isDocumentation(m.Inner()) {
			pages = append(pages, m)
		}
	}
	return pages
}

// runsItsQuery says that a web program hands its query to a shell.
func runsItsQuery(f *product.File) (doorward.Evidence, bool) {
	if f.Type.IsText() {
		return scriptRunsQuery(f)
	}
	info := f.Program()
	if info == nil || !info.Uses("popen", "system", "execl", "execlp", "execvp", "execve", "doSystem", "do_system") || f.Size > 1<<20 {
		return doorward.Evidence{}, false
	}
	// A name of the query's that says "command" is what makes it a helper: most
	// web programs call fixed commands.
	found := ""
	forStrings(f.Bytes(), 3, func(_ int, s string) bool {
		if commandField.MatchString(s) {
			found = s
		}
		return found == ""
	})
	if found == "" {
		return doorward.Evidence{}, false
	}
	return doorward.Evidence{What: found, Note: "a field of the query, in a program that runs commands; that it runs this one is assumed", Path: f.Path}, true
}

var commandField = regexp.MustCompile(`^[?&]?(cmd|command|exec|shell|run|sh|syscmd|system|execute)=(%s|%\[)?$`)

var (
	scriptAssign = regexp.MustCompile(`^(?:export\s+|local\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)
	scriptRead   = regexp.MustCompile(`\bread\s+(?:-[a-z]+\s+(?:\d+\s+)?)*([A-Za-z_][A-Za-z0-9_]*)`)
	variableUse  = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	shellSink    = regexp.MustCompile(`(?:^|[;&|({` + "`" + `]|\b(?:then|do|else|exec)\s)\s*(?:eval\s|(?:/bin/)?(?:ba|a)?sh\s+-c\s|["']?\$\{?[A-Za-z_])|\|\s*(?:/bin/)?(?:ba|a)?sh\b`)
)

// scriptRunsQuery follows the query through the assignments of a script to a
// line that runs it.
func scriptRunsQuery(f *product.File) (doorward.Evidence, bool) {
	tainted := map[string]bool{"QUERY_STRING": true}
	n := 0
	for line := range strings.Lines(f.Text()) {
		n++
		line = strings.TrimSpace(line)
		if isComment(line) || len(line) > 4096 {
			continue
		}
		if m := scriptRead.FindStringSubmatch(line); m != nil && !strings.Contains(line, "<") && !strings.Contains(line, "|") {
			tainted[m[1]] = true
		}
		if m := scriptAssign.FindStringSubmatch(line); m != nil && usesTainted(m[2], tainted) {
			tainted[m[1]] = true
			if !strings.Contains(m[2], "eval") {
				continue
			}
		}
		if sink := shellSink.FindStringIndex(line); sink != nil && taintedAtSink(line, sink, tainted) {
			return doorward.Evidence{What: cut(line, 200), Note: "runs what comes from the query", Path: f.Path, Line: n}, true
		}
	}
	return doorward.Evidence{}, false
}

func usesTainted(text string, tainted map[string]bool) bool {
	for _, m := range variableUse.FindAllStringSubmatch(text, 20) {
		if tainted[m[1]] {
			return true
		}
	}
	return false
}

// taintedAtSink says that what is run is tainted: the words behind eval and
// sh -c, the variable in the command's place, or what is piped into a shell.
func taintedAtSink(line string, sink []int, tainted map[string]bool) bool {
	found := line[sink[0]:sink[1]]
	switch {
	case strings.Contains(found, "$"):
		return usesTainted(line[sink[1]-2:min(len(line), sink[1]+64)], tainted) && usesTainted(firstWord(line[sink[0]:]), tainted)
	case strings.HasPrefix(strings.TrimSpace(found), "|") && strings.HasSuffix(found, "sh"):
		return usesTainted(line[:sink[0]], tainted)
	}
	return usesTainted(line[sink[1]:], tainted)
}

func firstWord(s string) string {
	s = strings.TrimLeft(s, " \t;&|({`")
	for _, w := range []string{"then ", "do ", "else ", "exec "} {
		s = strings.TrimPrefix(s, w)
	}
	word, _, _ := strings.Cut(s, " ")
	return word
}
