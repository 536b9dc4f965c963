package vendor

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"
)

// samples are images of every maker, written from the published layouts. None
// of the readers' code is used.
func samples(t testing.TB) []sample {
	t.Helper()
	return slices.Concat(routers(), cameras(), chips(), mkimages(t))
}

var (
	kernel = noise(1, 5003)
	rootfs = append([]byte("hsqs"), noise(2, 7001)...)
	loader = noise(3, 3000)
)

func crcRaw(b []byte) uint32 { return crc32.ChecksumIEEE(b) ^ 0xffffffff }

func set32(b []byte, at int, big bool, v uint32) {
	for i := range 4 {
		shift := 8 * i
		if big {
			shift = 24 - shift
		}
		b[at+i] = byte(v >> shift)
	}
}

func routers() []sample {
	return []sample{
		tplink1(), tplink2(), safeloader(), seama(), chk(), dni(), zynos(), zytrx(), realtekSample("cr6c"), realtekSample("w6cp"), realtekSample("csys"),
		bcmtag(), cybertan(), chdr(), asus(), ubnt("END."), ubnt("ENDS"), npk(), buffalo(), xiaomi(1), xiaomi(2), hwnp(), whwh(), senao(false), senao(true),
		shrs(), encrpted(), deafbead(), qnap(), openwrt(),
	}
}

func tplink1() sample {
	salt := []byte{0xdc, 0xd7, 0x3a, 0xa5, 0xc3, 0x95, 0x98, 0xfb, 0xdd, 0xf9, 0xe7, 0xf4, 0x0e, 0xae, 0x47, 0x38}
	k := append(bytes.Clone(kernel), filled(0xff, 0x2000-512-len(kernel))...)
	total := 0x2000 + len(rootfs)
	b := put(be, uint32(1<<24), text("TP-LINK Technologies", 24), text("ver. 1.0", 36), uint32(0x08410002), uint32(1), uint32(0), salt, uint32(0), 16, uint32(0),
		uint32(0x80060000), uint32(0x80060001), uint32(total), uint32(512), uint32(len(kernel)), uint32(0x2000), uint32(len(rootfs)), uint32(0), uint32(0), 6, 130, text("00000000;45550000;", 32))
	b = append(b, make([]byte, 512-len(b))...)
	b = slices.Concat(b, k, rootfs)
	m := md5.Sum(b)
	copy(b[76:], m[:])
	return sample{name: "tplink 1", reader: TPLink, image: b, parts: map[string][]byte{"kernel": kernel, "rootfs": rootfs},
		info: map[string]string{"vendor": "TP-LINK Technologies", "version": "ver. 1.0", "hardware id": "0x08410002", "region": "00000000;45550000;", "load address": "0x80060000"}}
}

func tplink2() sample {
	salt := []byte{0x8c, 0xef, 0x33, 0x5f, 0xd5, 0xc5, 0xce, 0xfa, 0xac, 0x9c, 0x28, 0xda, 0xb2, 0xe9, 0x0f, 0x42}
	at := 512 + len(kernel)
	b := put(be, []byte{3, 0, 0, 0}, text("ver. 2.0", 48), uint32(0xc2000001), uint32(5), uint32(0), salt, uint32(0), filled(0xff, 16), uint32(0xffffffff),
		uint32(0x80002000), uint32(0x80002000), uint32(at+len(loader)), uint32(512), uint32(len(kernel)), uint32(0), uint32(0), uint32(at), uint32(len(loader)),
		uint16(0x55aa), byte(1), byte(0), byte(0xa5), byte(0), byte(9), byte(1))
	b = append(b, filled(0xff, 512-len(b))...)
	b = slices.Concat(b, kernel, loader)
	m := md5.Sum(b)
	copy(b[0x40:], m[:])
	return sample{name: "tplink 2", reader: TPLink2, image: b, whole: true, parts: map[string][]byte{"kernel": kernel, "bootloader": loader}, info: map[string]string{"version": "ver. 2.0"}}
}

