package policy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLawsFailWhenBroken breaks the mechanism behind each law on purpose, in a
// copy of its file, and expects that law's test to fail: a law that nothing can
// break would show nothing.
func TestLawsFailWhenBroken(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the tests once for each law")
	}
	for _, m := range []struct{ law, file, right, wrong string }{
		{"TestLawUnknownNeverHelps", "answer.go", "a.seen.lacks(q)\n\t\treturn anything", "a.seen.lacks(q)\n\t\treturn none"},
		{"TestLawUnknownNeverHelps", "decide.go", "case open || !permitted:", "case !permitted:"},
		{"TestLawCountriesAreNames", "answer.go", "return slices.ContainsFunc(a.lists,", "return keys[0] == \"CN\" || slices.ContainsFunc(a.lists,"},
		{"TestLawOrderNeverMatters", "case.go", "slices.SortFunc(x.parts, ", "_ = func(func(a, b part) int) {}; (func([]part, func(a, b part) int) {})(x.parts, "},
		{"TestLawErrorsNeverAdmit", "expression.go", `return unknown, "its expression fails`, `return no, "its expression fails`},
	} {
		t.Run(m.law+" "+m.file, func(t *testing.T) {
			out, err := testMutant(t, m.law, m.file, m.right, m.wrong)
			if err == nil || !bytes.Contains(out, []byte("--- FAIL: "+m.law)) {
				t.Errorf("%s holds though %s is broken (%v):\n%s", m.law, m.file, err, out)
			}
		})
	}
}

// testMutant runs one test against the package with one change.
func testMutant(t *testing.T, test, file, right, wrong string) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), right) != 1 {
		t.Fatalf("%s has not exactly one %q", file, right)
	}
	dir := t.TempDir()
	mutant := filepath.Join(dir, file)
	if err := os.WriteFile(mutant, []byte(strings.Replace(string(source), right, wrong, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.Command("go", "test", "-count=1", "-overlay="+list, "-run=^"+test+"$", ".", "-rapid.nofailfile", "-rapid.checks=3000").CombinedOutput()
}
