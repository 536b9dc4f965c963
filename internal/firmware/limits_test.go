package firmware

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
)

// limitsOf are the limits that a detector reports for a product.
func limitsOf(t *testing.T, d *Detector, files ...file) (list []doorward.Unread) {
	t.Helper()
	out := detect.NewSink(d.Name, d.Kinds...)
	if err := d.Run(context.Background(), madeProduct(t, d, files...), out); err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Unreads {
		if u.Reason != "limit" || len(u.Path) == 0 || u.Note == "" {
			t.Errorf("%+v", u)
		}
		list = append(list, u)
	}
	return list
}

// bootsWith is a small system whose rcS is the given text.
func bootsWith(rcS string) []file {
	return []file{
		{path: "bin/busybox", text: "\x7fELFBusyBox v1.30 telnetd"}, {path: "bin/sh", link: "busybox"}, {path: "sbin/init", link: "../bin/busybox"},
		{path: "usr/sbin/telnetd", link: "../../bin/busybox"}, {path: "etc/inittab", text: "::sysinit:/etc/init.d/rcS\n"},
		{path: "etc/init.d/rcS", text: "#!/bin/sh\n" + rcS, mode: 0o755},
	}
}

// TestStartupLimits hides a service behind more work than is done.
func TestStartupLimits(t *testing.T) {
	const words = "1 2 3 4 5 6 7 8 9 10"
	loops := ""
	for _, v := range strings.Split("abcdefgh", "") {
		loops += "for " + v + " in " + words + "; do "
	}
	loops += ": $a$h; " + strings.Repeat("done; ", 8) + "\n"
	for name, c := range map[string]struct {
		rcS  string
		want string // in a limit's note; "" if the door is found
	}{
		"plain":       {"telnetd -l /bin/sh\n", ""},
		"eight loops": {loops + "telnetd -l /bin/sh\n", "steps"},
		"2 MB script": {strings.Repeat("# padding of a line\n", 100_000) + "telnetd -l /bin/sh\n", ""},
		"5 MB script": {strings.Repeat("# padding of a line\n", 250_000) + "telnetd -l /bin/sh\n", "script over 4 MiB"},
		"many events": {strings.Repeat("telnetd -p 99\n", 31_000) + "telnetd -l /bin/sh\n", "things happen"},
	} {
		limits := limitsOf(t, Service, bootsWith(c.rcS)...)
		if c.want == "" {
			if doors := doorsOf(t, Service, bootsWith(c.rcS)...); len(doors) != 1 || len(limits) != 0 {
				t.Errorf("%s: %d doors, limits %+v", name, len(doors), limits)
			}
			continue
		}
		if len(limits) != 1 || !strings.Contains(limits[0].Note, c.want) {
			t.Errorf("%s: %+v", name, limits)
		}
	}
}

// TestLargeFiles reads what is large and says so of what is too large.
func TestLargeFiles(t *testing.T) {
	var passwd strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&passwd, "user%d:*:%d:100:%s:/home/user%d:/bin/sh\n", i, 1000+i, strings.Repeat("x", 100), i)
	}
	passwd.WriteString("support::0:0::/:/bin/sh\n")
	if n := passwd.Len(); n < 512<<10 {
		t.Fatalf("%d bytes: too small to tell", n)
	}
	large := func(path, text string) []file {
		return append(bootsWith("telnetd\n"), file{path: path, text: text})
	}
	if doors := doorsOf(t, Account, large("etc/passwd", passwd.String())...); len(doors) != 1 || doors[0].Detail["user"] != "support" {
		t.Errorf("passwd of 5000 lines: %d doors", len(doors))
	}
	for name, c := range map[string]struct {
		path, text string
		want       int
	}{
		"passwd of 5000 lines": {"etc/passwd", passwd.String(), 0},
		"passwd over 4 MiB":    {"etc/passwd", strings.Repeat(passwd.String(), 8), 1},
		"script":               {"usr/sbin/install", "#!/bin/sh\n" + strings.Repeat("# padding of a line\n", 250_000) + "echo root:root | chpasswd\n", 1},
		"script of steps":      {"usr/sbin/install", "#!/bin/sh\n" + strings.Repeat("a b c d\n", 60_000) + "echo root:root | chpasswd\n", 1},
		"settings":             {"etc/device.conf", strings.Repeat("a=1 password=x\n", 60_000), 1},
		"many settings":        {"etc/device.conf", strings.Repeat("<x a=\"1\" b=\"1\" c=\"1\" d=\"1\" e=\"1\" password=\"x\"/>\n", 12_000), 1},
		"configuration":        {"etc/device.conf", "admin_password=Zk3vQ9\n" + strings.Repeat("# padding of a line\n", 250_000), 1},
		"documentation":        {"usr/share/doc/device/README", "root::0:0::/:/bin/sh\n" + strings.Repeat("password of a line\n", 250_000), 0},
		"page":                 {"www/app.js", strings.Repeat("password = 1;\n", 350_000), 0},
		"data":                 {"etc/table.csv", strings.Repeat("1,2,3,4\n", 600_000), 0},
	} {
		if got := limitsOf(t, Account, large(c.path, c.text)...); len(got) != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestKeyLimits hides a key behind many, and in a block that is too long.
func TestKeyLimits(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"many blocks":  {strings.Repeat("-----BEGIN \n", 17_000), 1},
		"long block":   {"-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 4000) + "-----END PRIVATE KEY-----\n", 1},
		"name of one":  {"-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("say \"a\"; and so on\n", 8000), 0},
		"short block":  {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0},
		"certificates": {strings.Repeat("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 3000), 0},
	} {
		if got := limitsOf(t, Key, file{path: "etc/keys.pem", text: c.text}); len(got) != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
