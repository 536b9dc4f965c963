package firmware

import (
	"context"
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
