package startup

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

// made makes a product of one root file system: a path that ends in a slash is
// a folder, "-> x" as the text a link, and text that starts with #! or \x7fELF
// is executable.
func made(t testing.TB, files map[string]string) *product.Product {
	t.Helper()
	o := &unpack.Object{Format: "directory", System: true}
	for p, text := range files {
		e := unpack.Entry{Path: p, Mode: 0o644, Data: unpack.Slice(text)}
		switch {
		case strings.HasSuffix(p, "/"):
			e.Mode, e.Data = fs.ModeDir|0o755, nil
		case strings.HasPrefix(text, "-> "):
			e.Mode, e.Data, e.Link = fs.ModeSymlink, nil, text[3:]
		case strings.HasPrefix(text, "#!"), strings.HasPrefix(text, "\x7fELF"):
			e.Mode = 0o755
		}
		o.Entries = append(o.Entries, e)
	}
	return opened(t, o)
}

func opened(t testing.TB, o *unpack.Object) *product.Product {
	t.Helper()
	p, err := product.OpenTree(t.Context(), "product", o, nil, unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// line is an event as tests compare it.
func line(e *Event) string {
	s := string(e.Kind)
	switch e.Kind {
	case Start:
		s += " " + strings.Join(append([]string{e.Program}, e.Args...), " ")
		if e.Stdin != "" {
			s += fmt.Sprintf(" <%q", e.Stdin)
		}
	case Write:
		s += fmt.Sprintf(" %s %q", e.Target, e.Text)
	case Set:
		s += " " + e.Target + "=" + e.Text
	default:
		s += " " + e.From + " " + e.Target
	}
	if e.Socket != "" {
		s += " @" + e.Socket
	}
	s += [...]string{" ?", "", " no"}[e.Holds()]
	return s
}

func linesOf(l *Log) []string {
	var list []string
	for i := range l.Events {
		list = append(list, line(&l.Events[i]))
	}
	return list
}

// wants checks that the events have each line of want, and none that contains
// one of not.
func wants(t *testing.T, l *Log, want, not []string) {
	t.Helper()
	have := linesOf(l)
	all := strings.Join(have, "\n") + "\n"
	for _, w := range want {
		if !strings.Contains("\n"+all, "\n"+w+"\n") {
			t.Errorf("no event %q in\n%s", w, all)
		}
	}
	for _, n := range not {
		if strings.Contains(all, n) {
			t.Errorf("event %q should not be in\n%s", n, all)
		}
	}
}
