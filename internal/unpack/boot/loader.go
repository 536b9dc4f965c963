package boot

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// BootLoader opens the raw machine code of boot loaders that say who they are.
// It has no header and no length: it starts as vectors or a jump do, holds the
// banner of a known loader, and ends where erased flash or a known image
// starts at a flash page. Device trees and default environments in it are parts.
var BootLoader = &unpack.Reader{
	Name:    "bootloader",
	Doc:     "raw boot loaders (U-Boot, SPL, TPL, barebox, RedBoot, CFE, TF-A, OpenSBI, Breed) by their banner: version, build, architecture; device trees, environments and packed stages are found in the code",
	Limits:  "the code itself is not taken apart; its end is known by what follows it only",
	Checked: "U-Boot for QEMU of Debian (8 boards), alone and in flash images",
	Block:   startsBoot,
	Open:    openBootLoader,
}

const (
	bootPage = 4096
	maxBoot  = 4 << 20
)

// startsBoot says that bytes start as boot code does: a branch over a header
// or into vectors.
func startsBoot(b []byte) bool {
	if len(b) < 32 {
		return false
	}
	le, be := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }, func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	for _, w := range []func(int) uint32{le, be} {
		switch first := w(0); {
		case first>>24 == 0xea && (w(1)>>24 == 0xe5 || w(1)>>24 == 0xea) && (w(5)>>24 == 0xe5 || w(5)>>24 == 0xea || w(5)>>24 == 0xe3): // arm
			return true
		case first>>26 == 5 && (w(1) == 0xd503201f || w(1) == 0): // aarch64
			return true
		case first>>26 == 5 && w(1)>>26 == 5 && w(2) != 0 && w(3)|w(5)|w(7) == 0: // aarch64, with the head that Rockchip's boot ROM wants
			return true
		case first>>16 == 0x1000 && first&0xffff != 0 && w(1) == 0, first>>26 == 2 && w(1) == 0 && first&0x3ffffff != 0: // mips: b, j
			return true
		case first == 0x27051956 && string(b[4:11]) == "U-Boot ": // powerpc
			return true
		}
	}
	return false
}

// bootBanner is what one of the loaders says of itself.
type bootBanner struct {
	loader string
	mark   string // constant text to search for
	text   *regexp.Regexp
	before int // how far before the mark the text starts, at most
}

var bootBanners = []bootBanner{
	{"U-Boot SPL", "U-Boot SPL ", regexp.MustCompile(`^U-Boot SPL (\d[!-~]{3,60}) \(([ -~]{4,60})\)`), 0},
	{"U-Boot TPL", "U-Boot TPL ", regexp.MustCompile(`^U-Boot TPL (\d[!-~]{3,60}) \(([ -~]{4,60})\)`), 0},
	{"U-Boot", "U-Boot ", regexp.MustCompile(`^U-Boot (\d[!-~]{3,60})(?: [ -~]{0,40})? \(([ -~]{4,60})\)`), 0},
	{"barebox", "barebox ", regexp.MustCompile(`^barebox (20\d\d\.\d\d\.[!-~]{1,60})(?: [ -~]{0,60})?`), 0},
	{"RedBoot", "RedBoot(tm) ", regexp.MustCompile(`^RedBoot\(tm\) bootstrap and debug environment[ -~]{0,80}`), 0},
	{"CFE", "CFE version ", regexp.MustCompile(`^CFE version (\d[!-~]{2,40})`), 0},
	{"TF-A", "(release):v", regexp.MustCompile(`^\(release\):(v\d\.\d[!-~]{0,60})`), 0},
	{"TF-A", "(release):", regexp.MustCompile(`^[^v]*(v\d\.\d[\w.-]{0,12})\(release\):`), 16},
	{"TF-A", "(debug):", regexp.MustCompile(`^[^v]*(v\d\.\d[\w.-]{0,12})\(debug\):`), 16},
	{"OpenSBI", "OpenSBI v", regexp.MustCompile(`^OpenSBI v([!-~]{1,40})`), 0},
	{"Breed", "Boot and Recovery Environment for Embedded Devices", regexp.MustCompile(`^Boot and Recovery Environment for Embedded Devices`), 0},
}

