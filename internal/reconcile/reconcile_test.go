package reconcile_test

import (
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/reconcile"
)

func door(kind doorward.Kind, path string, detail doorward.Detail) doorward.Door {
	return doorward.Door{
		Kind: kind, Weight: doorward.High, Reach: doorward.Remote, Detail: detail,
		Where: []doorward.Where{{Path: []string{"p.bin", "squashfs@0x0", path}}},
	}
}

// declaration makes one of claims written as "NAME VALUE", NAME without its
// doorward: prefix.
func declaration(t testing.TB, claims ...string) *doorward.Declaration {
	t.Helper()
	d := &doorward.Declaration{Document: "d.json"}
	for _, text := range claims {
		name, value, _ := strings.Cut(text, " ")
		c, err := declare.ParseClaim(doorward.Says("doorward:"+name), value)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		d.Claims = append(d.Claims, c)
	}
	return d
}

func TestMatching(t *testing.T) {
	type D = doorward.Detail
	cases := []struct {
		claim string
		door  doorward.Door
		want  bool
	}{
		{"account user=bob", door("account", "etc/shadow", D{"user": "bob", "credential": "fixed"}), true},
		{"account user=bob", door("account", "etc/shadow", D{"user": "bob"}), true},
		{"account user=bob", door("account", "etc/shadow", D{"user": "bobby"}), false},
		{"account user=bob", door("account", "etc/shadow", D{"user": "bob", "credential": "default"}), false},
		{"account user=bob", door("account", "etc/shadow", D{"user": "bob", "credential": "empty"}), false},
		{"account user=bob credential=empty", door("account", "etc/shadow", D{"user": "bob", "credential": "empty"}), true},
		{"account user=bob credential=empty", door("account", "etc/shadow", D{"user": "bob", "credential": "default"}), false},
		{"account user=* credential=none", door("account", "etc/pam.d/x", D{"user": "*", "credential": "none"}), true},
		{"account user=* credential=none", door("account", "etc/pam.d/x", D{"user": "bob", "credential": "none"}), false},
		{"account user=bob path=/etc/shadow", door("account", "etc/shadow", D{"user": "bob"}), true},
		{"account user=bob path=etc/*", door("account", "etc/shadow", D{"user": "bob"}), true},
		{"account user=bob path=etc/*", door("account", "etc/a/shadow", D{"user": "bob"}), false},
		{"account user=bob path=*/shadow", door("account", "lib/x.img!etc/shadow", D{"user": "bob"}), true},
		{"account user=bob reach=local", door("account", "etc/shadow", D{"user": "bob"}), false},
		{"account user=bob", door("key", "etc/shadow", D{"user": "bob"}), false},
		{"service proto=tcp port=22", door("service", "etc/rc", D{"proto": "tcp", "port": 22, "program": "sshd"}), true},
		{"service proto=udp port=22", door("service", "etc/rc", D{"proto": "tcp", "port": 22}), false},
		{"service port=22", door("service", "etc/rc", D{"port": float64(22)}), true},
		{"service port=022", door("service", "etc/rc", D{"port": 22}), true},
		{"service port=22 program=dropbear", door("service", "etc/rc", D{"port": 22}), false},
		{"destination host=*.x.example", door("destination", "a", D{"host": "Up.X.example"}), true},
		{"destination host=*.x.example", door("destination", "a", D{"host": "a.b.x.example"}), true},
		{"destination host=*.x.example", door("destination", "a", D{"host": "x.example"}), false},
		{"destination host=*.x.example", door("destination", "a", D{"host": "ax.example"}), false},
		{"destination host=x.example.", door("destination", "a", D{"host": "x.example"}), true},
		{"destination host=x.example port=443", door("destination", "a", D{"host": "x.example", "port": 80}), false},
		{"destination host=x.example port=443", door("destination", "a", D{"host": "x.example"}), false},
		{"destination host=2001:db8::1", door("destination", "a", D{"host": "2001:0db8::0001"}), true},
		{"key fingerprint=sha256:ABCD", door("key", "k", D{"fingerprint": "sha256:abcd"}), true},
		{"key fingerprint=SHA256:ABCD", door("key", "k", D{"fingerprint": "SHA256:abcd"}), false},
		{`key path=/k\*`, door("key", "k*", D{}), true},
		{`key path=/k\*`, door("key", "kk", D{}), false},
		{`key path=/k[`, door("key", "k[", D{}), false}, // refused by the grammar
		{"trigger value-sha256=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", door("trigger", "b", D{"value": "hello"}), true},
		{"trigger value-sha256=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", door("trigger", "b", D{"value": "hullo"}), false},
		{"trigger program=b function=f", door("trigger", "b", D{"program": "b", "function": "g"}), false},
		{`logic gates="g1 g2 g3"`, door("logic", "n.v", D{"gates": []string{"g1", "g2"}}), true},
		{`logic gates="g1 g2"`, door("logic", "n.v", D{"gates": []any{"g1", "g2", "g3"}}), false},
		{"update path=usr/sbin/upd", door("update", "etc/cron", D{"path": "/usr/sbin/upd"}), true},
	}
	for _, c := range cases {
		if strings.HasSuffix(c.claim, "[") {
			continue
		}
		doors, uses := reconcile.Status([]doorward.Door{c.door}, []*doorward.Declaration{declaration(t, "door "+c.claim)}, doorward.Subject{}, reconcile.Options{})
		if got := doors[0].Status == doorward.Declared; got != c.want {
			t.Errorf("%s against %s %v: declared is %v", c.claim, c.door.InnerPath(), c.door.Detail, got)
		}
		if want := map[bool]int{true: 1}[c.want]; len(uses) != 1 || uses[0].Matched != want {
			t.Errorf("%s: uses are %+v", c.claim, uses)
		}
	}
}

