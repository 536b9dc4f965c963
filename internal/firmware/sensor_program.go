package firmware

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/product"
)

// captureNames are the functions of data/capture.txt: name -> what.
var captureNames, capturePrefixes = func() (names, prefixes map[string]string) {
	names, prefixes = map[string]string{}, map[string]string{}
	for _, line := range table("capture.txt") {
		what, name, _ := strings.Cut(line, " ")
		if p, ok := strings.CutSuffix(name, "*"); ok {
			prefixes[p] = what
		} else {
			names[name] = what
		}
	}
	return
}()

// Media kits of camera chips share the shape of their names: a group, the unit
// (VI video in, VENC encoder, AI audio in), and a verb that takes data out.
var (
	kitCamera     = regexp.MustCompile(`^(?i)[a-z]{2,5}_(mpi_|mpp_)?(vi|venc|vif|framesource|encoder|isp|video|cam|camera|vcap|sensor)_?(dev_|chn_)?(get_?(chn_?)?(frame|stream|pic|data|packet|buf)|enable_?(chn|dev)|start_?recv_?(pic|frame)|polling_?stream|capture)[a-z0-9_]*$`)
	kitMicrophone = regexp.MustCompile(`^(?i)[a-z]{2,5}_(mpi_|mpp_)?(ai|ain|adc|audioin|acap|aud_in)_?(get_?(chn_?)?(frame|stream|data|pcm)|read|enable(chn)?|polling_?frame|capture)[a-z0-9_]*$`)
)

// importedCapture says what a function's name captures, "" if nothing.
func importedCapture(name string) string {
	if strings.HasPrefix(name, "grub_") {
		return "" // a boot loader's own: it captures what it draws itself
	}
	if what := captureNames[name]; what != "" {
		return what
	}
	for p, what := range capturePrefixes {
		if strings.HasPrefix(name, p) {
			return what
		}
	}
	if i := strings.IndexByte(name, '_'); i < 2 || i > 5 {
		return "" // has no group, as most names
	}
	switch {
	case kitCamera.MatchString(name):
		return "camera"
	case kitMicrophone.MatchString(name):
		return "microphone"
	}
	return ""
}

// capturesOf says what a program can capture, one of each sort, the strongest
// sign first. Libraries that only hand capture functions on are no programs.
func capturesOf(f *product.File) []capture {
	info := f.Program()
	if info == nil || info.Kind == executable.KernelModule || info.SoName != "" && !pluginFolder.MatchString(f.Path) {
		return nil
	}
	found := map[string]bool{}
	var list []capture
	add := func(c capture) {
		if !found[c.what] {
			found[c.what] = true
			list = append(list, c)
		}
	}
	for _, name := range info.Imported {
		if what := importedCapture(name); what != "" && !info.Exports(name) {
			add(capture{what: what, shown: name, note: "an imported function that takes the data in", certainty: doorward.Shown})
		}
	}
	for _, c := range deviceCaptures(f, info) {
		add(c)
	}
	for _, c := range libraryCaptures(f, info) {
		add(c)
	}
	return list
}

// pluginFolder holds libraries that nothing is linked to: each acts for itself.
var pluginFolder = regexp.MustCompile(`/(?:plugins?|modules|gstreamer-[\d.]+)/`)

// Low halves of the ioctl numbers that tell capture from display, the same on
// all architectures (linux/videodev2.h, linux/soundcard.h, linux/fb.h).
const (
	vidiocDQBUF   = 0x5611 // hand over a filled buffer
	vidiocReqbufs = 0x5608
	vidiocStream  = 0x5612 // start the stream
	dspGetOSpace  = 0x500c // asked by players only
	fbioPut       = 0x4601 // asked by programs that draw
	fbioPan       = 0x4606
)

