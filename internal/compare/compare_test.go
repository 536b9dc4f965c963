package compare_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/compare"
)

func door(kind doorward.Kind, path string, weight doorward.Weight, detail doorward.Detail) doorward.Door {
	d := doorward.Door{
		Kind: kind, Title: string(kind) + " " + path, Weight: weight, Reach: doorward.Remote, Certainty: doorward.Shown, Status: doorward.Undeclared,
		Where: []doorward.Where{{Path: []string{"p", "squashfs@0x0", path}}}, Evidence: []doorward.Evidence{{What: "x"}}, Detail: detail,
	}
	d.SetID()
	return d
}

func TestDoors(t *testing.T) {
	type D = doorward.Detail
	stays := door("key", "etc/k", "high", D{"fingerprint": "f"})
	heavier := door("service", "etc/rc", "medium", D{"port": 23, "program": "telnetd"})
	heavierNow := door("service", "etc/rc", "critical", D{"port": 23, "program": "telnetd", "shell": "/bin/sh"})
	moves := door("account", "etc/shadow", "high", D{"user": "bob"})
	movesTo := door("account", "etc_ro/shadow", "high", D{"user": "bob"})
	gone := door("debug", "etc/inittab", "medium", D{"what": "serial-shell"})
	comes := door("update", "bin/x", "high", D{"host": "h"})
	a := &doorward.Report{Doors: []doorward.Door{stays, heavier, moves, gone}}
	b := &doorward.Report{Doors: []doorward.Door{comes, heavierNow, stays, movesTo}, Unread: []doorward.Unread{{Size: 5}}}
	c := compare.Reports(a, b, nil)
	var got []string
	for _, x := range c.Doors {
		got = append(got, fmt.Sprintf("%s %s %v worse=%v", x.Change, x.Door.Title, x.What, x.Worse))
	}
	want := []string{
		"added update bin/x [] worse=false",
		"changed service etc/rc [weight: medium → critical shell: (none) → /bin/sh] worse=true",
		"changed account etc_ro/shadow [moved from etc/shadow] worse=false",
		"removed debug etc/inittab [] worse=false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s := c.Summary
	if s.Unchanged != 1 || s.Doors["added"] != 1 || s.Doors["changed"] != 2 || s.Weight["high"] != 1 || s.Weight["critical"] != 1 || s.UnreadBytes != 5 {
		t.Errorf("summary is %+v", s)
	}
	if !compare.Fails(c, doorward.Critical) || compare.Fails(c, "never") {
		t.Error("a shell that was added does not fail, or fails always")
	}
}

// A declared door that was added does not fail; one that is no longer declared
// does.
func TestFails(t *testing.T) {
	d := door("service", "x", "high", doorward.Detail{"port": 1})
	declared := d
	declared.Status = doorward.Declared
	report := func(doors ...doorward.Door) *doorward.Report { return &doorward.Report{Doors: doors} }
	if compare.Fails(compare.Reports(report(), report(declared), nil), doorward.Low) {
		t.Error("a declared door fails")
	}
	if !compare.Fails(compare.Reports(report(declared), report(d), nil), doorward.High) {
		t.Error("a door that is no longer declared does not fail")
	}
	if compare.Fails(compare.Reports(report(d), report(), nil), doorward.Low) {
		t.Error("a removed door fails")
	}
}

func TestComponents(t *testing.T) {
	c := func(name, version, sum string) doorward.Component {
		return doorward.Component{BOMRef: name + version, Name: name, Version: version, SHA256: sum}
	}
	a := []doorward.Component{c("busybox", "1.30", "a"), c("zlib", "1.2", "z"), c("zlib", "1.1", "y"), c("curl", "7", "q"), c("same", "1", "s")}
	b := []doorward.Component{c("busybox", "1.31", "b"), c("zlib", "1.2", "z"), c("zlib", "1.1", "changed"), c("new", "1", "n"), c("same", "1", "s")}
	got := compare.Reports(&doorward.Report{Components: a}, &doorward.Report{Components: b}, nil).Components
	var words []string
	for _, x := range got {
		words = append(words, fmt.Sprintf("%s %s %s %v", x.Change, x.Component.Name, x.Component.Version, x.What))
	}
	want := []string{"added new 1 []", "changed busybox 1.31 [version: 1.30 → 1.31 content]", "changed zlib 1.1 [content, under the same version]", "removed curl 7 []"}
	if !slices.Equal(words, want) {
		t.Errorf("got\n%s", strings.Join(words, "\n"))
	}
}

func TestFiles(t *testing.T) {
	a := []compare.File{{"bin/sh", "1", 10, "-rwxr-xr-x"}, {"etc/a", "2", 3, ""}, {"old", "3", 4, ""}, {"gone", "4", 5, ""}, {"slot", "5", 1, ""}, {"slot", "6", 1, ""}, {"empty1", "e", 0, ""}}
	b := []compare.File{{"bin/sh", "1", 10, "-rwsr-xr-x"}, {"etc/a", "9", 7, ""}, {"new", "3", 4, ""}, {"fresh", "8", 6, ""}, {"slot", "6", 1, ""}, {"slot", "7", 1, ""}, {"empty2", "e", 0, ""}}
	var got []string
	for _, c := range compare.Files(a, b) {
		got = append(got, fmt.Sprintf("%s %s %v", c.Change, c.Path, c.What))
	}
	want := []string{
		"changed bin/sh [mode: -rwxr-xr-x → -rwsr-xr-x]", "changed etc/a [content: 3 → 7 bytes]", "changed slot [content: 1 → 1 bytes]",
		"changed new [moved from old]", "added empty2 []", "added fresh []", "removed empty1 []", "removed gone []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// Nothing changes against itself; what was added one way was removed the other.
func TestLaws(t *testing.T) {
	files := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) compare.File {
		return compare.File{
			Path: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "path"), SHA256: rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "sum"), Size: 1,
			Mode: rapid.SampledFrom([]string{"", "x"}).Draw(t, "mode"),
		}
	}), 0, 8)
	rapid.Check(t, func(t *rapid.T) {
		a, b := files.Draw(t, "a"), files.Draw(t, "b")
		if c := compare.Files(a, a); len(c) != 0 {
			t.Fatalf("against itself: %v", c)
		}
		n := func(list []doorward.FileChange, c doorward.Difference) (n int) {
			for _, x := range list {
				if x.Change == c {
					n++
				}
			}
			return n
		}
		there, back := compare.Files(a, b), compare.Files(b, a)
		if n(there, doorward.Added) != n(back, doorward.Removed) || n(there, doorward.Removed) != n(back, doorward.Added) || n(there, doorward.Changed) != n(back, doorward.Changed) {
			t.Fatalf("there %v, back %v", there, back)
		}
		if len(a)-n(there, doorward.Removed)+n(there, doorward.Added) != len(b) {
			t.Fatalf("%d files and %v do not make %d", len(a), there, len(b))
		}
	})
}
