package firmware

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/doorward/doorward"
)

// TestListIsWhole refuses a detector without a name, a doc or kinds, and one
// that is declared but not on the list.
func TestListIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All {
		if d.Name == "" || d.Doc == "" || len(d.Kinds) == 0 || d.Run == nil || seen[d.Name] {
			t.Errorf("detector %q: name (once), doc, kinds and run are needed", d.Name)
		}
		seen[d.Name] = true
	}
	if declared := declaredDetectors(t); declared != len(All) {
		t.Errorf("%d detectors are declared, %d are on the list", declared, len(All))
	}
}

// declaredDetectors counts the `var X = &Detector{` of the package.
func declaredDetectors(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(node ast.Node) bool {
			if lit, ok := node.(*ast.CompositeLit); ok && !strings.HasSuffix(name, "_test.go") {
				if id, ok := lit.Type.(*ast.Ident); ok && id.Name == "Detector" {
					n++
				}
			}
			return true
		})
	}
	return n
}

// TestFixtures runs each detector on testdata/NAME/finds.txtar, where it must
// find a door of each of its kinds, and leaves.txtar, which looks alike and
// where it must find none. Both are needed for every detector on the list.
func TestFixtures(t *testing.T) {
	for _, d := range All {
		t.Run(d.Name, func(t *testing.T) {
			found := map[doorward.Kind]bool{}
			for _, door := range doorsOf(t, d, fixture(t, d.Name, "finds")...) {
				found[door.Kind] = true
				if door.Weight.Rank() < doorward.Low.Rank() {
					t.Errorf("a fixture that is found should matter: %s %s", door.Weight, door.Title)
				}
			}
			for _, kind := range d.Kinds {
				if !found[kind] {
					t.Errorf("no door of kind %s in finds.txtar", kind)
				}
			}
			for _, door := range doorsOf(t, d, fixture(t, d.Name, "leaves")...) {
				t.Errorf("leaves.txtar: %s %s at %v", door.Weight, door.Title, door.Where[0].Path)
			}
		})
	}
}

// fixture reads a tree: files, and in the comment `link PATH -> TARGET`, `mode
// OCTAL PATH` and `elf PATH` (a program with nothing in it).
func fixture(t *testing.T, detector, name string) []file {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", detector, name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]fs.FileMode{}
	var files []file
	for line := range strings.Lines(string(a.Comment)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 4 && words[0] == "link":
			files = append(files, file{path: words[1], link: words[3]})
		case len(words) == 2 && words[0] == "elf":
			files = append(files, file{path: words[1], text: "\x7fELF\x01\x01\x01", mode: 0o755})
		case len(words) == 3 && words[0] == "mode":
			n, err := strconv.ParseUint(words[1], 8, 32)
			if err != nil {
				t.Fatal(err)
			}
			mode := fs.FileMode(n & 0o777)
			if n&0o4000 != 0 {
				mode |= os.ModeSetuid
			}
			modes[words[2]] = mode
		}
	}
	for _, f := range a.Files {
		mode := modes[f.Name]
		if mode == 0 && strings.HasPrefix(string(f.Data), "#!") {
			mode = 0o755
		}
		files = append(files, file{path: f.Name, text: string(f.Data), mode: mode})
	}
	return files
}
