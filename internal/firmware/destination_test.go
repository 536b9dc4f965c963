package firmware

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDestinationInText(t *testing.T) {
	for _, c := range []struct {
		name string
		file file
		want []string
	}{
		{"script posts", file{path: "etc/init.d/stat", text: "#!/bin/sh\nH=stats.metrics-of-ours.net\nwget -q -O /dev/null \"http://$H/r?sn=$SERIAL\"\n"},
			[]string{"destination medium host=stats.metrics-of-ours.net port=80 program=wget cleartext=true"}},
		{"script fetches over TLS", file{path: "usr/bin/x", text: "#!/bin/sh\ncurl -s https://api.vendor-cloud.io/v1/time\n"},
			[]string{"destination low host=api.vendor-cloud.io port=443 program=curl cleartext=false"}},
		{"netcat with a port", file{path: "bin/x.sh", text: "tar c /etc | nc collect.vendorco.cn 9000\n"},
			[]string{"destination medium host=collect.vendorco.cn port=9000 program=nc cleartext=true"}},
		{"time", file{path: "etc/rc", text: "#!/bin/sh\nntpd -p pool.ntp.org\n"}, []string{"destination low host=pool.ntp.org port=123 program=ntpd"}},
		{"ini", file{path: "etc/agent.conf", text: "[cloud]\nserver=mqtt.vendorco.com:8883\n"}, []string{"destination low host=mqtt.vendorco.com port=8883"}},
		{"uci", file{path: "etc/config/system", text: "config timeserver 'ntp'\n\tlist server '0.openwrt.pool.ntp.org'\n"}, []string{"destination low host=0.openwrt.pool.ntp.org"}},
		{"json", file{path: "etc/a.json", text: "{\n \"upload_host\": \"up.vendorco.com\"\n}\n"}, []string{"destination low host=up.vendorco.com"}},
		{"a package's script", file{path: "opt/app/package.json", text: "{\n \"homepage\": \"https://code.vendorco.com/x\",\n \"scripts\": {\"postinstall\": \"curl -s https://get.vendorco.com/x/y | sh\"}\n}\n"},
			[]string{"destination low host=get.vendorco.com port=443 program=curl cleartext=false"}},
		{"text that is no manual", file{path: "etc/hosts.txt", text: "server = time.vendorco.com\n"}, []string{"destination low host=time.vendorco.com"}},
		{"public address", file{path: "etc/rc.local", text: "#!/bin/sh\nnc 8.8.4.4 53 </dev/null\n"}, []string{"destination low host=8.8.4.4 port=53 program=nc cleartext=true"}},
	} {
		got := lines(doorsOf(t, Destination, c.file), "host", "port", "program", "cleartext")
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\nwant %q\ngot  %q", c.name, c.want, got)
		}
	}
}