func safeloader() sample {
	soft := put(be, uint32(16), uint32(0), byte(0xff), byte(1), byte(2), byte(3), byte(0x20), byte(0x24), byte(0x05), byte(0x31), uint32(0x1234), uint32(0))
	list := "SupportList:\r\nCPE210(TP-LINK|EU|N300-2):1.0\r\nCPE220(TP-LINK|EU|N300-2):1.1\r\n"
	support := put(be, uint32(len(list)), uint32(0), list, byte(0xff))
	var table string
	var body []byte
	for _, p := range []struct {
		name string
		data []byte
	}{{"soft-version", soft}, {"support-list", support}, {"os-image", kernel}, {"file-system", rootfs}} {
		table += fmt.Sprintf("fwup-ptn %s base 0x%05x size 0x%05x\t\r\n", p.name, 0x800+len(body), len(p.data))
		body = append(body, p.data...)
	}
	vendor := "CPE510(TP-LINK|UN|N300-5):1.0\r\n"
	tail := slices.Concat(put(be, uint32(len(vendor)), vendor), filled(0xff, 0x1000-4-len(vendor)), text(table+"\x00", 0x800), body)
	m := md5.New()
	m.Write([]byte{0x7a, 0x2b, 0x15, 0xed, 0x9b, 0x98, 0x59, 0x6d, 0xe5, 0x04, 0xab, 0x44, 0xac, 0x2a, 0x9f, 0x4e})
	m.Write(tail)
	b := slices.Concat(put(be, uint32(20+len(tail))), m.Sum(nil), tail)
	return sample{name: "safeloader", reader: SafeLoader, image: b, parts: map[string][]byte{"soft-version": soft[8:], "support-list": []byte(list), "os-image": kernel, "file-system": rootfs},
		info: map[string]string{"version": "1.2.3", "date": "2024-05-31", "model": "CPE210(TP-LINK|EU|N300-2):1.0", "vendor": "CPE510(TP-LINK|UN|N300-5):1.0"}}
}

func seama() sample {
	seal := "signature=wrgac25_dlink.2013gui_dir850l\x00"
	b := put(be, uint32(0x5ea3a417), uint16(0), uint16(len(seal)), uint32(0), seal)
	for i, data := range [][]byte{kernel, rootfs} {
		meta := fmt.Sprintf("dev=/dev/mtdblock/%d\x00type=firmware\x00", i)
		m := md5.Sum(data)
		b = append(b, put(be, uint32(0x5ea3a417), uint16(0), uint16(len(meta)), uint32(len(data)), m[:], meta, data)...)
	}
	return sample{name: "seama", reader: Seama, image: b, parts: map[string][]byte{"0": kernel, "1": rootfs}, info: map[string]string{"signature": "wrgac25_dlink.2013gui_dir850l"}}
}

func netgearSums(b []byte) uint32 {
	var x, y uint64
	for _, c := range b {
		x = (x + uint64(c)) & 0xffffffff
		y = (y + x) & 0xffffffff
	}
	f := func(v uint64) uint64 { v = v&0xffff + v>>16; return (v + v>>16) & 0xffff }
	return uint32(f(y)<<16 | f(x))
}

func chk() sample {
	board := "U12H270T00_NETGEAR"
	b := put(be, uint32(0x2a23245e), uint32(40+len(board)), []byte{1, 1, 0, 0, 58, 1, 0, 38}, netgearSums(kernel), netgearSums(rootfs), uint32(len(kernel)), uint32(len(rootfs)),
		netgearSums(slices.Concat(kernel, rootfs)), uint32(0), board)
	set32(b, 36, true, netgearSums(b))
	return sample{name: "netgear chk", reader: NetgearCHK, image: slices.Concat(b, kernel, rootfs), parts: map[string][]byte{"kernel": kernel, "rootfs": rootfs},
		info: map[string]string{"board": board, "version": "1.0.0.58_1.0.38", "region": "worldwide"}}
}

