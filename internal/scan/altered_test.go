package scan

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A door in a file that is not as its package brought it says so; one in a file
// that is says nothing.
func TestDoorsCiteAlterations(t *testing.T) {
	dir := t.TempDir()
	put := func(p, text string) {
		p = filepath.Join(dir, p)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\ntelnetd -l /bin/sh -p 2323 &\n"
	elf, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	put("etc/inittab", "::sysinit:/etc/init.d/rcS\n")
	put("etc/init.d/rcS", script)
	put("bin/busybox", string(elf))
	put("usr/sbin/telnetd", string(elf))
	put("usr/lib/opkg/status", "Package: base\nVersion: 1\nStatus: install ok installed\n")
	put("usr/lib/opkg/info/base.list", "/etc/init.d/rcS\n/bin/busybox\n/usr/sbin/telnetd\n")
	for _, c := range []struct {
		was  string
		want int
	}{{script, 0}, {"#!/bin/sh\n", 1}} {
		put("usr/lib/opkg/info/base.files-sha256sum", fmt.Sprintf("%x  ./etc/init.d/rcS\n%x  ./bin/busybox\n", sha256.Sum256([]byte(c.was)), sha256.Sum256(elf)))
		r, err := Report(t.Context(), dir, Options{At: time.Now(), NoTimes: true})
		if err != nil {
			t.Fatal(err)
		}
		cited, doors := 0, 0
		for _, d := range r.Doors {
			doors++
			for _, e := range d.Evidence {
				if e.What == fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(script))) && e.Path == "etc/init.d/rcS" {
					cited++
				}
			}
		}
		if doors == 0 || min(cited, 1) != c.want || len(r.Alterations.Altered) != c.want {
			t.Errorf("%d doors, %d cite the change, want %d; %+v", doors, cited, c.want, r.Alterations.Altered)
		}
	}
}
