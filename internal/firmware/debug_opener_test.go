package firmware

import (
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

func TestShellOpeners(t *testing.T) {
	for name, c := range map[string]struct {
		path, text string
		want       bool
	}{
		"telnet":             {"www/cgi-bin/support.cgi", "#!/bin/sh\necho Content-type: text/plain\n/usr/sbin/telnetd -l /bin/sh &\n", true},
		"renamed, elsewhere": {"usr/share/htdocs/q", "#!/bin/ash\nif [ \"$QUERY_STRING\" = on ]; then utelnetd -l /bin/sh; fi\n", true},
		"a script":           {"www/cgi-bin/a.sh", "#!/bin/sh\n/etc/init.d/S50telnet start\n", true},
		"netcat":             {"www/cgi-bin/b.sh", "#!/bin/sh\nnc -l -p 4444 -e /bin/sh\n", true},
		"checked":            {"www/cgi-bin/c.sh", "#!/bin/sh\n[ \"$HTTP_COOKIE\" = x ] || exit\ntelnetd -l /bin/sh\n", false},
		"comment":            {"www/cgi-bin/d.sh", "#!/bin/sh\n# telnetd -l /bin/sh\necho telnetd\n", false},
		"looks only":         {"www/cgi-bin/e.sh", "#!/bin/sh\nps | grep telnetd\nkillall telnetd\n", false},
		"no web program":     {"etc/init.d/telnet", "#!/bin/sh\ntelnetd -l /bin/login\n", false},
		"a word":             {"www/cgi-bin/f.sh", "#!/bin/sh\nMODE=telnetd-log\ncat /var/log/telnetd.log\n", false},
	} {
		got := lines(doorsOf(t, Debug, file{path: c.path, text: c.text, mode: 0o755}), "what", "path")
		want := []string{"debug critical what=helper path=" + c.path}
		if c.want != (len(got) == 1 && got[0] == want[0]) || !c.want && len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestKernelCommandLine has a kernel that was built to start a shell.
func TestKernelCommandLine(t *testing.T) {
	for line, want := range map[string][]string{
		"console=ttyS0,115200 root=/dev/mtdblock2 init=/bin/sh": {"debug medium what=boot-args"},
		"console=ttyS0,115200 root=/dev/mtdblock2":              nil,
	} {
		kernel := &unpack.Reader{Name: "kernel", Magics: []unpack.Magic{{At: 0, Bytes: "KERN"}}, Open: func(in *unpack.Input) (*unpack.Object, error) {
			return &unpack.Object{Format: "kernel", Size: in.Data.Size(), Info: map[string]string{"command line": line}, Parts: []unpack.Part{{Name: "initramfs", Data: unpack.Slice("data")}}}, nil
		}}
		p, err := product.Open(t.Context(), "image", unpack.Slice("KERN"+strings.Repeat("code", 100)), Debug.Patterns, unpack.Options{Readers: []*unpack.Reader{kernel}})
		if err != nil {
			t.Fatal(err)
		}
		r := detect.Run(t.Context(), []*Detector{Debug}, p, 1)
		if got := lines(r.Doors, "what"); !slices.Equal(got, want) {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestUSBDebugging(t *testing.T) {
	for text, want := range map[string][]string{
		"persist.sys.usb.config=mtp,adb\nro.adb.secure=1\n": {"debug low what=adb path=default.prop"},
		"persist.sys.usb.config=adb\nro.debuggable=1\n":     {"debug medium what=adb path=default.prop"},
		"persist.sys.usb.config=mtp\nro.debuggable=0\n":     nil,
	} {
		if got := lines(doorsOf(t, Debug, file{path: "default.prop", text: text}), "what", "path"); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}
