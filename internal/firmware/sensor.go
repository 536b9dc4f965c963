package firmware

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
)

// Sensor finds programs that can capture camera, microphone, screen or location.
var Sensor = &Detector{
	Name: "sensor",
	Doc: "Finds programs that can capture camera, microphone, screen or location, and among them those that can also send: by the capture functions " +
		"that they import, the devices that they open, and the commands that scripts call; and the permissions of Android applications.",
	Kinds:    []doorward.Kind{doorward.KindSensor},
	Requires: []string{"executable"},
	Patterns: append(androidPatterns(), devicePatterns...),
	Scope:    detect.ProductAll,
	Run:      runSensor,
}

// devicePatterns are the devices from which data is captured.
var devicePatterns = []string{"/dev/video", "/dev/dsp", "/dev/audio", "/dev/snd/pcm", "/dev/fb0", "/dev/graphics/fb0"}

// capture is one thing that a program can capture.
type capture struct {
	what, device, shown string
	note                string
	certainty           doorward.Certainty
	offset              int64
}

func runSensor(_ context.Context, p *product.Product, out *detect.Sink) error {
	for _, f := range p.Files {
		switch {
		case f.Deleted():
		case f.Type.Executable():
			out.Looked(doorward.KindSensor, 1, "program")
			for _, c := range capturesOf(f) {
				out.Door(programSensor(f, c))
			}
		case f.Type == "script" && !isDocumentation(f.Inner()):
			out.Looked(doorward.KindSensor, 1, "script")
			for _, d := range scriptSensors(f) {
				out.Door(d)
			}
		case f.Base() == "AndroidManifest.xml":
			for _, d := range androidSensors(f) {
				out.Door(d)
			}
		}
	}
	return nil
}

func programSensor(f *product.File, c capture) doorward.Door {
	sends, how := sendsData(f)
	d := sensorDoor(c.what, f.Base(), c.device, sends)
	d.Certainty = c.certainty
	d.Where = f.Where()
	ev := doorward.Evidence{What: c.shown, Note: c.note}
	if c.offset > 0 {
		ev.Offset = &c.offset
		d.Where = f.WhereAt(c.offset)
	}
	d.Evidence = []doorward.Evidence{ev}
	if sends {
		d.Evidence = append(d.Evidence, doorward.Evidence{What: how, Note: "by which the program can send"})
	}
	d.Check = fmt.Sprintf("readelf -W --dyn-syms %s and strings -t x %[1]s show the functions and devices; watch which of them is used, and when.", f.Path)
	return d
}

var capturedThings = map[string]string{"camera": "pictures of the camera", "microphone": "sound", "screen": "the screen", "location": "the place"}

// sensorDoor is a door without place and evidence.
func sensorDoor(what, program, device string, sends bool) doorward.Door {
	d := doorward.Door{
		Kind: doorward.KindSensor, Reach: doorward.Local, Stages: []doorward.Stage{doorward.Collect}, Certainty: doorward.Shown,
		References: map[string][]string{"camera": {"T1125"}, "microphone": {"T1123"}, "screen": {"T1113"}, "location": {"T1430"}}[what],
		Detail:     doorward.Detail{"what": what, "program": program, "sends": sends},
		Title:      fmt.Sprintf("%s can capture %s", program, capturedThings[what]),
	}
	if device != "" {
		d.Detail["device"] = device
	}
	if sends {
		d.Reach = doorward.Remote
		d.Stages = append(d.Stages, doorward.Transmit)
		d.Title += " and send"
	}
	d.Weight = doorward.Weigh(doorward.Capture, d.Reach, doorward.Open, false)
	return d
}

// command is a line of data/capture-commands.txt.
type captureCommand struct {
	what, program string
	args          *regexp.Regexp
}