func dni() sample {
	b := slices.Concat(text("device:WNDR4300\nversion:V1.0.2.98\nregion:WW\nhd_id:29763948\n", 128), kernel)
	s := byte(0)
	for _, c := range b {
		s += c
	}
	return sample{name: "netgear dni", reader: NetgearDNI, image: append(b, 0xff-s), whole: true, unchecked: true, parts: map[string][]byte{"payload": kernel},
		info: map[string]string{"device": "WNDR4300", "version": "V1.0.2.98", "region": "WW", "hd_id": "29763948"}}
}

func zynos() sample {
	sum := 0
	for i := 0; i < len(kernel); i += 2 {
		sum += int(kernel[i]) << 8
		if i+1 < len(kernel) {
			sum += int(kernel[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	b := put(be, uint32(0x80008000), uint16(0), "SIG", byte(4), uint32(9999), uint32(len(kernel)), byte(0xa0), byte(0), uint16(0), uint16(sum), text("V3.40(AGD.3)", 15), uint32(0), uint32(0), byte(0))
	return sample{name: "zynos", reader: ZyNOS, image: append(b, kernel...), parts: map[string][]byte{"data": kernel}, info: map[string]string{"version": "V3.40(AGD.3)", "load address": "0x80008000"}, unchecked: true}
}

func zytrx() sample {
	b := put(be, "0RDH", uint32(380), uint32(380+len(kernel)), crcRaw(kernel), text("5.0.0.0\n", 32), text("\n", 32), uint32(len(kernel)), 12, text("3 6035 122 0\n", 164), text("MT7621A", 8),
		text("NR7101", 16), uint32(0x07010001), 8, text("1.00(ABUV.0)D0", 32), text("1.00(ABUV.0)D0", 32), 4, uint32(0x12345678), 4, uint32(0), 4)
	set32(b, 372, true, crcRaw(b))
	return sample{name: "zytrx", reader: ZyTRX, image: append(b, kernel...), parts: map[string][]byte{"payload": kernel}, info: map[string]string{"chip": "MT7621A", "model": "NR7101", "version": "1.00(ABUV.0)D0"}}
}

func realtekSample(magic string) sample {
	data := kernel[:len(kernel)&^1]
	part, reader := map[string]string{"cr6c": "firmware", "w6cp": "web", "csys": "kernel"}[magic], Realtek
	var tail []byte
	if magic == "w6cp" {
		s := byte(0)
		for _, c := range data {
			s += c
		}
		tail = []byte{-s}
	} else {
		s := uint16(0)
		for i := 0; i < len(data); i += 2 {
			s += uint16(data[i])<<8 + uint16(data[i+1])
		}
		tail = put(be, -s)
	}
	if magic == "csys" {
		reader = RealtekOld
	}
	b := put(be, magic, uint32(0x80500000), uint32(0x30000), uint32(len(data)+len(tail)), data, tail)
	return sample{name: "realtek " + magic, reader: reader, image: b, parts: map[string][]byte{part: data}, info: map[string]string{"flash address": "0x00030000"}, unchecked: true}
}

func bcmtag() sample {
	body := slices.Concat(loader, rootfs, kernel)
	dec := func(v, n int) []byte { return text(fmt.Sprint(v), n) }
	flash := 0xbfc10100 - 1<<32 + 1<<32
	b := slices.Concat(text("6", 4), text("Broadcom Corporatio", 20), text("ver. 2.0", 14), text("6358", 6), text("96358VW", 16), text("1", 2), dec(len(body), 10), dec(0xbfc00000, 12), dec(len(loader), 10),
		dec(flash, 12), dec(len(rootfs), 10), dec(flash+len(rootfs), 12), dec(len(kernel), 10), text("0", 2), text("0", 2), make([]byte, 20), text("A131-306CTU", 30), text("5", 4),
		make([]byte, 4), make([]byte, 16), put(be, crcRaw(body), crcRaw(rootfs), crcRaw(kernel)), make([]byte, 8))
	b = append(b, put(be, crcRaw(b), 16)...)
	return sample{name: "bcm tag", reader: BCMTag, image: append(b, body...), parts: map[string][]byte{"cfe": loader, "rootfs": rootfs, "kernel": kernel},
		info: map[string]string{"chip": "6358", "board": "96358VW", "version": "ver. 2.0", "information": "A131-306CTU"}}
}

func trxImage() []byte {
	b := put(le, "HDR0", uint32(28+len(kernel)), uint32(0), uint16(0), uint16(1), uint32(28), uint32(0), uint32(0), kernel)
	set32(b, 8, false, crcRaw(b[12:]))
	return b
}

func cybertan() sample {
	b := slices.Concat([]byte("W54G"), make([]byte, 4), []byte{7, 3, 31, 4, 30, 5}, []byte("U2ND"), make([]byte, 14), trxImage())
	return sample{name: "cybertan", reader: CyberTAN, image: b, parts: map[string][]byte{"trx": trxImage()}, info: map[string]string{"model": "W54G", "version": "4.30.5", "date": "2007-03-31"}}
}

func chdr() sample {
	b := put(le, "CHDR", uint32(16+len(kernel)), uint32(0), uint32(1), kernel)
	set32(b, 8, false, crcRaw(b[12:]))
	return sample{name: "chdr", reader: CyberTAN2, image: b, parts: map[string][]byte{"payload": kernel}}
}

func asus() sample {
	x := func(b []byte) (s uint16) {
		for i := 0; i < len(b); i += 2 {
			s ^= uint16(b[i])<<8 | uint16(b[i+1])
		}
		return ^s
	}
	content := put(be, uint32(51234), uint16(388), uint16(0), uint32(0))
	foot := put(be, []byte{0x10, 0, 0, 12}, uint16(0), x(content), uint32(0x2afed414))
	foot = put(be, foot[:4], x(foot), foot[6:])
	return sample{name: "asus tail", reader: AsusTail, image: append(content, foot...), info: map[string]string{"build": "388_51234"}}
}

func ubnt(end string) sample {
	version := "XM.ar7240.v5.6.15.30572.170328.1052"
	b := append([]byte("UBNT"), text(version, 256)...)
	b = append(b, put(be, crc32.ChecksumIEEE(b), uint32(0))...)
	for i, p := range [][]byte{kernel, rootfs} {
		part := put(be, "PART", text([]string{"kernel", "rootfs"}[i], 16), 12, uint32(0x80002000), uint32(i+1), uint32(0x9f050000), uint32(0x80002000), uint32(len(p)), uint32(0x100000), p)
		b = append(b, put(be, part, crc32.ChecksumIEEE(part), uint32(0))...)
	}
	if end == "END." {
		b = append(b, put(be, end, crc32.ChecksumIEEE(b), uint32(0))...)
	} else {
		b = append(b, put(be, end, noise(9, 256), uint32(0))...)
	}
	return sample{name: "ubnt " + end, reader: Ubiquiti, image: b, parts: map[string][]byte{"kernel": kernel, "rootfs": rootfs}, info: map[string]string{"version": version}}
}

func npk() sample {
	record := func(mode uint16, name string, data []byte) []byte {
		return put(le, mode, 6, uint32(1), uint32(2), uint32(1600000000), uint32(0), uint32(len(data)), uint16(len(name)), name, data)
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(slices.Concat(record(0o40755, "boot", nil), record(0o100755, "boot/kernel", kernel), record(0o100644, "empty", nil)))
	w.Close()
	var body []byte
	add := func(kind uint16, data []byte) { body = append(body, put(le, kind, uint32(len(data)), data)...) }
	add(1, put(le, text("routeros-mipsbe", 16), []byte{15, 'f', 46, 6}, uint32(1600000000), 4))
	add(16, []byte("mipsbe"))
	add(4, z.Bytes())
	add(22, make([]byte, 777))
	add(21, rootfs)
	add(9, noise(8, 68))
	return sample{name: "npk", reader: NPK, image: put(le, []byte{0x1e, 0xf1, 0xd0, 0xba}, uint32(len(body)), body), parts: map[string][]byte{"squashfs": rootfs}, files: map[string][]byte{"boot/kernel": kernel},
		info: map[string]string{"name": "routeros-mipsbe", "version": "6.46.15", "architecture": "mipsbe"}, unchecked: true}
}

func buffalo() sample {
	crypt := func(seed byte, b []byte) []byte {
		c, err := rc4.NewCipher(append([]byte{seed}, "Buffalo"...))
		if err != nil {
			panic(err)
		}
		out := make([]byte, len(b))
		c.XORKeyStream(out, b)
		return out
	}
	product := crypt(0x4f, []byte("WZR-HP-G300NH\x00"))
	version := crypt(product[0], []byte("1.99\x00"))
	crc := uint32(len(kernel))
	for _, v := range kernel {
		x := uint32(v)
		if v >= 0x80 {
			x |= 0xffffff00
		}
		crc ^= x
		for range 8 {
			if crc&1 == 1 {
				crc = crc>>1 ^ 0xedb88320
			} else {
				crc >>= 1
			}
		}
	}
	b := put(be, "start\x00", byte(0x4f), uint32(len(product)), product, uint32(len(version)), version, uint32(len(kernel)), crypt(version[0], kernel), crc)
	return sample{name: "buffalo", reader: Buffalo, image: b, whole: true, parts: map[string][]byte{"firmware": kernel}, info: map[string]string{"product": "WZR-HP-G300NH", "version": "1.99"}}
}

func xiaomi(version int) sample {
	head, list := 48, 16
	b := put(le, "HDR1", 12+32)
	if version == 2 {
		head, list = 80, 48
		b = put(le, "HDR2", 12, text("RA70", 8), text("EU", 8), 16+32)
	} else {
		b[14] = 0x16
	}
	info := map[string]string{"device id": "0x0016"}
	if version == 2 {
		info = map[string]string{"model": "RA70", "region": "EU"}
	}
	body := func(name string, kind uint16, data []byte) []byte {
		return put(le, uint32(0xbabe), uint32(0x160000), uint32(len(data)), kind, uint16(0), text(name, 32), data, (4-len(data)%4)%4)
	}
	for i, p := range [][]byte{body("uboot.bin", 1, loader), body("firmware.bin", 4, kernel)} {
		set32(b, list+4*i, false, uint32(len(b)))
		b = append(b, p...)
	}
	set32(b, 4, false, uint32(len(b)))
	b = append(b, put(le, uint32(0x100), 12, noise(8, 0x100))...)
	set32(b, 8, false, crcRaw(b[12:]))
	_ = head
	return sample{name: fmt.Sprint("xiaomi ", version), reader: Xiaomi, image: b, parts: map[string][]byte{"uboot.bin": loader, "firmware.bin": kernel}, info: info}
}

func hwnp() sample {
	products := text("120|130|140;", 256)
	items := []struct {
		path, kind string
		data       []byte
	}{{"flash:uboot", "UBOOT", loader}, {"flash:kernel", "KERNEL", kernel}, {"file:/var/UpgradeCheck.xml", "UPGRDCHECK", []byte("<xml/>")}}
	off := 36 + len(products) + 360*len(items)
	var table, data []byte
	for i, it := range items {
		table = append(table, put(le, uint32(i), crc32.ChecksumIEEE(it.data), uint32(off+len(data)), uint32(len(it.data)), text(it.path, 256), text(it.kind, 16), text("V3R017", 64), uint32(0), uint32(0))...)
		data = append(data, it.data...)
	}
	b := put(le, "HWNP", 8, uint32(off), uint32(0), uint32(len(items)), byte(1), byte(1), uint16(len(products)), uint32(360), uint32(0), products, table)
	set32(b, 16, false, crc32.ChecksumIEEE(b[20:]))
	b = append(b, data...)
	set32(b, 4, true, uint32(len(b)-76))
	set32(b, 8, false, crc32.ChecksumIEEE(b[12:]))
	return sample{name: "hwnp", reader: HWNP, image: b, parts: map[string][]byte{"UBOOT:uboot": loader, "KERNEL:kernel": kernel, "UPGRDCHECK:var_UpgradeCheck.xml": []byte("<xml/>")}, info: map[string]string{"products": "120|130|140"}}
}

func whwh() sample {
	b := put(le, "whwh", text("V300R017C10", 64), uint32(1600000000), uint32(1), uint32(len(kernel)), crc32.ChecksumIEEE(kernel), kernel)
	return sample{name: "whwh", reader: WHWH, image: b, parts: map[string][]byte{"payload": kernel}, info: map[string]string{"version": "V300R017C10"}}
}

func senao(combo bool) sample {
	kind, name := uint32(2), "kernel"
	var extra []byte
	info := map[string]string{"version": "v1.2.3", "vendor id": "0x00000101"}
	if combo {
		kind, name = 0, "combo"
		extra = put(be, "all\x00", uint32(0), uint32(3), uint32(0), uint32(1), uint32(171101), uint32(1), uint32(8), uint32(53), uint32(9), "ENS620EXT")
		info["model"], info["date"] = "ENS620EXT", "171101"
	}
	m := md5.Sum(kernel)
	b := put(be, uint32(0), uint32(0x101), uint32(0x57), text("v1.2.3", 16), kind, uint32(len(kernel)), uint32(0), m[:], 32, uint32(0), uint32(0x12345678))
	s := uint32(0)
	for _, c := range slices.Concat(b, extra) {
		s += uint32(c)
	}
	set32(b, 0x58, true, s)
	data := bytes.Clone(kernel)
	for i := range data {
		data[i] ^= byte(uint32(0x12345678) >> (i % 8))
	}
	return sample{name: "senao " + name, reader: Senao, image: slices.Concat(b, extra, data), whole: true, parts: map[string][]byte{name: kernel}, info: info}
}

func shrs() sample {
	data := noise(5, 4096)
	d := sha512.Sum512(data)
	b := put(be, "SHRS", uint32(len(data)), uint32(len(data)), 16, 64, 64, d[:], 512, noise(6, 1024), data)
	return sample{name: "shrs", reader: SHRS, image: b, gap: "encrypted"}
}

func encrpted() sample {
	return sample{name: "encrpted_img", reader: EncrptedImg, image: put(be, "encrpted_img", uint32(4096), noise(5, 4096)), whole: true, gap: "encrypted"}
}

func deafbead() sample {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(kernel)
	w.Close()
	b := put(le, []byte{0xde, 0xaf, 0xbe, 0xad}, byte(0x86), uint16(3), "www", byte(0x87), uint16(14), `www\index.html`, uint32(z.Len()), z.Bytes(), byte(0x87), uint16(5), "a.gif", uint32(z.Len()), z.Bytes())
	return sample{name: "deafbead", reader: DeafBead, image: b, files: map[string][]byte{"www/index.html": z.Bytes(), "a.gif": z.Bytes()}, unchecked: true}
}

// qnap encrypts by the cipher as its author publishes it: words of the key
// enter one by one, and each is mixed with the plain text so far.
func qnap() sample {
	plain := append([]byte{0x1f, 0x8b, 8}, noise(12, 3000)...)
	key := []byte("QNAPNASVERSION5")
	inter := func(i int, st *uint32, x *uint32) (uint32, uint32) { return 0, 0 }
	_ = inter
	signed := func(c byte) int {
		if c >= 0x80 {
			return int(c) - 0x101
		}
		return int(c)
	}
	var acc byte
	var y, z uint32
	out := make([]byte, len(plain))
	for n, c := range plain {
		state, res := uint32(0), uint32(0)
		for i := range len(key) / 2 {
			k := uint32(signed(key[2*i]^acc)<<8 + int(key[2*i+1]^acc))
			x := state ^ k
			state = (0x4e35*x + 1) & 0xffff
			was := y
			y = 0x15a * x & 0xffff
			z = (y + was + 0x4e35*(z+uint32(i))) & 0xffff
			res ^= state ^ z
		}
		out[n] = c ^ byte(res>>8) ^ byte(res)
		acc ^= c
	}
	tail := noise(13, 2000)
	b := put(le, out, tail, "icpnas", uint32(len(out)), text("QNAPNAS TS-X51", 16), text("5.1.0", 16), text("20230724", 16), text("2444", 16))
	return sample{name: "qnap", reader: QNAP, image: b, whole: true, unchecked: true, parts: map[string][]byte{"firmware": append(plain, tail...)}, info: map[string]string{"version": "5.1.0", "model": "QNAPNAS TS-X51"}}
}

func openwrt() sample {
	meta := `{ "metadata_version": "1.1", "supported_devices": ["tplink,archer-c7-v2"], "version": { "dist": "OpenWrt", "version": "23.05.2", "revision": "r23630", "target": "ath79/generic", "board": "tplink_archer-c7-v2" } }`
	b := put(be, trxImage(), 8, meta)
	b = append(b, put(be, "FWx0", crcRaw(b), byte(1), 3, uint32(8+len(meta)+16))...)
	b = append(b, "untrusted comment: signature\nRWQ...\n"...)
	b = append(b, put(be, "FWx0", crcRaw(b), byte(0), 3, uint32(36+16))...)
	return sample{name: "openwrt", reader: OpenWrt, image: b, whole: true, parts: map[string][]byte{"image": trxImage(), "metadata": []byte(meta), "signature": []byte("untrusted comment: signature\nRWQ...\n")},
		info: map[string]string{"devices": "tplink,archer-c7-v2", "version": "OpenWrt 23.05.2 r23630", "target": "ath79/generic"}}
}

func cameras() []sample {
	sum := func(b []byte) (s uint32) {
		for _, c := range b {
			s += uint32(c)
		}
		return s
	}
	xor := func(b []byte) []byte {
		key, _ := hex.DecodeString("bacdbcfed6caddd3bab9a3abbfcbb5be")
		for i := range b {
			b[i] ^= key[(i+i/16)%16]
		}
		return b
	}
	h := put(le, "SWKH", uint32(0), uint32(64+88), uint32(2), uint32(1), uint32(2), uint32(1), 36)
	h = append(h, put(le, text("uImage", 32), uint32(152), uint32(len(kernel)), sum(kernel), text("app.tar", 32), uint32(152+len(kernel)), uint32(len(rootfs)), sum(rootfs))...)
	set32(h, 4, false, sum(h[12:]))
	hk := put(le, "02KH", uint32(0), uint32(108), uint32(0), 92)
	set32(hk, 4, false, sum(hk[12:]))
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, _ := w.Create("romfs-x.squashfs.img")
	f.Write(kernel)
	w.Close()
	dahua := bytes.Clone(archive.Bytes())
	copy(dahua, "DH")
	instar := bytes.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(archive.Bytes(), []byte("PK\x03\x04"), []byte("PK\x03\x07")), []byte("PK\x05\x06"), []byte("PK\x05\x09")), []byte("PK\x01\x02"), []byte("PK\x01\x08"))
	return []sample{
		{name: "digicap", reader: Digicap, image: slices.Concat(xor(h), kernel, rootfs), parts: map[string][]byte{"uImage": kernel, "app.tar": rootfs}, info: map[string]string{"language": "English or multilingual"}, unchecked: true},
		{name: "digicap hk20", reader: Digicap, image: slices.Concat(xor(hk), noise(5, 900)), whole: true, gap: "encrypted"},
		{name: "dahua", reader: Dahua, image: dahua, whole: true, parts: map[string][]byte{"zip": archive.Bytes()}, unchecked: true},
		{name: "instar", reader: Instar, image: instar, whole: true, parts: map[string][]byte{"zip": archive.Bytes()}, unchecked: true},
		{name: "bneg", reader: BNEG, image: put(le, "BNEG", uint32(1), uint32(1), uint32(len(kernel)), uint32(len(rootfs)), kernel, rootfs), parts: map[string][]byte{"partition1": kernel, "partition2": rootfs}, unchecked: true},
	}
}
