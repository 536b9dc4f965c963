package reconcile_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/reconcile"
	"github.com/doorward/doorward/internal/settle"
)

// A declaration drafted from a report makes a second run clean once the purposes
// are stated: every door that a claim can name is declared, and no other is.
// Before that it declares nothing.
func TestDraftRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doors := settle.Doors(rapid.SliceOfN(anyDoor(), 1, 8).Draw(t, "doors"))
		r := &doorward.Report{Doors: doors, Subject: subject(t)}
		document, left := declare.Draft(r)
		d, err := declare.Read("draft.json", document)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		inert, _ := reconcile.Status(doors, []*doorward.Declaration{d}, r.Subject, reconcile.Options{})
		for _, x := range inert {
			if x.Status != doorward.Undeclared {
				t.Fatalf("a drafted line declares %+v", x)
			}
		}
		for i := range d.Claims {
			d.Claims[i].Purpose = "stated"
		}
		again, uses := reconcile.Status(doors, []*doorward.Declaration{d}, r.Subject, reconcile.Options{})
		out := map[string]bool{}
		for _, x := range left {
			out[x.ID] = true
		}
		for _, x := range again {
			if x.Status != doorward.Declared && !out[x.ID] {
				t.Fatalf("%s %v at %q is %s\n%s\n%+v", x.Kind, x.Detail, x.InnerPath(), x.Status, document, uses)
			}
			if out[x.ID] && hasIdentity(&x) {
				t.Fatalf("%s %v at %q could have been declared", x.Kind, x.Detail, x.InnerPath())
			}
		}
		for _, u := range uses {
			if u.Matched == 0 && len(left) < len(doors) {
				t.Fatalf("the draft claims what is not there: %+v", u)
			}
		}
	})
}

func TestDraftMUDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doors := settle.Doors(rapid.SliceOfN(anyDoor(), 1, 8).Draw(t, "doors"))
		r := &doorward.Report{Doors: doors, Subject: subject(t)}
		document, left := declare.DraftMUD(r)
		d, err := declare.Read("draft.json", document)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		again, _ := reconcile.Status(doors, []*doorward.Declaration{d}, r.Subject, reconcile.Options{})
		out := map[string]bool{}
		for _, x := range left {
			out[x.ID] = true
		}
		for _, x := range again {
			wanted := (x.Kind == doorward.KindService || x.Kind == doorward.KindDestination) && !out[x.ID]
			if wanted && x.Status != doorward.Declared {
				t.Fatalf("%s %v is %s\n%s", x.Kind, x.Detail, x.Status, document)
			}
			if out[x.ID] && x.Detail.Text("host") != "" && x.Kind == doorward.KindDestination {
				t.Fatalf("%v could have been declared", x.Detail)
			}
		}
	})
}

func subject(t *rapid.T) doorward.Subject {
	text := func(name string) string {
		return rapid.SampledFrom([]string{"", "1.2", "Cam \"X\"", "é"}).Draw(t, name)
	}
	return doorward.Subject{Name: text("name"), Version: text("version"), SHA256: text("sha256"), Maker: text("maker"), Product: text("product"), Kind: "firmware"}
}

func hasIdentity(d *doorward.Door) bool {
	for _, key := range doorward.IdentityKeys[d.Kind] {
		if d.Kind != doorward.KindTrigger && d.Kind != doorward.KindUpdate && d.Kind != doorward.KindDestination && d.Detail.Text(key) != "" {
			return true
		}
	}
	return false
}

// anyDoor makes doors of all kinds, with and without the keys of their kind,
// and with values that need quotes and escapes.
func anyDoor() *rapid.Generator[doorward.Door] {
	hard := rapid.SampledFrom([]string{"plain", "with space", `quo"te`, `back\slash`, "star*", "a[b", "new\nline", "é✓", "=x", "a=b", `"`, "\xff\xfe", "-", "etc/x!y"})
	return rapid.Custom(func(t *rapid.T) doorward.Door {
		d := doorward.Door{
			Kind: rapid.SampledFrom(doorward.Kinds).Draw(t, "kind"), Title: "door", Weight: doorward.High, Reach: doorward.Remote, Certainty: doorward.Shown,
			Where:    []doorward.Where{{Path: []string{"p.bin", "squashfs@0x10"}}},
			Evidence: []doorward.Evidence{{What: "x"}}, Detail: doorward.Detail{},
		}
		for range rapid.IntRange(0, 2).Draw(t, "steps") {
			d.Where[0].Path = append(d.Where[0].Path, "dir/"+hard.Draw(t, "step"))
		}
		for _, key := range declare.Keys[d.Kind] {
			if !rapid.Bool().Draw(t, "has "+key) {
				continue
			}
			switch key {
			case "port":
				d.Detail[key] = rapid.IntRange(1, 65535).Draw(t, key)
			case "proto":
				d.Detail[key] = rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, key)
			case "credential":
				d.Detail[key] = rapid.SampledFrom([]string{"per-unit", "fixed", "default", "empty", "none"}).Draw(t, key)
			case "private":
				d.Detail[key] = rapid.Bool().Draw(t, key)
			case "host":
				d.Detail[key] = rapid.SampledFrom([]string{"a.example.net", "Up.Example.NET", "198.51.100.7", "2001:db8::7", "localhost"}).Draw(t, key)
			case "gates":
				d.Detail[key] = rapid.SliceOfN(rapid.SampledFrom([]string{"g1", `\esc[3]`, "u/v"}), 1, 3).Draw(t, key)
			case "value-sha256":
			default:
				d.Detail[key] = hard.Draw(t, key)
			}
		}
		return d
	})
}