// TestDestinationOfEvents has a host that only a sourced file completes.
func TestDestinationOfEvents(t *testing.T) {
	got := lines(doorsOf(t, Destination,
		file{path: "etc/inittab", text: "::sysinit:/etc/init.d/rcS\n"},
		file{path: "etc/init.d/rcS", text: "#!/bin/sh\n. /etc/release\nwget -q -O /dev/null \"http://stat.$DOMAIN/p?mac=$MAC\"\n", mode: 0o755},
		file{path: "etc/release", text: "DOMAIN=vendorco-net.com\n"},
		file{path: "usr/bin/wget", text: "x", mode: 0o755},
	), "host", "port", "program", "cleartext")
	if want := []string{"destination medium host=stat.vendorco-net.com port=80 program=wget cleartext=true"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestDestinationInSettings(t *testing.T) {
	got := lines(doorsOf(t, Destination, file{path: "usr/share/nvram.bin", text: "lan_ip=192.168.0.1\x00ntp_server0=1.pool.ntp.org\x00a=b\x00wan_proto=dhcp\x00"}), "host")
	if want := []string{"destination low host=1.pool.ntp.org"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestDestinationLeavesAlone(t *testing.T) {
	for _, f := range []file{
		{path: "etc/init.d/a", text: "#!/bin/sh\n# wget http://old.vendorco.com/x\n"},
		{path: "etc/init.d/b", text: "#!/bin/sh\nwget http://www.example.com/x http://192.168.1.1/y http://127.0.0.1/ http://updates.test/\n"},
		{path: "usr/share/doc/x/README", text: "See http://www.vendorco.com/manual\n"},
		{path: "etc/card.conf", text: "# the registers are described at\nhttps://docs.vendorco.io/chips/manual.p\n"},
		{path: "etc/x.xml", text: "<a xmlns=\"http://vendorco.com/schema\">\n"},
		{path: "etc/os-release", text: "HOME_URL=\"https://www.vendorco.com/\"\n"},
		{path: "etc/lighttpd.conf", text: "server.modules = ( \"mod_access\" )\nserver.document-root = \"/www\"\nserver.errorlog = \"/tmp/error.log\"\n"},
		{path: "etc/hosts", text: "127.0.0.1 localhost.localdomain\n"},
		{path: "etc/init.d/c", text: "#!/bin/sh\n. /lib/functions.sh\nlogger -t x started foo.py\n"},
		{path: "etc/ssl/openssl.cnf", text: "oid_section = new_oids\n[ req ]\ndefault_bits = 2048\n"},
		{path: "etc/dnsmasq.conf", text: "address=/double-click.example.net/127.0.0.1\nserver=/localnet/192.168.0.1\n"},
		{path: "lib/libx.so.1", text: "\x7fELF\x01\x01\x00connect\x00org.freedesktop.DBus\x00libfoo.so.2\x00config.py\x00com.vendor.thing\x00http://www.gnu.org/x\x00see http://vendorco.com/help\x00"},
		{path: "lib/systemd/system/a.target", text: "[Unit]\nDocumentation=https://vendorco.io/NETWORK\n"},
		{path: "etc/control", text: "Package: x\nHomepage: https://vendorco.org/x/\nBugs: mailto:bugs@lists.vendorco.org\n"},
		{path: "usr/share/x/map.dat", text: "fhir = \"http://vendorco.org/ns/fhir\"\n"},
		{path: "etc/cast.xml", text: "<a>\n<!-- an example:\n<url>http://auth.vendorco.com/notify</url>\n-->\n</a>\n"},
		{path: "etc/notes.txt", text: "See: http://vendorco.wiki/view\nGet the tarballs and post them at http://vendorco.org/snapshots/\n"},
		{path: "opt/app/package.json", text: "{\n \"name\": \"x\",\n \"repository\": {\"type\": \"git\", \"url\": \"git+https://code.vendorco.com/x.git\"},\n \"author\": {\"url\": \"https://people.vendorco.com/a/b\"}\n}\n"},
		{path: "usr/share/x/composer.json", text: "{\"support\": {\"source\": \"https://code.vendorco.com/x/y\"}}\n"},
		{path: "usr/share/x/x.gemspec", text: "s.homepage = 'https://code.vendorco.com/x/y'\n"},
		{path: "opt/x/docs/guide.txt", text: "server = time.vendorco.com\nwget https://get.vendorco.com/x/y\n"},
		{path: "opt/x/manual-en/a.txt", text: "host: time.vendorco.com\n"},
		{path: "bin/words", text: "\x7fELF\x01\x01\x00connect\x00media.name\x00stream.stream\x00stat.cc\x00"},
		{path: "bin/shows", text: "\x7fELF\x01\x01\x00connect\x00http://www.vendorco.com/\x00https://vendorco.com\x00http://vendorco.com/schemas/2013#markers\x00http://vendorco.com/ns/1.0\x00xfoo.com\x00"},
		{path: "bin/noconnect", text: "\x7fELF\x01\x01\x00printf\x00stats.vendorco.com\x00"},
	} {
		if got := doorsOf(t, Destination, f); len(got) != 0 {
			t.Errorf("%s: %q", f.path, lines(got, "host", "program"))
		}
	}
}

func TestDestinationInProgram(t *testing.T) {
	elf := "\x7fELF\x01\x01\x00connect\x00gethostbyname\x00read\x00" + strings.Repeat("\x00code", 40) +
		"\x00rec.vendor-metrics.net\x00http://api.vendorco.cn/u?mac=%s\x00%s: cannot connect to %s\x00"
	for _, path := range []string{"usr/sbin/voiced", "opt/other-name"} {
		got := lines(doorsOf(t, Destination, file{path: path, text: elf, mode: 0o755}), "host", "port", "cleartext")
		want := []string{"destination medium host=api.vendorco.cn port=80 cleartext=true", "destination low host=rec.vendor-metrics.net cleartext=true"}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\nwant %q\ngot  %q", path, want, got)
		}
	}
}

// TestDocumentsByName: a program's file is not a document because its name
// begins like one.
func TestDocumentsByName(t *testing.T) {
	for p, want := range map[string]bool{"opt/README": true, "opt/README.txt": true, "etc/issue": true, "control": true, "etc/init.d/controld": false, "bin/issue-cmd.sh": false, "etc/control.conf": false, "etc/newsd.conf": false, "etc/notice.sh": false} {
		if got := isDocumentation(p); got != want {
			t.Errorf("%s: %v, want %v", p, got, want)
		}
	}
}

// TestContactingIn compares with the expression that says the same.
func TestContactingIn(t *testing.T) {
	var words []string
	for w := range contacting {
		words = append(words, regexp.QuoteMeta(w))
	}
	expr := regexp.MustCompile("(?:^|[\\s;|&({`\"'/])(" + strings.Join(words, "|") + ")(?:[\\s\"']|$)")
	part := rapid.SampledFrom([]string{"wget", "nc", "curl", "x", " ", "/", "|", ";", "(", "`", "'", "\"", "\t", "-", "=", "usr/bin/ssh"})
	rapid.Check(t, func(t *rapid.T) {
		line, want := strings.Join(rapid.SliceOfN(part, 0, 8).Draw(t, "parts"), ""), ""
		if m := expr.FindStringSubmatch(line); m != nil {
			want = m[1]
		}
		if got := contactingIn(line); got != want {
			t.Fatalf("%q: %q instead of %q", line, got, want)
		}
	})
}
