package report

import (
	"fmt"
	"strings"
	"unicode"
)

// plain makes text of an artifact harmless for a terminal: control characters
// (which could move the cursor or hide text) and the marks that reverse the
// direction of writing are shown as escapes.
func plain(s string) string {
	if !strings.ContainsFunc(s, isUnsafe) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\t':
			b.WriteString("    ")
		case !isUnsafe(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

func isUnsafe(c rune) bool {
	return unicode.IsControl(c) || c == unicode.ReplacementChar || unicode.Is(unicode.Cf, c) || c == '\u2028' || c == '\u2029'
}

// columns is how many columns a text takes on a terminal.
func columns(s string) int {
	n := 0
	for _, c := range s {
		n += runeColumns(c)
	}
	return n
}

func runeColumns(c rune) int {
	switch {
	case unicode.Is(unicode.Mn, c) || unicode.Is(unicode.Me, c):
		return 0
	case c >= 0x1100 && (c <= 0x115f || c >= 0x2e80 && c <= 0xa4cf || c >= 0xac00 && c <= 0xd7a3 ||
		c >= 0xf900 && c <= 0xfaff || c >= 0xfe30 && c <= 0xfe6f || c >= 0xff00 && c <= 0xff60 ||
		c >= 0xffe0 && c <= 0xffe6 || c >= 0x1f300 && c <= 0x1faff || c >= 0x20000 && c <= 0x3fffd):
		return 2
	}
	return 1
}

// cut shortens a text to so many columns, with an ellipsis.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	n := 0
	for i, c := range s {
		n += runeColumns(c)
		if n > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// cutMiddle shortens a path, whose end tells most.
func cutMiddle(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	r := []rune(s)
	head := width / 3
	n, tail := 0, len(r)
	for tail > 0 && n+runeColumns(r[tail-1]) <= width-1-head {
		tail--
		n += runeColumns(r[tail])
	}
	return cut(s, head+1) + string(r[tail:])
}

// wrap breaks a text into lines of at most so many columns, at spaces where
// there are any.
func wrap(s string, width int) []string {
	var lines []string
	for _, par := range strings.Split(s, "\n") {
		lines = append(lines, wrapLine(par, max(width, 8))...)
	}
	return lines
}

func wrapLine(s string, width int) []string {
	var lines []string
	for columns(s) > width {
		n, last, end := 0, -1, 0
		for i, c := range s {
			if n += runeColumns(c); n > width {
				end = i
				break
			}
			if c == ' ' && i > 0 {
				last = i
			}
		}
		if s[end] == ' ' {
			last = end
		}
		if last > 0 {
			lines = append(lines, strings.TrimRight(s[:last], " "))
			s = strings.TrimLeft(s[last:], " ")
			continue
		}
		lines, s = append(lines, s[:end]), s[end:]
	}
	return append(lines, s)
}

// size says a number of bytes as people do.
func size(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	switch {
	case n == 1:
		return "1 byte"
	case i == 0:
		return fmt.Sprintf("%d bytes", n)
	case f < 10:
		return fmt.Sprintf("%.1f %s", f, units[i])
	}
	return fmt.Sprintf("%.0f %s", f, units[i])
}

// count says a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
