package firmware

import (
	"slices"
	"testing"
)

// TestBootFirmwareFacts: what readers tell of a board becomes a door.
func TestBootFirmwareFacts(t *testing.T) {
	for text, want := range map[string]string{
		"# AMD soft fuses\nfuses 0x1\nsecure debug unlocked\n":          "debug medium what=jtag",
		"# AMD soft fuses\nfuses 0x8000\n":                              "",
		"# Google binary block\nflags 0x8\ndeveloper mode is forced\n":  "privilege low what=secure-boot",
		"# Google binary block\nflags 0x20\nroll-back is not checked\n": "",
	} {
		got := lines(doorsOf(t, BootFirmware, file{path: "facts.txt", text: text}), "what")
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %v", text, got)
		}
	}
}