func TestDenial(t *testing.T) {
	doors := []doorward.Door{
		door("debug", "etc/inittab", doorward.Detail{"what": "serial-shell", "device": "ttyS0"}),
		door("debug", "etc/inittab", doorward.Detail{"what": "serial-shell", "device": "ttyS1"}),
		door("update", "bin/x", doorward.Detail{"host": "a.example"}),
		door("service", "bin/x", doorward.Detail{"port": 80}),
	}
	doors[1].Weight = doorward.Low
	d := declaration(t, "no-door debug", "door debug device=ttyS1", "no-hidden-function outflow manipulation injection")
	got, uses := reconcile.Status(doors, []*doorward.Declaration{d}, doorward.Subject{}, reconcile.Options{})
	want := []doorward.Status{doorward.Contradicts, doorward.Declared, doorward.Contradicts, doorward.Undeclared}
	for i := range want {
		if got[i].Status != want[i] {
			t.Errorf("door %d is %s, want %s", i, got[i].Status, want[i])
		}
	}
	if got[0].DeclaredBy != nil || got[0].Denied == nil || got[0].Denied.Claim != "doorward:no-door debug" {
		t.Errorf("declared by %v, denied by %v", got[0].DeclaredBy, got[0].Denied)
	}
	both, _ := reconcile.Status(doors[2:3], []*doorward.Declaration{declaration(t, "no-door update", "no-hidden-function outflow")}, doorward.Subject{}, reconcile.Options{})
	if both[0].Denied.Claim != "doorward:no-door update" || len(both[0].AlsoDenied) != 1 || both[0].AlsoDenied[0].Claim != "doorward:no-hidden-function outflow" {
		t.Errorf("denied by %v, also by %v", both[0].Denied, both[0].AlsoDenied)
	}
	if uses[0].Matched != 1 || !strings.Contains(uses[0].Note, "conflict: 1 door") {
		t.Errorf("the denial's use is %+v", uses[0])
	}
	if uses[2].Matched != 1 || !strings.Contains(uses[2].Note, "contradicted by 1 door") {
		t.Errorf("the statement's use is %+v", uses[2])
	}
	if doors[0].Status != "" {
		t.Error("the argument was changed")
	}
}

