package firmware

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
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
	quiet := file{path: "etc/init.d/x", text: "#!/bin/sh\n# arecord -d 5\necho arecord is not started\n"}
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
