package vendor

import (
	"bytes"
	"crypto/md5"
	"crypto/rc4"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func chips() []sample {
	return []sample{rkaf(), rkfw(), rkboot(true), rkboot(false), rkcrc("KRNL"), rkcrc("PARM"), imagewty(1), imagewty(3), amlogic(1), amlogic(2)}
}

// rkSum is Rockchip's CRC, bit by bit.
func rkSum(b []byte) (c uint32) {
	for _, v := range b {
		for i := 7; i >= 0; i-- {
			top := c>>31 ^ uint32(v>>i&1)
			c <<= 1
			if top == 1 {
				c ^= 0x04c10db7
			}
		}
	}
	return c
}

func rkaf() sample {
	param := append([]byte("PARM"), put(le, uint32(9), "MTDPARTS=", rkSum([]byte("MTDPARTS=")))...)
	b := put(le, "RKAF", uint32(0), text("rk3399", 0x22), text("007", 0x1e), text("rockchip", 0x38), uint32(0), uint32(0x08010000), uint32(4))
	off := 0x800
	var data []byte
	for _, p := range []struct {
		name, file string
		data       []byte
	}{{"package-file", "package-file", []byte("# NAME PATH\n")}, {"parameter", "parameter.txt", param}, {"boot", "Image/boot.img", kernel}, {"backup", "RESERVED", nil}} {
		pad := make([]byte, (2048-len(p.data)%2048)%2048)
		b = append(b, put(le, text(p.name, 32), text(p.file, 60), uint32(0), uint32(off+len(data)), uint32(0x2000), uint32(len(p.data)+len(pad)), uint32(len(p.data)))...)
		data = slices.Concat(data, p.data, pad)
	}
	b = append(b, make([]byte, 0x800-len(b))...)
	b = append(b, data...)
	set32(b, 4, false, uint32(len(b)))
	b = append(b, put(le, rkSum(b))...)
	return sample{name: "rkaf", reader: RKAF, image: b, parts: map[string][]byte{"package-file": []byte("# NAME PATH\n"), "parameter": param, "boot": kernel}, info: map[string]string{"model": "rk3399", "maker": "rockchip"}}
}

func rkfw() sample {
	img := rkaf().image
	b := put(le, "RKFW", uint16(0x66), uint32(0x08010003), uint32(0x01060000), uint16(2021), byte(5), byte(6), byte(7), byte(8), byte(9), []byte("A033"), uint32(0x66), uint32(len(loader)), uint32(0x66+len(loader)), uint32(len(img)))
	b = append(b, make([]byte, 0x66-len(b))...)
	b = slices.Concat(b, loader, img)
	m := md5.Sum(b)
	b = append(b, hex.EncodeToString(m[:])...)
	return sample{name: "rkfw", reader: RKFW, image: b, parts: map[string][]byte{"loader": loader, "image": img}, info: map[string]string{"chip": "330A", "version": "8.1.3", "created": "2021-05-06 07:08:09"}}
}

func rkboot(packed bool) sample {
	crypt := func(b []byte) []byte {
		b = bytes.Clone(b)
		for i := 0; packed && i < len(b); i += 512 {
			c, _ := rc4.NewCipher([]byte{124, 78, 3, 4, 85, 5, 9, 7, 45, 44, 123, 56, 23, 13, 23, 17})
			piece := b[i:min(i+512, len(b))]
			c.XORKeyStream(piece, piece)
		}
		return b
	}
	b := put(le, "LDR ", uint16(0x66), uint32(0x0126), uint32(0x01030000), uint16(2023), byte(2), byte(3), byte(4), byte(5), byte(6), []byte("A033"))
	at := 0x66
	for range 3 {
		b = append(b, put(le, byte(1), uint32(at), byte(57))...)
		at += 57
	}
	flag := byte(1)
	if packed {
		flag = 0
	}
	b = append(b, put(le, byte(0), flag)...)
	b = append(b, make([]byte, 0x66-len(b))...)
	datas := [][]byte{kernel[:2048], kernel[2048:4096], loader[:2560]}
	for i, d := range datas {
		var name []byte
		for _, u := range utf16.Encode([]rune([]string{"ddr", "usbplug", "FlashBoot"}[i])) {
			name = append(name, byte(u), byte(u>>8))
		}
		b = append(b, put(le, byte(57), uint32(1<<i), text(string(name), 40), uint32(at), uint32(len(d)), uint32(0))...)
		at += len(d)
	}
	for _, d := range datas {
		b = append(b, crypt(d)...)
	}
	b = append(b, put(le, rkSum(b))...)
	name := "rkboot plain"
	if packed {
		name = "rkboot"
	}
	return sample{name: name, reader: RKBoot, image: b, parts: map[string][]byte{"471:ddr": datas[0], "472:usbplug": datas[1], "loader:FlashBoot": datas[2]}, info: map[string]string{"version": "1.26", "chip": "330A"}}
}

func rkcrc(magic string) sample {
	part := map[string]string{"KRNL": "kernel", "PARM": "parameter"}[magic]
	return sample{name: "rkcrc " + magic, reader: RKCRC, image: put(le, magic, uint32(len(kernel)), kernel, rkSum(kernel)), parts: map[string][]byte{part: kernel}}
}

func imagewty(version int) sample {
	sum := uint32(0)
	k := kernel[:len(kernel)&^3]
	for i := 0; i < len(k); i += 4 {
		sum += le.Uint32(k[i:])
	}
	files := []struct {
		name string
		data []byte
	}{{"sys_config.fex", []byte("[product]\n")}, {"boot.fex", k}, {"Vboot.fex", put(le, sum)}}
	b := put(le, "IMAGEWTY", uint32(version*0x100), uint32(0x50), uint32(0x04d00000), uint32(0x100234), uint32(0), uint32(1024))
	if version == 3 {
		b = append(b, put(le, 4)...)
	}
	b = append(b, put(le, uint32(0x1234), uint32(0x8743), uint32(0x100), uint32(0x200), uint32(1), uint32(1024), uint32(len(files)), uint32(1024))...)
	b = append(b, make([]byte, 1024-len(b))...)
	off := 1024 * (len(files) + 1)
	var data []byte
	for _, f := range files {
		h := put(le, uint32(256), uint32(1024), text("COMMON", 8), text("SYS_CONFIG100000", 16), uint32(0))
		pad := make([]byte, (512-len(f.data)%512)%512)
		stored := uint32(len(f.data) + len(pad))
		if version == 3 {
			h = append(h, put(le, text(f.name, 256), stored, uint32(0), uint32(len(f.data)), uint32(0), uint32(off+len(data)))...)
		} else {
			h = append(h, put(le, stored, uint32(len(f.data)), uint32(off+len(data)), uint32(0), text(f.name, 256))...)
		}
		b = append(b, text(string(h), 1024)...)
		data = slices.Concat(data, f.data, pad)
	}
	b = append(b, data...)
	set32(b, 24, false, uint32(len(b)))
	return sample{name: "imagewty", reader: ImageWTY, image: b, parts: map[string][]byte{"sys_config.fex": files[0].data, "boot.fex": k}, unchecked: true, info: map[string]string{"hardware id": "0x00000100", "firmware id": "0x00000200"}}
}

func amlogic(version int) sample {
	n, size := 256, 576
	if version == 1 {
		n, size = 32, 128
	}
	b := put(le, uint32(0), uint32(version), uint32(0x27b51956), uint64(0), uint32(4), uint32(3), 36)
	at := 64 + 3*size
	for i, d := range [][]byte{kernel, rootfs, rootfs} {
		b = append(b, put(le, uint32(i), uint32(0), uint64(0), uint64(at), uint64(len(d)), text([]string{"PARTITION", "dtb", "PARTITION"}[i], n), text([]string{"boot", "meson1", "copy"}[i], n), uint32(0), uint16(0), uint16(0), 24)...)
		if i == 0 {
			at += len(d)
		}
	}
	b = slices.Concat(b, kernel, rootfs)
	le.PutUint64(b[12:], uint64(len(b)))
	set32(b, 0, false, crcRaw(b[4:]))
	return sample{name: "amlogic", reader: Amlogic, image: b, parts: map[string][]byte{"boot.PARTITION": kernel, "meson1.dtb": rootfs}}
}

// mkimages are made by U-Boot's mkimage, the official tool for what boot ROMs
// load.
func mkimages(t testing.TB) []sample {
	if made == nil {
		made = makeImages(t)
	}
	return made
}

var made []sample

func makeImages(t testing.TB) []sample {
	if _, err := exec.LookPath("mkimage"); err != nil {
		return nil
	}
	dir := t.TempDir()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pay := noise(30, 20000)
	write("pay", pay)
	write("kwb0.cfg", []byte("VERSION 0\nBOOT_FROM spi\n"))
	write("kwb1.cfg", []byte("VERSION 1\nBOOT_FROM sata\n"))
	write("imx.cfg", []byte("IMAGE_VERSION 2\nBOOT_FROM sd\nDATA 4 0x30340004 0x4F400005\n"))
	run := func(args string) []byte {
		testtool.Run(t, dir, "mkimage", append(strings.Fields(args), "-d", "pay", "out")...)
		b, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	grown := func(n int) []byte { return append(bytes.Clone(pay), make([]byte, n-len(pay))...) }
	spl := func(tag string, n int) []byte { b := grown(n); copy(b, tag); return b }
	list := []sample{
		{name: "mtk lk", reader: MediaTekLK, image: run("-T mtk_image -n lk=1;lkname=UBOOT -a 0x41e00000"), parts: map[string][]byte{"UBOOT": pay}, info: map[string]string{"name": "UBOOT"}, unchecked: true},
		{name: "stm32", reader: STM32, image: run("-T stm32image -a 0x2ffc2500 -e 0x2ffc2500"), parts: map[string][]byte{"bootloader": pay}, info: map[string]string{"load address": "0x2ffc2500"}, unchecked: true},
		{name: "kwb 0", reader: Kirkwood, image: run("-T kwbimage -n kwb0.cfg -a 0x600000 -e 0x600000")[:32+20004], whole: true, parts: map[string][]byte{"bootloader": pay}, info: map[string]string{"medium": "spi", "load address": "0x00600000"}, unchecked: true},
		{name: "zynq", reader: Zynq, image: run("-T zynqimage"), whole: true, parts: map[string][]byte{"bootloader": pay}, unchecked: true},
		{name: "zynqmp", reader: Zynq, image: run("-T zynqmpimage"), parts: map[string][]byte{"bootloader": pay}, unchecked: true},
		{name: "rkns", reader: RKNS, image: run("-T rksd -n rk3568"), parts: map[string][]byte{"image0": grown(20480)}},
	}
	for _, m := range []string{"emmc", "sdmmc", "nor", "snand", "nand"} {
		args := "-T mtk_image -a 0x201000 -e 0x201000 -n media=" + m
		if strings.HasSuffix(m, "nand") {
			args += ";nandinfo=2k+64"
		}
		list = append(list, sample{name: "mtk " + m, reader: MediaTekBoot, image: run(args), parts: map[string][]byte{"preloader": pay}, info: map[string]string{"signature": "SHA-256 verified", "load address": "0x00200d00"}})
	}
	imx := run("-T imximage -n imx.cfg -a 0x87800000 -e 0x87800000")
	list = append(list, sample{name: "imx", reader: IMX, image: imx, unchecked: true, parts: map[string][]byte{"configuration": []byte("# i.MX device configuration\nwrite 4 0x30340004 0x4f400005\n"), "bootloader": imx[0xc00:]}})
	egon := run("-T sunxi_egon")
	list = append(list, sample{name: "egon", reader: EGON, image: egon, unchecked: true, parts: map[string][]byte{"code": egon[32:]}, info: map[string]string{"loader": "U-Boot SPL, header version 1"}})
	for chip, tag := range map[string]string{"rk3188": "RK31", "rk3288": "RK32", "rk3399": "RK33"} {
		b := run("-T rksd -n " + chip)
		// The tool puts a tag before the loader, in place of its first word.
		want := spl(tag, len(b)-2048)
		if chip == "rk3188" {
			want = nil
		}
		s := sample{name: "rksd " + chip, reader: RKSD, image: b, parts: map[string][]byte{"loader": want}, unchecked: true}
		if want == nil {
			o := unpacktest.OpenBytes(t, RKSD, b)
			got, _ := unpack.ReadAll(o.Parts[0].Data, 1<<20)
			if !bytes.Contains(got, pay[8:20000]) {
				t.Errorf("%s: the loader is not decrypted", chip)
			}
			s.parts["loader"] = got
		}
		list = append(list, s)
	}
	return list
}
