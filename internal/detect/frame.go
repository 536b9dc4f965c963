package detect

import "strings"

// firstFrame is the place of a panic, of its stack trace: the first line of
// this module after the runtime's.
func firstFrame(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	past := false
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") {
			past = true
			continue
		}
		if past && strings.Contains(line, "doorward/doorward/") && i+1 < len(lines) {
			name := line[strings.LastIndex(line, "/")+1:]
			if cut := strings.IndexByte(name, '('); cut > 0 {
				name = name[:cut]
			}
			return name
		}
	}
	return "unknown place"
}
