package firmware

import "testing"

// TestListIsWhole refuses a detector without a name, a doc or kinds.
func TestListIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All {
		if d.Name == "" || d.Doc == "" || len(d.Kinds) == 0 || d.Run == nil || seen[d.Name] {
			t.Errorf("detector %q: name (once), doc, kinds and run are needed", d.Name)
		}
		seen[d.Name] = true
	}
}
