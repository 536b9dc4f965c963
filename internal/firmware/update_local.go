package firmware

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// removableFolder are where products put cards and sticks, by name.
var removableFolder = regexp.MustCompile(`^/(?:mnt|media|tmp/mnt|var/mnt|var/media|run/media|tmp)?/?(?:sd|sdcard|sd_card|tf|tfcard|mmc|usb|udisk|usbdisk|udisk\d|sda\d?|sdb\d?|mmcblk\d\w*|disk|extsd|external_sd|stick|flashdrive|cdrom|media)(?:[-_]?\w{0,8})?(?:/|$)|^/media/`)

var removableDevice = regexp.MustCompile(`^/dev/(?:sd[a-z]|sr\d|mmcblk\d|\$|disk/by-|uba)|^\$`)

// removable lists the folders of a volume over which cards and sticks are
// mounted.
func (u *updates) removable(v *product.Volume) []string {
	type key struct{ v *product.Volume }
	return product.Fact(u.product, key{v}, func() []string {
		var list []string
		for i := range u.log.Events {
			e := &u.log.Events[i]
			if e.Kind != startup.Mount || e.Volume != v || !removableDevice.MatchString(e.From) || len(e.Target) < 2 {
				continue
			}
			internal := strings.HasPrefix(e.Text, "ext") || strings.HasPrefix(e.Text, "squash") || strings.HasPrefix(e.Text, "f2fs") || strings.HasPrefix(e.Text, "ubi") || strings.HasPrefix(e.Text, "jffs")
			unknownDevice := strings.HasPrefix(e.From, "$") && e.Trigger != "hotplug"
			if !internal && !unknownDevice && !contains(list, e.Target) && len(list) < 64 {
				list = append(list, e.Target)
			}
		}
		return list
	})
}

func onRemovable(p string, dirs []string) bool {
	if !strings.HasPrefix(p, "/") {
		return false
	}
	for _, d := range dirs {
		if strings.HasPrefix(p, d+"/") && d != "/" {
			return true
		}
	}
	return removableFolder.MatchString(p)
}

// plugged finds what is taken from a card or stick and run, unpacked or
// flashed.
func (u *updates) plugged(f *product.File, e *startup.Event, dirs []string) {
	if e.Kind != startup.Start {
		return
	}
	p, does := "", ""
	switch {
	case runner(e.Applet) && len(e.Args) > 0:
		p, does = e.Args[0], "runs it"
	case e.File == nil && strings.Contains(e.Program, "/"):
		p, does = e.Program, "runs it"
	case takesFile(e.Applet):
		for _, a := range e.Args {
			if a = strings.TrimPrefix(a, "if="); onRemovable(a, dirs) {
				p = a
			}
		}
		does = doesWith(map[bool]string{true: "mtd", false: "tar"}[e.Applet != "tar" && e.Applet != "unzip"])
		if into, _ := option(e.Args, "-C", "-d"); does == "unpacks it" && (temporary(into) || into == "" || onRemovable(into, dirs)) {
			return
		}
	}
	fromPlug := e.Trigger == "hotplug" && strings.HasPrefix(p, "$") && strings.Contains(p, "/")
	copied := does == "runs it" && contains(dirs, p)
	if p == "" || !onRemovable(p, dirs) && !fromPlug && !copied {
		return
	}
	c := channel{file: f, reach: doorward.Physical, certainty: doorward.Shown, signed: "false", url: ""}
	c.what = fmt.Sprintf("%s takes %s from a card or stick and %s", f.Base(), p, does)
	if f.Type.Executable() {
		off := e.By.Offset
		c.offset = &off
	}
	c.evidence = append(c.evidence, evidenceOf(e.By, "whoever puts a card or stick in decides what it holds"))
	u.signature(&c, f)
	u.uncertain(&c, e)
	c.evidence = append(c.evidence, chainOf(e)...)
	u.add(c)
}

// takesFile are programs that unpack or flash a file.
func takesFile(applet string) bool {
	switch applet {
	case "tar", "unzip", "mtd", "mtd_write", "flashcp", "nandwrite", "sysupgrade", "fw_update", "ubiupdatevol", "dd", "swupdate":
		return true
	}
	return false
}
