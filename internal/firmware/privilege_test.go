package firmware

import (
	"io/fs"
	"testing"

	"pgregory.net/rapid"
)

func TestPrivilege(t *testing.T) {
	const exe = 0o755
	tests := []struct {
		name  string
		files []file
		want  []string
	}{
		{"usual setuid", system(file{path: "usr/bin/passwd", text: "\x7fELF", mode: fs.ModeSetuid | exe}), []string{"privilege info what=setuid path=usr/bin/passwd"}},
		{"unknown setuid", system(file{path: "usr/bin/fixperm", text: "\x7fELFx", mode: fs.ModeSetuid | exe}), []string{"privilege low what=setuid path=usr/bin/fixperm"}},
		{"a usual name in an odd place", system(file{path: "var/tmp/su", text: "\x7fELFx", mode: fs.ModeSetuid | exe}), []string{"privilege low what=setuid path=var/tmp/su"}},
		{"a shell", system(file{path: "bin/bash", text: "\x7fELFbash", mode: exe}, file{path: "usr/lib/.x", text: "\x7fELFbash", mode: fs.ModeSetuid | exe}),
			[]string{"privilege medium what=setuid path=usr/lib/.x"}},
		{"setuid script", system(file{path: "usr/bin/x", text: "#!/bin/sh\n", mode: fs.ModeSetuid | exe}), nil},
		{"not executable", system(file{path: "usr/bin/x", text: "\x7fELFx", mode: fs.ModeSetuid | 0o644}), nil},
		{"sudo", system(file{path: "etc/passwd", text: "root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n"}, file{path: "etc/group", text: "adm:x:4:\nsudo:x:27:\n"},
			file{path: "etc/sudoers", text: "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n# web ALL=NOPASSWD: ALL\nCmnd_Alias NET = /sbin/ifup, \\\n /sbin/ifdown\n%adm ALL = (root) NOPASSWD: NET\n#includedir /etc/sudoers.d\n"},
			file{path: "etc/sudoers.d/web", text: "web ALL=(ALL) NOPASSWD:ALL\n"}, file{path: "etc/sudoers.d/old.bak", text: "web ALL=NOPASSWD:ALL\n"},
			file{path: "etc/sudoers.d/gone", text: "nosuch ALL=NOPASSWD:ALL\n"}),
			[]string{"privilege low what=sudo path=etc/sudoers", "privilege medium what=sudo path=etc/sudoers.d/web", "privilege low what=sudo path=etc/sudoers.d/gone"}},
		{"doas", system(file{path: "etc/doas.conf", text: "permit persist :wheel\npermit nopass keepenv ops as root\npermit nopass root\n"}), []string{"privilege medium what=sudo path=etc/doas.conf"}},
		{"polkit", system(
			file{path: "etc/polkit-1/rules.d/1.rules", text: "// return polkit.Result.YES\npolkit.addRule(function(action, subject) { return polkit.Result.YES; });"},
			file{path: "etc/polkit-1/rules.d/2.rules", text: "polkit.addRule(function(action, subject) { if (action.id == 'x') return polkit.Result.YES; });"}),
			[]string{"privilege medium what=sudo path=etc/polkit-1/rules.d/1.rules"}},
		{"preload", system(file{path: "etc/ld.so.preload", text: "# none\n/lib/libx.so\n"}), []string{"privilege medium what=preload path=etc/ld.so.preload"}},
		{"empty preload", system(file{path: "etc/ld.so.preload", text: "\n"}), nil},
		{"writable script", system(file{path: "etc/inittab", text: "::sysinit:/etc/init.d/rcS\n"}, file{path: "etc/init.d/rcS", text: "#!/bin/sh\n/usr/sbin/agent &\n", mode: 0o777},
			file{path: "usr/sbin/agent", text: "\x7fELFagent", mode: exe}), []string{"privilege medium what=startup path=etc/init.d/rcS"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantLines(t, lines(doorsOf(t, Privilege, test.files...), "what", "path"), test.want)
		})
	}
}

func TestCapabilities(t *testing.T) {
	// getcap of a file with cap_net_raw=ep, and one with cap_setuid, revision 3.
	for attr, want := range map[string]string{
		"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00":                 "cap_net_raw",
		"\x01\x00\x00\x03\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "cap_setuid",
		"\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00":                 "cap_bpf",
	} {
		names, ok := parseCapabilities(attr)
		if !ok || len(names) != 1 || names[0] != want {
			t.Errorf("%q: %v, want %s", attr, names, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) { parseCapabilities(rapid.String().Draw(t, "attr")) })
}