// deviceCaptures finds capture by the devices that a program opens.
func deviceCaptures(f *product.File, info *executable.Info) []capture {
	var list []capture
	device := func(pattern, what string, certainty doorward.Certainty, note string) {
		off := f.Hits(pattern)[0]
		name := deviceName(f.Bytes(), off)
		list = append(list, capture{what: what, device: name, shown: name, note: note, certainty: certainty, offset: off})
	}
	ioctl, read := info.Uses("ioctl"), info.Uses("read") || info.Uses("fread")
	if f.Has("/dev/video") && (ioctl || info.Static) {
		switch {
		case hasConstant(f.Bytes(), info, vidiocDQBUF) || hasConstant(f.Bytes(), info, vidiocReqbufs):
			device("/dev/video", "camera", doorward.Shown, "the program opens the camera and asks it for buffers (VIDIOC_REQBUFS, VIDIOC_DQBUF)")
		case read:
			device("/dev/video", "camera", doorward.Likely, "the program names the camera and has ioctl and read; that it captures is assumed")
		}
	}
	if !f.Has("/dev/video") && info.Uses("ioctl") && info.Uses("mmap", "mmap64", "read") && hasConstant(f.Bytes(), info, vidiocDQBUF) && hasConstant(f.Bytes(), info, vidiocStream) {
		list = append(list, capture{what: "camera", shown: "VIDIOC_DQBUF, VIDIOC_STREAMON", certainty: doorward.Likely,
			note: "numbers of ioctl calls by which pictures are taken from a video device; that the program makes them is assumed"})
	}
	for _, p := range []string{"/dev/dsp", "/dev/audio", "/dev/snd/pcm"} {
		if !f.Has(p) || !read || hasConstant(f.Bytes(), info, dspGetOSpace) {
			continue
		}
		name := deviceName(f.Bytes(), f.Hits(p)[0])
		if p == "/dev/snd/pcm" && !strings.HasSuffix(name, "c") {
			continue // p is playback, c is capture
		}
		device(p, "microphone", doorward.Likely, "the program opens the sound device and reads; that it records is assumed")
	}
	for _, p := range []string{"/dev/fb0", "/dev/graphics/fb0"} {
		sends, _ := sendsData(f)
		if f.Has(p) && sends && (read || info.Uses("mmap")) && !hasConstant(f.Bytes(), info, fbioPan) && !hasConstant(f.Bytes(), info, fbioPut) {
			c := capture{what: "screen", certainty: doorward.Hint, offset: f.Hits(p)[0]}
			c.device = deviceName(f.Bytes(), c.offset)
			c.shown, c.note = c.device, "the program opens the frame buffer, does not set its mode, and can send: it may read what is shown"
			list = append(list, c)
		}
	}
	return list
}

// deviceName is the string at an offset.
func deviceName(b []byte, off int64) string {
	end := off
	for end < int64(len(b)) && end-off < 64 && b[end] > 0x20 && b[end] < 0x7f {
		end++
	}
	return string(b[off:end])
}

// hasConstant says that a program's code has a 16-bit constant where its
// architecture keeps them: in literals, or in the instructions that load the
// low half of a number.
func hasConstant(b []byte, info *executable.Info, low uint16) bool {
	order := binary.ByteOrder(binary.LittleEndian)
	if info.BigEndian {
		order = binary.BigEndian
	}
	if info.Arch == "amd64" || info.Arch == "386" {
		return hasLiteral(b, low)
	}
	for i := 0; i+4 <= len(b); i += 4 {
		if w := order.Uint32(b[i:]); loadsLow(info.Arch, w, low) {
			return true
		}
	}
	return false
}

// hasLiteral looks for the number at any place, as the code of x86 holds it.
func hasLiteral(b []byte, low uint16) bool {
	want := binary.LittleEndian.AppendUint16(nil, low)
	for {
		i := bytes.Index(b, want)
		if i < 0 || i+4 > len(b) {
			return false
		}
		if isIoctl(binary.LittleEndian.Uint32(b[i:])) {
			return true
		}
		b = b[i+1:]
	}
}

// isIoctl says that a word has the shape of _IOR, _IOW or _IOWR of some size.
func isIoctl(w uint32) bool {
	return (w>>24 == 0xc0 || w>>24 == 0x80 || w>>24 == 0x40) && w>>16&0xff < 0xf0
}

// loadsLow says that a word is a number of ioctl's with this low half, or an
// instruction that loads it.
func loadsLow(arch string, w uint32, low uint16) bool {
	if uint16(w) == low && isIoctl(w) {
		return true
	}
	imm := uint32(low)
	switch arch {
	case "mips", "mipsle", "mips64", "mips64le":
		return w&0xffff == imm && (w>>26 == 0x0d || w>>26 == 0x09) // ori, addiu
	case "arm64":
		return w>>5&0xffff == imm && (w>>23&0xff == 0xa5 || w>>23&0xff == 0xe5) // movz, movk
	case "arm":
		return w&0x0ff00000 == 0x03000000 && w>>4&0xf000|w&0xfff == imm // movw
	case "ppc", "ppc64", "ppc64le":
		return w&0xffff == imm && w>>26 == 24 // ori
	}
	return false
}

// senders are functions by which a program sends.
var senders = []string{"connect", "sendto", "sendmsg", "send", "curl_easy_perform", "curl_multi_perform", "SSL_write", "mbedtls_ssl_write", "wolfSSL_write", "gnutls_record_send", "mosquitto_publish", "accept", "accept4", "WSASend", "HttpSendRequestA", "HttpSendRequestW", "WinHttpSendRequest", "InternetOpenUrlA", "avio_open2", "avformat_write_header"}

// sendsData says that a program can send what it has, and how that shows.
func sendsData(f *product.File) (bool, string) {
	info := f.Program()
	if info == nil {
		return false, ""
	}
	var names []string
	for _, name := range senders {
		if info.Uses(name) {
			names = append(names, name)
		}
	}
	// "send" alone may send to itself; a socket needs an end elsewhere.
	if len(names) == 0 {
		return false, ""
	}
	return true, fmt.Sprintf("it uses %s", strings.Join(names, ", "))
}