func openBootLoader(in *unpack.Input) (*unpack.Object, error) {
	head := unpack.ReadSome(in.Data, 0, 4096)
	if len(head) < 64 || !startsBoot(head) && !(in.Whole && in.Data.Size() <= maxBoot && unpack.ClassifyHead(head) == unpack.TypeData) || string(head[0x24:0x28]) == "\x18\x28\x6f\x01" {
		return nil, unpack.ErrNotThis
	}
	if firstBanner(head[:64]) == 0 || !in.Whole && !bannerNear(in) {
		return nil, unpack.ErrNotThis
	}
	b := unpack.ReadSome(in.Data, 0, maxBoot)
	if _, m := findBanner(b); m == nil {
		return nil, unpack.ErrNotThis
	}
	arch := bootArch(b)
	if arch == "" {
		return nil, unpack.ErrNotThis
	}
	b = b[:bootEnd(b, in.Whole && in.Data.Size() <= maxBoot)]
	banner, found := findBanner(b)
	if found == nil || bytes.Contains(b, []byte("Linux version ")) && bytes.Contains(b, []byte("Kernel panic - not syncing")) {
		return nil, unpack.ErrNotThis
	}
	o := &unpack.Object{Format: "boot loader " + banner.loader, Size: int64(len(b)), Info: map[string]string{"loader": banner.loader, "architecture": arch, "banner": string(found[0])}}
	if len(found) > 1 && !bytes.Contains(found[1], []byte("%")) {
		o.Info["version"] = string(found[1])
	}
	if len(found) > 2 {
		o.Info["built"] = string(found[2])
	}
	if v := redBootRelease.FindSubmatch(b); banner.loader == "RedBoot" && v != nil {
		o.Info["version"] = string(v[1])
	}
	// Cut at the first banner: neither piece is taken for a boot loader again.
	cut := firstBanner(b)
	for i, p := range [][2]int64{{0, cut}, {cut, o.Size - cut}} {
		if p[1] > 0 {
			o.Parts = append(o.Parts, unpack.Part{Name: []string{"code", "data"}[i], Format: unpack.CodePart, Data: unpack.Window(in.Data, p[0], p[1]), Offset: p[0]})
		}
	}
	return o, nil
}

var redBootRelease = regexp.MustCompile(`Red Hat certified release, version (\S{1,30})`)

// bannerNear says, with what the carver remembers, that a banner may follow.
func bannerNear(in *unpack.Input) bool {
	for _, l := range bootBanners {
		if at := in.Next(l.mark, 0); at >= 0 && at < maxBoot {
			return true
		}
	}
	return false
}

// bootArch is the architecture of the first piece that is mostly code.
func bootArch(b []byte) string {
	for at := 0; at < min(len(b), 256<<10); at += 32 << 10 {
		if arch := unpack.CodeArch(b[at:min(at+32<<10, len(b))]); arch != "" {
			return arch
		}
	}
	return ""
}

// findBanner finds who the code belongs to: the loaders' order decides, since
// an SPL may mention the one that it loads.
func findBanner(b []byte) (bootBanner, [][]byte) {
	for _, l := range bootBanners {
		if _, m := l.find(b); m != nil {
			// The SPL's banner also stands in images that hold both.
			if !strings.HasSuffix(l.loader, "PL") || !bytes.Contains(b, []byte("U-Boot 20")) {
				return l, m
			}
		}
	}
	return bootBanner{}, nil
}

// find is the first place where a loader names itself, and what it says.
func (l bootBanner) find(b []byte) (at int, m [][]byte) {
	for {
		i := bytes.Index(b[at:], []byte(l.mark))
		if i < 0 {
			return 0, nil
		}
		at += i
		if m := l.text.FindSubmatch(b[max(0, at-l.before):min(at+400, len(b))]); m != nil {
			return at, m
		}
		at += len(l.mark)
	}
}

// firstBanner is the place of the first banner of any loader.
func firstBanner(b []byte) int64 {
	first := len(b)
	for _, l := range bootBanners {
		if at, m := l.find(b); m != nil {
			first = min(first, at)
		}
	}
	return int64(first)
}

// otherStarts are images that follow a boot loader in flash.
var otherStarts = []string{"\x27\x05\x19\x56", "hsqs", "sqsh", "HDR0", "UBI#", "\x85\x19", "\x19\x85", "\xd0\x0d\xfe\xed", "\x5e\xa3\xa4\x17", "\x45\x3d\xcd\x28", "\x1f\x8b\x08", "\x88\x16\x88\x58", "ANDROID!"}

// bootEnd is where a boot loader ends: at a page that starts another image, or
// at padding behind which something starts at a page. A small file that holds
// no other image is a boot loader to its end.
func bootEnd(b []byte, whole bool) int {
	end := len(b)
	for at := bootPage; at < len(b); at += bootPage {
		page := b[at:min(at+bootPage, len(b))]
		if isStart(page) {
			end = at
			break
		}
		if whole || !unpack.IsPadding(page) || len(page) < bootPage {
			continue
		}
		next := at
		for next < len(b) && (b[next] == 0 || b[next] == 0xff) {
			next++
		}
		if next%bootPage == 0 || next == len(b) {
			end = at
			break
		}
	}
	most := end
	for !whole && end > 0 && (b[end-1] == 0 || b[end-1] == 0xff) {
		end--
	}
	return min(most, (end+4)&^3) // a device tree ends with the zero of its last text
}

func isStart(page []byte) bool {
	for _, s := range otherStarts {
		if strings.HasPrefix(string(page[:min(len(page), 16)]), s) {
			return true
		}
	}
	return false
}
