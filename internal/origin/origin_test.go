package origin

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

// made is an input of one root file system with the given files.
func made(t testing.TB, files map[string]string) *Input {
	t.Helper()
	o := &unpack.Object{Format: "directory", System: true}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		o.Entries = append(o.Entries, unpack.Entry{Path: name, Mode: fs.FileMode(0o644), Data: unpack.Slice(files[name])})
	}
	p, err := product.OpenTree(context.Background(), "product", o, Patterns(), unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	return &Input{Product: p, Subject: doorward.Subject{Name: "product"}, Owner: func(*product.File) string { return "" }}
}

// gathered is what all gatherers find, in a line each.
func gathered(t testing.TB, in *Input) []string {
	t.Helper()
	list, runs := Gather(context.Background(), in)
	for _, r := range runs {
		if r.Status != "ran" {
			t.Errorf("%s: %s", r.Name, r.Error)
		}
	}
	var lines []string
	for _, f := range list {
		if f.ID == "" || f.Basis == "" || f.Method == "" || f.AssertedBy == "" || f.Evidence == "" || f.Class.Rank() < 0 || len(f.Where) == 0 || f.Stage != "" || f.Axis.OfEntity() != strings.HasPrefix(f.Subject, "entity:") {
			t.Errorf("incomplete: %+v", f)
		}
		lines = append(lines, strings.TrimSpace(strings.Join([]string{f.Subject, string(f.Axis), f.Country + f.Entity, string(f.Class), f.Method}, " ")))
	}
	return lines
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestPackages(t *testing.T) {
	in := made(t, map[string]string{"etc/x": "x"})
	where := []doorward.Where{{Path: []string{"product", "db"}}}
	part := func(found, name string, detail ...string) {
		c := doorward.Component{BOMRef: name, Name: name, Found: found, Where: where, Detail: map[string]string{}}
		for i := 0; i < len(detail); i += 2 {
			c.Detail[detail[i]] = detail[i+1]
		}
		in.Components = append(in.Components, c)
	}
	part("dpkg", "a", "maintainer", "Musterwerk Team <team@musterwerk.example>", "homepage", "https://www.musterwerk.de")
	part("rpm", "b", "vendor", "Fernbau Linux", "packager", "Fernbau <https://bugs.fernbau.example>", "build-host", "x1.fernbau.example")
	part("apk", "c", "maintainer", "Ada Beispielfrau <ada@musterwerk.test>")
	// left alone: nobody's name, a field that the format does not have, no package
	part("opkg", "d", "maintainer", "Unknown <root@localhost>")
	part("dpkg", "e", "packager", "Somebody Else")
	part("content", "f", "maintainer", "Somebody Else")
	part("rpm", "g", "vendor", "(none)")
	same(t, gathered(t, in),
		"a maintenance Musterwerk Team claimed package-database",
		"b build Fernbau Linux claimed package-database",
		"b maintenance Fernbau claimed package-database",
		"c maintenance Ada Beispielfrau claimed package-database")
}

func TestSystems(t *testing.T) {
	in := made(t, map[string]string{"etc/x": "x"})
	in.Subject.Maker = "Haldren Devices"
	where := []doorward.Where{{Path: []string{"product", "x"}}}
	in.Components = []doorward.Component{
		{BOMRef: "os", Type: "operating-system", Found: "release", Maker: "Haldren Devices", Where: where},
		{BOMRef: "busybox", Name: "busybox", Version: "1.36.1", Found: "content", Maker: "BusyBox developers", Where: where},
		{BOMRef: "driver", Type: "device-driver", Found: "elf", Maker: "Ada Beispielfrau", Where: where},
		{BOMRef: "nobody", Found: "release", Maker: "Unknown", Where: where},
		{BOMRef: "package", Found: "dpkg", Maker: "Somebody", Where: where}, // its fields are read by another gatherer
	}
	same(t, gathered(t, in),
		"product development Haldren Devices claimed release-file",
		"os development Haldren Devices claimed release-file",
		"busybox development BusyBox developers inferred table",
		"driver development Ada Beispielfrau claimed module-info")
}

func TestHosts(t *testing.T) {
	in := made(t, map[string]string{"etc/x": "x"})
	door := func(kind doorward.Kind, host string, certainty doorward.Certainty) {
		in.Doors = append(in.Doors, doorward.Door{ID: "door-1", Kind: kind, Certainty: certainty, Detail: doorward.Detail{"host": host}, Where: []doorward.Where{{Path: []string{"product", "etc/x"}}}})
	}
	door(doorward.KindUpdate, "fw.downloads.musterwerk.co.uk", doorward.Shown)
	door(doorward.KindUpdate, "bucket.s3.amazonaws.com", doorward.Shown)
	door(doorward.KindDestination, "193.0.6.139", doorward.Shown) // RIPE NCC's own
	// left alone
	door(doorward.KindUpdate, "updates.lan", doorward.Shown)
	door(doorward.KindUpdate, "$SERVER", doorward.Shown)
	door(doorward.KindDestination, "cloud.musterwerk.de", doorward.Shown) // a name says no country
	door(doorward.KindDestination, "10.1.2.3", doorward.Shown)
	door(doorward.KindDestination, "8.8.8.8", doorward.Hint)
	same(t, gathered(t, in),
		"product hosting NL inferred ip-table",
		"product operation bucket.s3.amazonaws.com inferred domain",
		"product operation musterwerk.co.uk inferred domain")
	list, _ := Gather(context.Background(), in)
	if e := Entities(list); len(e) != 2 || e[0].IDs["domain"] != e[0].Name {
		t.Errorf("%+v", e)
	}
}

func TestHardware(t *testing.T) {
	in := made(t, map[string]string{
		"etc/board.conf": "ethaddr=00:00:0C:12:34:57\noption macaddr 'AC:DE:48:99:12:01'\n",
		// left alone: a local address, a typed one, a comment, documentation, no setting
		"etc/other.conf":       "hwaddr=02:00:00:12:34:57\nmacaddr=00:00:0C:11:22:33\n# ethaddr=00:00:0C:12:34:58\n",
		"usr/share/doc/x.conf": "ethaddr=00:00:0C:12:34:57\n",
		"etc/leases":           "lease 00:00:0C:12:34:57\n",
	})
	same(t, gathered(t, in), "product design Cisco Systems, Inc inferred oui", "entity:cisco-systems legal-seat US inferred oui")
}

func TestRegistrants(t *testing.T) {
	for mac, want := range map[string]string{"00:00:0c:12:34:57": "Cisco Systems, Inc US", "00-1B-21-12-34-57": "Intel Corporate MY", "01:00:5e:12:34:57": "", "zz": "", "": "", "00:00:00:12:34:57": ""} {
		r, ok := RegistrantOf(mac)
		if got := strings.TrimSpace(r.Name + " " + r.Country); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %s %v, want %s", mac, got, ok, want)
		}
	}
}

// TestTablesAreFresh asks for a refresh (go generate ./internal/origin) of what
// is older than two years at a release.
func TestTablesAreFresh(t *testing.T) {
	for _, s := range Sources() {
		day, err := time.Parse(time.DateOnly, s.Date)
		if err != nil || day.Before(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v: %v", s, err)
		}
		if age := time.Since(day); age > 2*365*24*time.Hour {
			t.Errorf("%s is of %s: run go generate ./internal/origin", s.Name, s.Date)
		}
	}
	if n := len(addressRanges().from); n < 300_000 || len(addressRanges().country) != n {
		t.Errorf("%d ranges, %d countries", n, len(addressRanges().country))
	}
}
