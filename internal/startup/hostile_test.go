package startup

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// hostile are scripts made to hang, to recurse or to grow.
var hostile = map[string]string{
	"fork bomb":       ":(){ :|:& };:\n",
	"calls itself":    "f() { f; f; f; }\nf\n",
	"sources itself":  ". /etc/init.d/rcS\n. /etc/init.d/rcS\n",
	"runs itself":     "$0 a$1\n$0 b$1\n",
	"doubles":         "x=aaaaaaaaaaaaaaaa\nwhile true; do x=$x$x; done\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do x=$x$x$x$x; done\necho $x > /tmp/$x\n",
	"loops in loops":  strings.Repeat("for a in 1 2 3 4 5 6 7 8 9; do ", 12) + "telnetd; " + strings.Repeat("done; ", 12) + "\n",
	"globs":           "for f in /*/*/*/*/*/*/*; do for g in /*/*/*/*; do $f $g; done; done\n",
	"deep brackets":   strings.Repeat("(", 100_000) + "\n",
	"deep ifs":        strings.Repeat("if a; then ", 5000) + "b\n" + strings.Repeat("fi; ", 5000) + "\n",
	"long and":        "true" + strings.Repeat(" && a", 20_000) + "\n",
	"long or":         "a" + strings.Repeat(" || $(b)", 20_000) + "\n",
	"substitutions":   strings.Repeat("$(", 3000) + "echo a" + strings.Repeat(")", 3000) + "\n",
	"eval of eval":    "x='eval $x'\neval $x\n",
	"writes itself":   "echo '. /tmp/a; sh /tmp/a; /tmp/a' > /tmp/a\n. /tmp/a\n",
	"links in a ring": "ln -s /tmp/a /tmp/b\nln -s /tmp/b /tmp/a\ncp -r /tmp /tmp/x\ncat /tmp/a/b\n/tmp/a/x\n",
	"arithmetic":      "i=0; while [ $i -lt 99999999 ]; do i=$((i+1)); done\necho $((1<<99)) $((1/0)) $((9223372036854775807/-1))\n",
	"patterns":        "x=" + strings.Repeat("a", 4000) + "\ncase $x in " + strings.Repeat("*a", 200) + "b) y;; esac\n${x##" + strings.Repeat("*a", 50) + "b}\n",
	"grep":            "echo " + strings.Repeat("a", 3000) + " | grep '\\(a*\\)*b'\n",
	"alternatives":    strings.Repeat("case $q in a) x=$x$y;; b) y=$y$x;; esac; $x $y\n", 300),
	"printf":          "printf '%s%s%s%s%s%s%s%s' " + strings.Repeat("a ", 2000) + "\nprintf '%99999999s' a\n",
	"unknown bytes":   "\x00\xff\xfe if \x80 then\n",
	"slices":          "x=abc; echo ${x:-1:-9} ${x:99:99} ${x: -5} ${#x} ${!x} ${x/a/$x$x} ${x[1]} ${x@Q}\n",
}

// TestHostile ends for every script, in bounded time.
func TestHostile(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			l := Of(made(t, busyboxRoot(text, nil)))
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %s", d)
			}
			if len(l.Events) > maxEvents {
				t.Errorf("%d events", len(l.Events))
			}
		})
	}
}

// TestPatterns checks the matcher against a plain one that tries everything.
func TestPatterns(t *testing.T) {
	var plain func(p, s string) bool
	plain = func(p, s string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return plain(p[1:], s) || s != "" && plain(p, s[1:])
		case s == "":
			return false
		}
		return (p[0] == '?' || p[0] == s[0]) && plain(p[1:], s[1:])
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[abc]{0,8}`).Draw(t, "text")
		if got, want := matchPattern(p, s), plain(p, s); got != want {
			t.Fatalf("%q on %q: %v, want %v", p, s, got, want)
		}
	})
	for _, c := range []struct {
		p, s string
		want bool
	}{{"S[0-9][0-9]*", "S20x", true}, {"S[!0-9]*", "S20x", false}, {"[[:digit:]]", "7", true}, {`\*`, "*", true}, {"[a", "[a", true}, {"[]x]", "]", true}} {
		if matchPattern(c.p, c.s) != c.want {
			t.Errorf("%q on %q", c.p, c.s)
		}
	}
}

// FuzzScript evaluates any text as a boot script.
func FuzzScript(f *testing.F) {
	for _, text := range hostile {
		if len(text) < 2000 {
			f.Add(text)
		}
	}
	f.Add("for s in /etc/rc.d/S*; do [ -x $s ] && $s start; done\n[ \"$(nvram get a)\" = 1 ] || exit 0\ncat <<E > /tmp/x\n$a\nE\nx=${a:-b} y=${x%%c*}; eval \"$x\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		Of(made(t, map[string]string{
			"etc/init.d/rcS": "#!/bin/sh\n" + text, "bin/busybox": elf, "sbin/init": "-> ../bin/busybox", "etc/inittab": "::sysinit:/etc/init.d/rcS\n" + text,
			"etc/xinetd.conf": text, "etc/inetd.conf": text, "etc/config/x": text, "init.rc": text, "lib/systemd/systemd": elf, "lib/systemd/system/default.target": text,
			"etc/crontabs/root": text, "etc/mdev.conf": text, "sbin/x": "\x7fELF\x00system\x00" + text + "\x00",
		}))
	})
}
