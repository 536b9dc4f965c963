package firmware

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
)

// elf is a small real program of the exam's, made from the source beside it.
func elf(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../testdata/products/bin", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSensorInScripts(t *testing.T) {
	program := file{path: "usr/bin/arecord", text: "x", mode: 0o755}
	script := file{path: "etc/init.d/x", text: "#!/bin/sh\narecord -d 5 /tmp/a.wav && curl -T /tmp/a.wav https://up.vendorco.com/\n"}
	got := lines(doorsOf(t, Sensor, program, script), "what", "program", "sends")
	if want := []string{"sensor high what=microphone program=arecord sends=true"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
	if got := doorsOf(t, Sensor, script); len(got) != 0 {
		t.Errorf("the program is absent, yet: %q", lines(got, "what"))
	}
	quiet := file{path: "etc/init.d/x", text: "#!/bin/sh\n# arecord -d 5\necho arecord is not started\ncase $1 in\narecord*) echo KEY ;;\nesac\narecord -l >> $LOG\n"}
	if got := doorsOf(t, Sensor, program, quiet); len(got) != 0 {
		t.Errorf("a comment and a word: %q", lines(got, "what"))
	}
}

func TestSensorInAndroid(t *testing.T) {
	f := file{path: "app/AndroidManifest.xml", text: "\x03\x00\x08\x00" + utf16("android.permission.RECORD_AUDIO") + "\x00\x00" + utf16(androidInternet)}
	got := lines(doorsOf(t, Sensor, f), "what", "sends")
	if want := []string{"sensor high what=microphone sends=true"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

// TestIoctlNumbers has instructions as assemblers write them: a literal, MIPS
// ori, AArch64 movz and movk, ARM movw.
func TestIoctlNumbers(t *testing.T) {
	for _, c := range []struct {
		arch string
		word uint32
		want bool
	}{
		{"arm", 0xc0445611, true},
		{"amd64", 0xc0585611, true},
		{"mips", 0x34a55611, true},    // ori a1,a1,0x5611
		{"mips", 0x3ca5c044, false},   // lui a1,0xc044
		{"arm64", 0x528ac221, true},   // mov w1,#0x5611
		{"arm64", 0x728ac221, true},   // movk w1,#0x5611
		{"arm", 0xe3051611, true},     // movw r1,#0x5611
		{"arm", 0xe3051612, false},    // movw r1,#0x5612
		{"amd64", 0x00005611, false},  // some number
		{"arm64", 0x12345611, false},  // another
		{"mipsle", 0x8c425611, false}, // lw
	} {
		if got := loadsLow(c.arch, c.word, vidiocDQBUF); got != c.want {
			t.Errorf("%s %08x: %v", c.arch, c.word, got)
		}
	}
}

func TestCaptureFunctions(t *testing.T) {
	for name, want := range map[string]string{
		"snd_pcm_readi": "microphone", "snd_pcm_writei": "", "HI_MPI_VENC_GetStream": "camera", "HI_MPI_VI_EnableChn": "camera",
		"IMP_Encoder_GetStream": "camera", "IMP_FrameSource_EnableChn": "camera", "IMP_AI_GetFrame": "microphone", "HI_MPI_AI_GetFrame": "microphone",
		"HI_MPI_AO_SendFrame": "", "RK_MPI_VI_GetChnFrame": "camera", "MI_AI_GetFrame": "microphone", "XGetImage": "screen", "main": "", "video_get_frame": "",
		"ak_venc_get_stream": "camera", "CVI_VENC_GetStream": "camera", "gps_read": "location", "av_read_frame": "", "curl_easy_perform": "", "BIO_read": "",
	} {
		if got := importedCapture(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestSensorByLibrary builds a library that opens the camera and programs that
// take pictures from it, or only its version.
func TestSensorByLibrary(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"cam.c":   `int open(const char*,int); int ioctl(int,unsigned long,...); int read(int,void*,int); int vendor_get_frame(void*p){int f=open("/dev/video0",0); ioctl(f,0xc0585611,p); return read(f,p,9);} int vendor_version(void){return 3;}`,
		"libc.c":  `int open(const char*p,int f){return f;} int ioctl(int f,unsigned long n,...){return f;} int read(int f,void*p,int n){return n;} int connect(int f,void*p,int n){return n;}`,
		"ipcam.c": `int vendor_get_frame(void*); int connect(int,void*,int); void _start(void){char b[9]; vendor_get_frame(b); connect(1,b,9); for(;;);}`,
		"about.c": `int vendor_version(void); int connect(int,void*,int); void _start(void){connect(vendor_version(),0,0); for(;;);}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := func(args ...string) {
		testtool.Run(t, dir, "gcc", append([]string{"-nostdlib", "-fno-stack-protector", "-fno-builtin", "-w", "-O1"}, args...)...)
	}
	build("-shared", "-fPIC", "-Wl,-soname,libc.so.0", "-o", "libc.so.0", "libc.c")
	build("-shared", "-fPIC", "-Wl,-soname,libvcam.so.1", "-o", "libvcam.so.1", "cam.c", "libc.so.0")
	build("-o", "ipcam", "ipcam.c", "libvcam.so.1", "libc.so.0")
	build("-o", "about", "about.c", "libvcam.so.1", "libc.so.0")
	var files []file
	for _, name := range []string{"libc.so.0", "libvcam.so.1", "ipcam", "about"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{path: "usr/lib/" + name, text: string(b), mode: 0o755})
	}
	got := lines(doorsOf(t, Sensor, files...), "what", "program", "sends", "device")
	if want := []string{"sensor high what=camera program=ipcam sends=true device=/dev/video0"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}