var captureCommands = func() map[string][]captureCommand {
	list := map[string][]captureCommand{}
	for _, line := range table("capture-commands.txt") {
		f := strings.SplitN(line, " ", 3)
		c := captureCommand{what: f[0], program: f[1]}
		if len(f) == 3 {
			c.args = regexp.MustCompile(f[2])
		}
		list[c.program] = append(list[c.program], c)
	}
	return list
}()

var commandWord = regexp.MustCompile(`(?:^|[;|&({` + "`" + `]|\b(?:then|do|else|exec|nohup|if|while|-c)\s|=)\s*["']?([A-Za-z0-9_./-]+)(?:["']|[\s;|&<>]|$)`)

// listsOnly are arguments with which a recorder says what there is.
var listsOnly = regexp.MustCompile(`\s(?:-l|-L|--list\S*|-h|--help|--version)(?:[\s;|&)"']|$)`)

// scriptSensors finds capturing commands of a script whose program the product
// has: kits ship scripts for programs that are not there.
func scriptSensors(f *product.File) []doorward.Door {
	var doors []doorward.Door
	text := f.Text()
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || isComment(line) || len(line) > 4096 {
			continue
		}
		for _, m := range commandWord.FindAllStringSubmatch(line, 10) {
			name := m[1][strings.LastIndexByte(m[1], '/')+1:]
			for _, c := range captureCommands[name] {
				if c.args != nil && !c.args.MatchString(line) || !hasProgram(f.Volume, name) || listsOnly.MatchString(line) {
					continue
				}
				sends := contactingIn(line) != "" || strings.Contains(line, "://")
				d := sensorDoor(c.what, name, "", sends)
				d.Where = f.Where()
				d.Evidence = []doorward.Evidence{{What: cut(line, 200), Note: "a command that captures", Path: f.Path, Line: n}}
				d.Check = fmt.Sprintf("Read line %d of %s, and see what starts the script.", n, f.Path)
				doors = append(doors, d)
			}
		}
	}
	return doors
}

var programDirs = []string{"bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "opt/bin", "system/bin", "opt/app/bin", "app/bin"}

// hasProgram says that a volume has a program of this name in the usual
// folders.
func hasProgram(v *product.Volume, name string) bool {
	if v == nil {
		return false
	}
	for _, dir := range programDirs {
		if v.Exists(dir + "/" + name) {
			return true
		}
	}
	return false
}

var androidPermissions = map[string]string{
	"android.permission.CAMERA": "camera", "android.permission.RECORD_AUDIO": "microphone",
	"android.permission.ACCESS_FINE_LOCATION": "location", "android.permission.READ_FRAME_BUFFER": "screen", "android.permission.CAPTURE_VIDEO_OUTPUT": "screen",
}

const androidInternet = "android.permission.INTERNET"

// utf16 is ASCII text in UTF-16 little-endian, as compiled manifests have it.
func utf16(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.String()
}

func androidPatterns() []string {
	list := []string{androidInternet, utf16(androidInternet)}
	for _, name := range sortedKeys(androidPermissions) {
		list = append(list, name, utf16(name))
	}
	return list
}

func androidSensors(f *product.File) []doorward.Door {
	var doors []doorward.Door
	sends := f.Has(androidInternet) || f.Has(utf16(androidInternet))
	for _, name := range sortedKeys(androidPermissions) {
		hits := append(f.Hits(name), f.Hits(utf16(name))...)
		if len(hits) == 0 {
			continue
		}
		program := "the application"
		if where := f.Where(); len(where[0].Path) > 1 {
			outer := where[0].Path[len(where[0].Path)-2]
			program = outer[strings.LastIndexByte(outer, '/')+1:]
		}
		d := sensorDoor(androidPermissions[name], program, "", sends)
		d.Where = f.WhereAt(hits[0])
		d.Evidence = []doorward.Evidence{{What: name, Note: "a permission that the application asks for", Offset: &hits[0]}}
		d.Check = "aapt dump permissions shows what the application asks for."
		doors = append(doors, d)
	}
	return doors
}
