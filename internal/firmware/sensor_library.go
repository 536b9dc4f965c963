package firmware

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/product"
)

// capturing are parts of names by which a library hands out what it captured.
var capturing = regexp.MustCompile(`(?i)(capture|record|get_?(?:\w{0,8}_?)?(?:frame|stream|pic|pcm)|grab|snap_?shot|start_?(?:video|audio|preview|stream|rec)|read_?(?:frame|pcm|audio|video))`)

// generalLibraries serve players as well as recorders: their functions stand in
// data/capture.txt instead.
var generalLibraries = regexp.MustCompile(`^lib(?:asound|tinyalsa|salsa|pulse\w*|v4l\w*|av\w+|SDL\w*|X\w*|xcb\w*|gst\w*|portaudio|openal|opencv_\w+|camera\w*|gps|usb\w*|uvc|jack|sndio|pipewire\w*|c|pthread|m|stdc\+\+|Qt\w*|drm|directfb\w*)[-.\d]*$`)

type libraryKey struct{ volume *product.Volume }

// libraryCaptures finds capture by a library of the product's own: the library
// opens the device, and the program takes from it functions whose names say so.
func libraryCaptures(f *product.File, info *executable.Info) []capture {
	if f.Volume == nil || len(info.Needed) == 0 {
		return nil
	}
	own := product.Fact(f.Product(), libraryKey{f.Volume}, func() map[string]*product.File { return capturingLibraries(f.Volume) })
	if len(own) == 0 {
		return nil
	}
	var list []capture
	for _, name := range info.Needed {
		lib := own[name]
		if lib == nil {
			continue
		}
		offers := lib.Program()
		for _, fn := range info.Imported {
			if !capturing.MatchString(fn) || !offers.Exports(fn) {
				continue
			}
			for _, c := range deviceCaptures(lib, offers) {
				note := fmt.Sprintf("taken from %s, which opens %s; that the program calls it is assumed", lib.Path, first(c.device, "the device"))
				list = append(list, capture{what: c.what, device: c.device, shown: fn, note: note, certainty: doorward.Likely})
			}
			break
		}
	}
	return list
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// capturingLibraries are the libraries of a volume that open capture devices, by
// the name that programs ask for.
func capturingLibraries(v *product.Volume) map[string]*product.File {
	list := map[string]*product.File{}
	for _, f := range v.List() {
		if !f.Type.Executable() || f.Deleted() || !hasDevice(f) {
			continue
		}
		info := f.Program()
		if info == nil || info.Kind != executable.Library {
			continue
		}
		name := first(info.SoName, path.Base(f.Path))
		stem, _, _ := strings.Cut(name, ".so")
		if !generalLibraries.MatchString(stem) && len(deviceCaptures(f, info)) > 0 {
			list[name] = f
		}
	}
	return list
}

func hasDevice(f *product.File) bool {
	for _, p := range devicePatterns {
		if f.Has(p) {
			return true
		}
	}
	return false
}
