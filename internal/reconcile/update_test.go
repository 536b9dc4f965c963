package reconcile_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/reconcile"
	"github.com/doorward/doorward/internal/settle"
)

// An update keeps every line that the maker wrote, in its order, and whatever
// else the document holds; with the purposes stated it declares all doors.
func TestUpdateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doors := settle.Doors(rapid.SliceOfN(anyDoor(), 1, 8).Draw(t, "doors"))
		n := rapid.IntRange(0, len(doors)).Draw(t, "known")
		s := doorward.Subject{Name: "p", Version: "2", SHA256: strings.Repeat("b", 64), Kind: "firmware"}
		document, _ := declare.Draft(&doorward.Report{Doors: doors[:n], Subject: doorward.Subject{Name: "p", Version: "1", SHA256: strings.Repeat("a", 64)}})
		document = bytes.ReplaceAll(document, []byte(doorward.ToState), []byte("stated"))
		document = bytes.Replace(document, []byte(`"metadata"`), []byte(`"x-ours": [1.50, {"z": null, "a": "\u00e9"}], "metadata"`), 1)
		if rapid.Bool().Draw(t, "in one line") {
			document = bytes.ReplaceAll(document, []byte("\n"), nil)
		}
		old := read(t, document)
		open, _ := reconcile.Status(doors, []*doorward.Declaration{old}, s, reconcile.Options{AnyVersion: true, Drafted: true})
		var new []doorward.Door
		for _, d := range open {
			if d.Status != doorward.Declared {
				new = append(new, d)
			}
		}
		updated, _, left, err := declare.Update("d.json", document, new, s, true)
		if err != nil {
			t.Fatal(err)
		}
		now := read(t, updated)
		for i := range old.Claims {
			if now.Claims[i].Text != old.Claims[i].Text {
				t.Fatalf("line %d was %q, is %q", i, old.Claims[i].Text, now.Claims[i].Text)
			}
		}
		if !reflect.DeepEqual(others(t, document), others(t, updated)) {
			t.Fatalf("something else changed:\n%s\n%s", document, updated)
		}
		if now.Subject.Versions[0] != "2" || now.Subject.SHA256[0] != s.SHA256 {
			t.Fatalf("it is for %+v", now.Subject)
		}
		stated := read(t, bytes.ReplaceAll(updated, []byte(doorward.ToState), []byte("stated")))
		final, _ := reconcile.Status(doors, []*doorward.Declaration{stated}, s, reconcile.Options{})
		undeclared := 0
		for _, d := range final {
			if d.Status != doorward.Declared {
				undeclared++
			}
		}
		if undeclared != len(left) {
			t.Fatalf("%d doors are undeclared, %d left out\n%s", undeclared, len(left), updated)
		}
	})
}

func read(t *rapid.T, document []byte) *doorward.Declaration {
	d, err := declare.Read("d.json", document)
	if err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	return d
}

// others is a document without what an update may change.
func others(t *rapid.T, document []byte) map[string]any {
	var m map[string]any
	if err := json.Unmarshal(document, &m); err != nil {
		t.Fatal(err)
	}
	product := m["metadata"].(map[string]any)["component"].(map[string]any)
	delete(product, "properties")
	delete(product, "hashes")
	delete(product, "version")
	delete(m, "version")
	return m
}
