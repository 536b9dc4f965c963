package settle_test

import (
	"encoding/json"
	"math/rand"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/settle"
)

// door makes a finding: detail is key, value, key, value...
func door(kind doorward.Kind, weight doorward.Weight, c doorward.Certainty, path []string, detail ...any) doorward.Door {
	d := doorward.Door{
		Kind: kind, Title: string(kind) + " in " + path[len(path)-1], Weight: weight, Reach: doorward.Remote, Certainty: c,
		Where:    []doorward.Where{{Path: append([]string{"p.bin"}, path...)}},
		Evidence: []doorward.Evidence{{What: "text of " + path[len(path)-1], Line: 3}},
		Detail:   doorward.Detail{},
	}
	for i := 0; i < len(detail); i += 2 {
		d.Detail[detail[i].(string)] = detail[i+1]
	}
	return d
}

func root(path string) []string   { return []string{"squashfs@0x70000", path} }
func rescue(path string) []string { return []string{"uimage@0x140000", "cpio:initrd", path} }

func TestOneFactOneDoor(t *testing.T) {
	type doors = []doorward.Door
	cases := []struct {
		name string
		in   doors
		want []doorward.Kind
	}{
		{"a user in passwd, in shadow and in the script that makes it", doors{
			door("account", "high", "likely", root("etc/passwd"), "user", "bob", "uid", 0),
			door("account", "critical", "shown", root("etc/shadow"), "user", "bob", "password", "x"),
			door("account", "high", "shown", root("etc/init.d/mk"), "user", "bob", "made_by", "etc/init.d/mk"),
		}, []doorward.Kind{"account"}},
		{"users of two applications that share a name", doors{
			door("account", "high", "shown", root("etc/web.conf"), "user", "admin", "password", "a"),
			door("account", "high", "shown", root("etc/mqtt.conf"), "user", "admin", "password", "a"),
		}, []doorward.Kind{"account", "account"}},
		{"a program, and the same program with its port", doors{
			door("service", "low", "shown", root("etc/rc"), "program", "dropbear", "started_by", "etc/rc"),
			door("service", "low", "likely", root("etc/default/dropbear"), "program", "dropbear", "port", 22),
		}, []doorward.Kind{"service"}},
		{"two ports of one program are two doors", doors{
			door("service", "low", "shown", root("etc/rc"), "program", "httpd", "port", 80),
			door("service", "low", "shown", root("etc/rc"), "program", "httpd", "port", 443),
		}, []doorward.Kind{"service", "service"}},
		{"TCP and UDP are two", doors{
			door("service", "low", "shown", root("etc/rc"), "program", "dnsmasq", "port", 53, "proto", "tcp"),
			door("service", "low", "shown", root("etc/rc"), "program", "dnsmasq", "port", 53, "proto", "udp"),
		}, []doorward.Kind{"service", "service"}},
		{"two relays are told apart by their ports alone", doors{
			door("service", "high", "shown", root("etc/rc"), "program", "nc", "shell", "/bin/sh"),
			door("service", "high", "shown", root("etc/rc2"), "program", "nc", "port", 4444),
		}, []doorward.Kind{"service", "service"}},
		{"the host of an update is no destination again", doors{
			door("destination", "low", "shown", root("bin/up"), "host", "up.vendor.net", "port", 443),
			door("update", "high", "likely", root("etc/cron"), "host", "up.vendor.net"),
			door("destination", "low", "shown", root("bin/up"), "host", "other.vendor.net", "port", 443),
		}, []doorward.Kind{"update", "destination"}},
		{"the same console in the root and in the rescue system", doors{
			door("debug", "medium", "shown", root("etc_ro/inittab"), "what", "serial-shell", "device", "ttyS0"),
			door("debug", "medium", "shown", rescue("etc/inittab"), "what", "serial-shell", "device", "ttyS0"),
		}, []doorward.Kind{"debug", "debug"}},
		{"camera and microphone of one program", doors{
			door("sensor", "high", "shown", root("bin/vidd"), "what", "camera", "program", "vidd"),
			door("sensor", "high", "shown", root("bin/vidd"), "what", "microphone", "program", "vidd"),
		}, []doorward.Kind{"sensor", "sensor"}},
		{"a debug daemon that listens is a service", doors{
			door("debug", "medium", "shown", root("sbin/adbd"), "what", "adb", "path", "sbin/adbd"),
			door("service", "critical", "shown", root("init.rc"), "program", "adbd", "port", 5555),
		}, []doorward.Kind{"service"}},
		{"a fixed value accepted at a login is an account", doors{
			door("trigger", "critical", "shown", root("bin/httpd"), "value", "joel", "effect", "login"),
			door("account", "critical", "shown", root("bin/httpd"), "user", "super", "password", "joel"),
		}, []doorward.Kind{"account"}},
		{"one that skips the login is a trigger", doors{
			door("trigger", "critical", "shown", root("bin/httpd"), "value", "joel", "effect", "authentication bypass"),
			door("account", "critical", "shown", root("bin/httpd"), "user", "super", "password", "joel"),
		}, []doorward.Kind{"account", "trigger"}},
		{"a private key, and the permission to log in with it", doors{
			door("key", "high", "shown", root("etc/id"), "fingerprint", "SHA256:x", "private", true),
			door("key", "critical", "shown", root("root/.ssh/authorized_keys"), "fingerprint", "SHA256:x", "private", false),
			door("key", "high", "shown", root("etc/id.bak"), "fingerprint", "SHA256:x", "private", true),
		}, []doorward.Kind{"key", "key"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := settle.Doors(c.in)
			var kinds []doorward.Kind
			for _, d := range got {
				kinds = append(kinds, d.Kind)
			}
			if !slices.Equal(kinds, c.want) {
				t.Errorf("doors are %v, want %v", kinds, c.want)
			}
			uniqueIDs(t, got)
		})
	}
}

