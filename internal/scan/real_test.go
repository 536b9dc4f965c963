package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/testtool"
)

// golden is what a person who has read a real product expects of its report.
// testdata/real/README.md states the grammar of the files.
type golden struct {
	packages   []string
	file       string // within the package; "" for the package itself
	tree       bool   // the packages unpacked into one folder
	links      [][2]string
	doors      []realDoor // there, and reported
	missed     []realDoor // there, and not yet reported
	components [][2]string
	unread     float64 // per cent, at most; -1: whatever
}

// realDoor is a kind, a weight and what must stand in the door's detail.
type realDoor struct {
	kind, weight string
	keys         [][2]string
	line         string
}

func readGolden(t *testing.T, file string) *golden {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{unread: -1}
	for n, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := g.add(strings.Fields(line)); err != nil {
			t.Fatalf("%s:%d: %v", file, n+1, err)
		}
	}
	return g
}

func (g *golden) add(words []string) error {
	verb, rest := words[0], words[1:]
	if len(rest) == 0 {
		return fmt.Errorf("%s needs a value", verb)
	}
	switch verb {
	case "package", "tree":
		g.packages, g.tree = rest, verb == "tree"
	case "file":
		g.file = rest[0]
	case "link":
		if len(rest) != 3 || rest[1] != "->" {
			return fmt.Errorf("a link is PATH -> TARGET")
		}
		g.links = append(g.links, [2]string{rest[0], rest[2]})
	case "door", "missed":
		d, err := parseRealDoor(rest)
		if err != nil {
			return err
		}
		if verb == "door" {
			g.doors = append(g.doors, d)
		} else {
			g.missed = append(g.missed, d)
		}
	case "component":
		if len(rest) != 2 {
			return fmt.Errorf("a component is NAME VERSION")
		}
		g.components = append(g.components, [2]string{rest[0], rest[1]})
	case "unread":
		share, err := strconv.ParseFloat(strings.TrimSuffix(rest[len(rest)-1], "%"), 64)
		if err != nil {
			return err
		}
		g.unread = share
	default:
		return fmt.Errorf("%q is no verb", verb)
	}
	return nil
}

func parseRealDoor(words []string) (realDoor, error) {
	d := realDoor{line: strings.Join(words, " ")}
	if len(words) < 3 {
		return d, fmt.Errorf("a door is KIND WEIGHT KEY=VALUE...")
	}
	d.kind, d.weight = words[0], words[1]
	for _, w := range words[2:] {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return d, fmt.Errorf("%q is no KEY=VALUE", w)
		}
		d.keys = append(d.keys, [2]string{key, value})
	}
	return d, nil
}

// is says that a door of the report is the expected one.
func (e realDoor) is(d *doorward.Door) bool {
	if string(d.Kind) != e.kind || fmt.Sprint(d.Weight) != e.weight {
		return false
	}
	return !slices.ContainsFunc(e.keys, func(k [2]string) bool {
		switch k[0] {
		case "reach":
			return string(d.Reach) != k[1]
		case "at":
			return !slices.ContainsFunc(d.Where, func(w doorward.Where) bool {
				return strings.HasSuffix(strings.Join(w.Path, "/"), k[1])
			})
		}
		return d.Detail.Text(k[0]) != k[1]
	})
}

// inspectGolden fetches and inspects what the golden file is about.
func inspectGolden(t *testing.T, g *golden) *doorward.Report {
	t.Helper()
	if !g.tree {
		if g.file != "" {
			return inspectBytes(t, testtool.DebFile(t, g.packages[0], g.file))
		}
		return inspectFile(t, testtool.Deb(t, g.packages[0]))
	}
	dir := t.TempDir()
	for _, p := range g.packages {
		testtool.Run(t, dir, "dpkg-deb", "-x", testtool.Deb(t, p), dir)
	}
	for _, l := range g.links {
		at := filepath.Join(dir, l[0])
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(l[1], at); err != nil {
			t.Fatal(err)
		}
	}
	return inspectFile(t, dir)
}

// TestReal holds reports on real products against what a person found in them.
func TestReal(t *testing.T) {
	files, err := filepath.Glob("testdata/real/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d golden files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			g := readGolden(t, file)
			r := inspectGolden(t, g)
			checkRealDoors(t, g, r)
			checkRealComponents(t, g, r)
			if share := 100 * float64(r.Summary.UnreadBytes) / float64(max(r.Summary.ReadBytes, 1)); g.unread >= 0 && share > g.unread {
				t.Errorf("%.2f %% is unread, more than %g %%: %+v", share, g.unread, r.Unread)
			}
		})
	}
}

func checkRealDoors(t *testing.T, g *golden, r *doorward.Report) {
	t.Helper()
	used := map[int]bool{}
	take := func(e realDoor) bool {
		for i := range r.Doors {
			if !used[i] && e.is(&r.Doors[i]) {
				used[i] = true
				return true
			}
		}
		return false
	}
	for _, e := range g.doors {
		if !take(e) {
			t.Errorf("missing: %s", e.line)
		}
	}
	for _, e := range g.missed {
		if take(e) {
			t.Errorf("found now, write door for missed: %s", e.line)
		}
	}
	for i, d := range r.Doors {
		if !used[i] && d.Weight != doorward.Info {
			t.Errorf("not expected: %s", doorLine(d))
		}
	}
}

// doorLine writes a door of a report in the words of a golden file.
func doorLine(d doorward.Door) string {
	var keys []string
	for k := range d.Detail {
		keys = append(keys, k+"="+d.Detail.Text(k))
	}
	sort.Strings(keys)
	at := ""
	if len(d.Where) > 0 {
		at = strings.Join(d.Where[0].Path[1:], "/")
	}
	return fmt.Sprintf("%s %v %s reach=%s at=%s (%s)", d.Kind, d.Weight, strings.Join(keys, " "), d.Reach, at, d.Title)
}

func checkRealComponents(t *testing.T, g *golden, r *doorward.Report) {
	t.Helper()
	for _, c := range g.components {
		if !slices.ContainsFunc(r.Components, func(have doorward.Component) bool {
			prefix, open := strings.CutSuffix(c[1], "*")
			return have.Name == c[0] && (have.Version == c[1] || open && strings.HasPrefix(have.Version, prefix))
		}) {
			t.Errorf("component %s %s is not listed", c[0], c[1])
		}
	}
}
