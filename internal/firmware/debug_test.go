package firmware

import (
	"context"
	"slices"
	"testing"

	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

func TestConsoles(t *testing.T) {
	sh := file{path: "bin/sh", text: "x", mode: 0o755}
	gettyFile := file{path: "sbin/getty", text: "x", mode: 0o755}
	for _, c := range []struct {
		name string
		file []file
		want []string
	}{
		{"inittab", []file{{path: "etc/inittab", text: "ttyS0::respawn:-/bin/sh\n"}}, []string{"debug medium what=serial-shell device=ttyS0"}},
		{"askfirst", []file{{path: "etc/inittab", text: "tty2::askfirst:-/bin/sh\n"}}, []string{"debug medium what=serial-shell device=tty2"}},
		{"no device", []file{{path: "etc/inittab", text: "::askfirst:-/bin/sh\n"}}, []string{"debug medium what=serial-shell"}},
		{"getty that asks", []file{{path: "etc/inittab", text: "ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n"}}, []string{"debug low what=serial-shell device=ttyS0"}},
		{"getty with a shell", []file{{path: "etc/inittab", text: "ttyS1::respawn:/sbin/getty -n -l /bin/sh -L ttyS1 115200\n"}}, []string{"debug medium what=serial-shell device=ttyS1"}},
		{"autologin", []file{{path: "etc/inittab", text: "S0:2345:respawn:/sbin/getty -a root ttyAMA0\n"}}, []string{"debug medium what=serial-shell device=ttyAMA0"}},
		{"commented", []file{{path: "etc/inittab", text: "#ttyS0::respawn:-/bin/sh\n"}}, nil},
		{"a screen", []file{{path: "etc/inittab", text: "1:2345:respawn:/sbin/getty 38400 tty1\n"}}, nil},
		{"a script", []file{{path: "etc/inittab", text: "::sysinit:/bin/sh /etc/rc\n"}, {path: "etc/rc", text: "#!/bin/sh\necho hello\n"}}, nil},
	} {
		got := lines(doorsOf(t, Debug, append(c.file, sh, gettyFile)...), "what", "device")
		if !slices.Equal(slices.Compact(got), c.want) {
			t.Errorf("%s: want %q, got %q", c.name, c.want, got)
		}
	}
}

// bootProduct is a product of one U-Boot environment.
func bootProduct(t *testing.T, vars string) *product.Product {
	t.Helper()
	o := &unpack.Object{Format: "u-boot environment", System: true, Parts: []unpack.Part{{Name: "environment", Data: unpack.Slice(vars), Format: "environment"}}}
	p, err := product.OpenTree(context.Background(), "image", o, Debug.Patterns, unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBootEnvironment(t *testing.T) {
	for _, c := range []struct {
		vars string
		want []string
	}{
		{"bootdelay=3\nbootcmd=bootm 0x9f050000\n", []string{"debug medium what=boot-shell"}},
		{"bootdelay=-1\n", []string{"debug medium what=boot-shell"}},
		{"bootdelay=0\nbootargs=console=ttyS0 root=/dev/mtdblock2 init=/sbin/init\n", nil},
		{"bootdelay=-2\nsafe=setenv bootargs console=ttyS0 init=/bin/sh; run bootcmd\n", []string{"debug medium what=boot-args"}},
		{"bootargs=console=ttyS0 kgdboc=ttyS0,115200\n", []string{"debug medium what=boot-args"}},
	} {
		r := detect.Run(context.Background(), []*Detector{Debug}, bootProduct(t, c.vars), 1)
		if got := lines(r.Doors, "what"); !slices.Equal(got, c.want) {
			t.Errorf("%q: want %q, got %q", c.vars, c.want, got)
		}
	}
}

func TestKernelOptions(t *testing.T) {
	base := "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_D=y\nCONFIG_E=y\n"
	for _, c := range []struct {
		config string
		want   []string
	}{
		{"CONFIG_KGDB_SERIAL_CONSOLE=y\n", []string{"debug medium what=kernel"}},
		{"CONFIG_DEVMEM=y\n# CONFIG_STRICT_DEVMEM is not set\n", []string{"debug low what=kernel"}},
		{"CONFIG_DEVMEM=y\nCONFIG_STRICT_DEVMEM=y\nCONFIG_MAGIC_SYSRQ=y\n", nil},
		{"# CONFIG_KGDB_SERIAL_CONSOLE is not set\n", nil},
	} {
		if got := lines(doorsOf(t, Debug, file{path: "boot/config-5.10", text: base + c.config}), "what"); !slices.Equal(got, c.want) {
			t.Errorf("%q: want %q, got %q", c.config, c.want, got)
		}
	}
}

func TestOpenHelper(t *testing.T) {
	index := file{path: "www/index.html", text: "<a href=cgi-bin/status.sh>status</a>"}
	status := file{path: "www/cgi-bin/status.sh", text: "#!/bin/sh\n[ \"$HTTP_COOKIE\" = \"$(cat /tmp/session)\" ] || exit 1\nCMD=${QUERY_STRING#cmd=}\neval \"$CMD\"\n"}
	plain := file{path: "www/cgi-bin/info.sh", text: "#!/bin/sh\necho $QUERY_STRING\nuptime\n"}
	for name, text := range map[string]string{
		"eval":     "#!/bin/sh\necho Content-type: text/plain\necho\nCMD=$(echo \"$QUERY_STRING\" | sed 's/+/ /g')\neval \"$CMD\"\n",
		"sh -c":    "#!/bin/sh\nc=${QUERY_STRING##*cmd=}\nsh -c \"$c\" 2>&1\n",
		"as such":  "#!/bin/sh\nc=${QUERY_STRING##*cmd=}\n$c\n",
		"piped":    "#!/bin/sh\necho \"$QUERY_STRING\" | sh\n",
		"directly": "#!/bin/sh\neval $QUERY_STRING\n",
	} {
		got := lines(doorsOf(t, Debug, index, status, plain, file{path: "www/cgi-bin/qa.sh", text: text, mode: 0o755}), "what", "path")
		if want := []string{"debug critical what=helper path=www/cgi-bin/qa.sh"}; !slices.Equal(got, want) {
			t.Errorf("%s: want %q, got %q", name, want, got)
		}
	}
	if got := doorsOf(t, Debug, index, status, plain); len(got) != 0 {
		t.Errorf("checked or harmless: %q", lines(got, "path"))
	}
}

func TestOpenHelperInPrograms(t *testing.T) {
	for _, name := range []string{"factorytest.cgi.arm", "diag.cgi.mipsel"} {
		got := lines(doorsOf(t, Debug, file{path: "www/cgi-bin/x", text: elf(t, name), mode: 0o755}), "what")
		if want := []string{"debug critical what=helper"}; !slices.Equal(got, want) {
			t.Errorf("%s: want %q, got %q", name, want, got)
		}
	}
	for _, name := range []string{"sysinfo.cgi.arm", "status.cgi.mipsel"} {
		if got := doorsOf(t, Debug, file{path: "www/cgi-bin/x", text: elf(t, name), mode: 0o755}); len(got) != 0 {
			t.Errorf("%s: %q", name, lines(got, "what"))
		}
	}
}

func TestAndroidBuild(t *testing.T) {
	if got, want := lines(doorsOf(t, Debug, file{path: "default.prop", text: "ro.debuggable=1\nro.secure=0\n"}), "what", "path"), []string{"debug medium what=adb path=default.prop"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
	if got := doorsOf(t, Debug, file{path: "default.prop", text: "ro.debuggable=0\nro.secure=1\n#ro.debuggable=1\n"}); len(got) != 0 {
		t.Errorf("%q", lines(got, "what"))
	}
}