// A statement of no hidden function is not contradicted by what is light.
func TestNoHiddenIsOfHeavyDoors(t *testing.T) {
	d := door("account", "etc/shadow", doorward.Detail{"user": "x"})
	d.Weight = doorward.Medium
	got, _ := reconcile.Status([]doorward.Door{d}, []*doorward.Declaration{declaration(t, "no-hidden-function")}, doorward.Subject{}, reconcile.Options{})
	if got[0].Status != doorward.Undeclared {
		t.Errorf("it is %s", got[0].Status)
	}
}

func TestBinding(t *testing.T) {
	full := doorward.Subject{SHA256: strings.Repeat("ab", 32), Version: "1.4.2"}
	cases := []struct {
		name     string
		declared doorward.DeclaredSubject
		subject  doorward.Subject
		opt      reconcile.Options
		used     bool
		note     string
	}{
		{"hash", doorward.DeclaredSubject{SHA256: []string{strings.Repeat("AB", 32)}, Versions: []string{"9"}}, full, reconcile.Options{}, true, ""},
		{"another hash", doorward.DeclaredSubject{SHA256: []string{strings.Repeat("cd", 32)}, Versions: []string{"1.4.2"}}, full, reconcile.Options{}, false, "mismatched: it is for the artifact"},
		{"version", doorward.DeclaredSubject{Versions: []string{"v1.4.2"}}, full, reconcile.Options{}, true, ""},
		{"a build of the version", doorward.DeclaredSubject{Versions: []string{"1.4.2 (build 7)"}}, full, reconcile.Options{}, true, ""},
		{"a longer version", doorward.DeclaredSubject{Versions: []string{"1.4.20"}}, full, reconcile.Options{}, false, "mismatched: it is for version 1.4.20, this is 1.4.2"},
		{"a part of it", doorward.DeclaredSubject{Versions: []string{"1.4"}}, full, reconcile.Options{}, false, "mismatched"},
		{"a further version of the artifact", doorward.DeclaredSubject{Versions: []string{"19.07"}}, full, reconcile.Options{Versions: []string{"19.07"}}, true, ""},
		{"any", doorward.DeclaredSubject{Versions: []string{"9"}}, full, reconcile.Options{AnyVersion: true}, true, "--declared-version any"},
		{"neither", doorward.DeclaredSubject{Name: "x"}, full, reconcile.Options{}, true, "unbound"},
		{"the artifact is silent", doorward.DeclaredSubject{Versions: []string{"1"}}, doorward.Subject{}, reconcile.Options{}, true, "unchecked"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := declaration(t, "door service port=80", "no-door debug")
			d.Subject = c.declared
			doors := []doorward.Door{door("service", "x", doorward.Detail{"port": 80}), door("debug", "x", nil)}
			got, uses := reconcile.Status(doors, []*doorward.Declaration{d}, c.subject, c.opt)
			if (got[0].Status == doorward.Declared) != c.used || (got[1].Status == doorward.Contradicts) != c.used {
				t.Errorf("statuses are %s, %s", got[0].Status, got[1].Status)
			}
			if !strings.Contains(uses[0].Note, c.note) || c.note == "" && uses[0].Note != "" {
				t.Errorf("note is %q, want %q", uses[0].Note, c.note)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	d := declaration(t, "door service port=80 until=2026-06-30")
	doors := []doorward.Door{door("service", "x", doorward.Detail{"port": 80})}
	for at, want := range map[string]doorward.Status{"": doorward.Declared, "2026-06-30": doorward.Declared, "2026-07-01": doorward.Undeclared} {
		got, uses := reconcile.Status(doors, []*doorward.Declaration{d}, doorward.Subject{}, reconcile.Options{At: at})
		if got[0].Status != want || strings.Contains(uses[0].Note, "expired") != (want == doorward.Undeclared) {
			t.Errorf("at %q: %s, note %q", at, got[0].Status, uses[0].Note)
		}
	}
}

// The narrowest claim is named, whatever the order of documents and claims.
func TestNarrowest(t *testing.T) {
	wide := declaration(t, "door destination host=*.v.example", "door destination host=a.v.example")
	wide.Document = "wide"
	narrow := declaration(t, "door destination host=a.v.example port=443 purpose=why")
	narrow.Document = "narrow"
	d := []doorward.Door{door("destination", "x", doorward.Detail{"host": "a.v.example", "port": 443})}
	for _, list := range [][]*doorward.Declaration{{wide, narrow}, {narrow, wide}} {
		got, uses := reconcile.Status(d, list, doorward.Subject{}, reconcile.Options{})
		if by := got[0].DeclaredBy; by == nil || by.Document != "narrow" || by.Purpose != "why" {
			t.Errorf("declared by %+v", by)
		}
		for _, u := range uses {
			if u.Matched != 1 {
				t.Errorf("%+v", u)
			}
		}
	}
}

// A claim of a component declares only doors in it, or in what lies in it.
func TestComponents(t *testing.T) {
	components := []doorward.Component{
		{BOMRef: "fw", Name: "firmware"},
		{BOMRef: "pkg:opkg/dropbear@2020.81?arch=mips", Name: "dropbear", Version: "2020.81", PURL: "pkg:opkg/dropbear@2020.81?arch=mips", Parent: "fw"},
		{BOMRef: "loop", Name: "loop", Parent: "loop"},
	}
	cases := []struct {
		within doorward.Component
		ref    string
		want   bool
	}{
		{doorward.Component{PURL: "pkg:opkg/dropbear@2020.81"}, components[1].BOMRef, true},
		{doorward.Component{PURL: "pkg:opkg/dropbear@2019.78"}, components[1].BOMRef, false},
		{doorward.Component{Name: "Dropbear"}, components[1].BOMRef, true},
		{doorward.Component{Name: "dropbear", Version: "2021"}, components[1].BOMRef, false},
		{doorward.Component{Name: "firmware"}, components[1].BOMRef, true},
		{doorward.Component{Name: "dropbear"}, "fw", false},
		{doorward.Component{Name: "dropbear"}, "", false},
		{doorward.Component{Name: "dropbear"}, "loop", false},
		{doorward.Component{BOMRef: "other", PURL: "pkg:x/y"}, "pkg:x/y", true},
	}
	for _, c := range cases {
		d := declaration(t, "door service port=22")
		d.Claims[0].Within = &c.within
		x := door("service", "x", doorward.Detail{"port": 22})
		x.Component = c.ref
		got, _ := reconcile.Status([]doorward.Door{x}, []*doorward.Declaration{d}, doorward.Subject{}, reconcile.Options{Components: components})
		if (got[0].Status == doorward.Declared) != c.want {
			t.Errorf("%+v holds %q: %s", c.within, c.ref, got[0].Status)
		}
	}
}

// What a document says is listed, matched or not; one that says nothing too.
func TestEveryClaimIsListed(t *testing.T) {
	silent := &doorward.Declaration{Document: "silent", SBOMs: []string{"https://x.example/sbom"}}
	_, uses := reconcile.Status(nil, []*doorward.Declaration{declaration(t, "door service port=1"), silent}, doorward.Subject{}, reconcile.Options{})
	if len(uses) != 3 || uses[0].Note != "unbound: the declaration names neither a hash nor a version of the product; matches nothing in the product" {
		t.Errorf("%+v", uses)
	}
	if uses[1].Text != "says nothing of doors" || uses[2].Text != "SBOM at https://x.example/sbom" {
		t.Errorf("%+v", uses)
	}
}