// The same file in both slots is one door with two places.
func TestSlots(t *testing.T) {
	a := door("service", "critical", "shown", []string{"partition:a", "etc/rc"}, "program", "telnetd", "port", 23)
	b := door("service", "critical", "shown", []string{"partition:b", "etc/rc"}, "program", "telnetd", "port", 23)
	got := settle.Doors([]doorward.Door{a, b})
	if len(got) != 1 || len(got[0].Where) != 2 {
		t.Fatalf("got %d doors, first has %d places; want one door with two", len(got), len(got[0].Where))
	}
}

// Stronger proof gives the words; the weaker one adds what it knew, and its
// evidence says where it stands.
func TestStrongerReplacesWeaker(t *testing.T) {
	weak := door("account", "critical", "likely", root("etc/passwd"), "user", "bob", "uid", 0, "password", "")
	weak.Secrets = []string{"hash-1"}
	strong := door("account", "high", "shown", root("etc/shadow"), "user", "bob", "password", "pw")
	strong.Secrets = []string{"pw"}
	got := settle.Doors([]doorward.Door{weak, strong})
	if len(got) != 1 {
		t.Fatalf("got %d doors, want 1", len(got))
	}
	d := got[0]
	if d.Weight != doorward.High || d.Certainty != doorward.Shown || d.Title != strong.Title {
		t.Errorf("the weaker finding's words stand: %s %s %q", d.Weight, d.Certainty, d.Title)
	}
	if d.Detail.Text("uid") != "0" || d.Detail.Text("password") != "pw" {
		t.Errorf("detail is %v", d.Detail)
	}
	if len(d.Evidence) != 2 || d.Evidence[1].Path != "etc/passwd" || len(d.Where) != 2 || len(d.Secrets) != 2 {
		t.Errorf("evidence %+v, where %+v, secrets %v", d.Evidence, d.Where, d.Secrets)
	}
	if weak.Evidence[0].Path != "" || weak.Detail["password"] != "" {
		t.Error("the input was changed")
	}
}

// A start without a condition stays without one.
func TestConditionIsNotInherited(t *testing.T) {
	always := door("service", "high", "shown", root("etc/rcS"), "program", "telnetd", "port", 23, "started_by", "etc/rcS")
	flag := door("service", "medium", "shown", root("etc/rc2"), "program", "telnetd", "port", 23, "started_by", "etc/rc2", "condition", "telnet=1")
	equal := door("service", "high", "shown", root("etc/rc2"), "program", "telnetd", "port", 23, "started_by", "etc/rc2", "condition", "telnet=1", "proto", "tcp")
	for _, in := range [][]doorward.Door{{always, flag}, {flag, always}, {always, equal}, {equal, always}} {
		got := settle.Doors(in)
		if len(got) != 1 || got[0].Detail.Text("condition") != "" {
			t.Errorf("got %d doors, condition %q", len(got), got[0].Detail.Text("condition"))
		}
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(findings(), 0, 12).Draw(t, "findings")
		want := asJSON(t, settle.Doors(in))
		shuffled := slices.Clone(in)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(in), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		if got := asJSON(t, settle.Doors(shuffled)); got != want {
			t.Fatalf("another order gave another result:\n%s\n%s", want, got)
		}
	})
}

func TestSettlingTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := settle.Doors(rapid.SliceOfN(findings(), 0, 12).Draw(t, "findings"))
		if a, b := asJSON(t, once), asJSON(t, settle.Doors(once)); a != b {
			t.Fatalf("settled once:\n%s\ntwice:\n%s", a, b)
		}
	})
}

// No evidence is lost, ids are unique, and the order is that of reports.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(findings(), 0, 12).Draw(t, "findings")
		got := settle.Doors(in)
		uniqueIDs(t, got)
		have, secrets := map[string]bool{}, map[string]bool{}
		for _, d := range got {
			for _, e := range d.Evidence {
				have[e.What] = true
			}
			for _, s := range d.Secrets {
				secrets[s] = true
			}
		}
		for _, d := range in {
			if !have[d.Evidence[0].What] {
				t.Fatalf("evidence %q is lost", d.Evidence[0].What)
			}
			if !secrets[d.Secrets[0]] {
				t.Fatalf("secret %q would no longer be masked", d.Secrets[0])
			}
		}
		for i := 1; i < len(got); i++ {
			if got[i-1].Weight.Rank() < got[i].Weight.Rank() {
				t.Fatal("a lighter door stands before a heavier one")
			}
		}
	})
}

// findings draws from small sets, so that identities meet often.
func findings() *rapid.Generator[doorward.Door] {
	return rapid.Custom(func(t *rapid.T) doorward.Door {
		pick := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
		path := []string{pick("region", "squashfs@0x0", "partition:b"), pick("file", "etc/passwd", "etc/shadow", "etc/rc", "bin/x")}
		d := door(rapid.SampledFrom(doorward.Kinds).Draw(t, "kind"), doorward.Weight(pick("weight", "high", "medium")),
			doorward.Certainty(pick("certainty", "shown", "likely", "hint")), path)
		d.Evidence[0].What = pick("what", "one", "two", "three")
		d.Secrets = []string{pick("secret", "s1", "s2")}
		for _, key := range []string{"user", "uid", "password", "program", "proto", "condition", "started_by", "host", "path", "signed", "what", "device", "fingerprint", "private", "value"} {
			if v := pick(key, "", "a", "b"); v != "" {
				d.Detail[key] = v
			}
		}
		if rapid.Bool().Draw(t, "has port") {
			d.Detail["port"] = rapid.IntRange(22, 24).Draw(t, "port")
		}
		return d
	})
}

func asJSON(t rapid.TB, doors []doorward.Door) string {
	b, err := json.Marshal(doors)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range doors {
		b = append(b, '\n')
		for _, s := range d.Secrets {
			b = append(b, s...)
		}
	}
	return string(b)
}

func uniqueIDs(t rapid.TB, doors []doorward.Door) {
	seen := map[string]string{}
	for _, d := range doors {
		if other, ok := seen[d.ID]; ok || d.ID == "" {
			t.Fatalf("%q and %q have the same id %q", other, d.Title, d.ID)
		}
		seen[d.ID] = d.Title
	}
}

// One sighting is told once, whether or not its path is given, and keeps what
// each detector noted about it; the same text elsewhere is another sighting.
func TestOneSighting(t *testing.T) {
	a := door("update", "high", "shown", root("etc/rc"), "host", "up.vendor.net")
	b := door("update", "high", "likely", root("etc/rc"), "host", "up.vendor.net")
	a.Evidence = []doorward.Evidence{{What: "curl up", Line: 7, Note: "fetched"}, {What: "curl up", Line: 7, Path: "etc/rc", Note: "as root"}}
	b.Evidence = []doorward.Evidence{{What: "curl up", Line: 7, Path: "etc/rc", Note: "fetched"}, {What: "curl up", Line: 8}, {What: "curl up", Line: 7, Path: "etc/cron"}}
	got := settle.Doors([]doorward.Door{a, b})
	if len(got) != 1 {
		t.Fatalf("got %d doors, want 1", len(got))
	}
	want := []doorward.Evidence{{What: "curl up", Line: 7, Note: "fetched; as root"}, {What: "curl up", Line: 8}, {What: "curl up", Line: 7, Path: "etc/cron"}}
	if !slices.Equal(got[0].Evidence, want) {
		t.Errorf("evidence is %+v", got[0].Evidence)
	}
}
