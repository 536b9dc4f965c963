package firmware

import (
	"strings"
	"testing"
)

func TestMadeAccounts(t *testing.T) {
	passwd := file{path: "etc/passwd", text: "root:x:0:0:root:/root:/bin/sh\nops:x:0:0::/:/bin/sh\n"}
	script := func(text string) []file {
		return system(passwd, file{path: "usr/sbin/setup.sh", text: "#!/bin/sh\n" + text + "\n", mode: 0o755})
	}
	tests := []struct {
		name  string
		files []file
		want  []string
	}{
		{"chpasswd", script(`echo "root:q7Xz-nine" | chpasswd`), []string{"account critical user=root uid=0 credential=fixed password=q7Xz-nine made_by=setup.sh"}},
		{"chpasswd of a hash", script(`echo 'root:` + md5Known + `' | chpasswd -e`), []string{"account critical user=root uid=0 credential=default password=admin123 made_by=setup.sh"}},
		{"a variable that is known", script("U=ops\nP=admin\nprintf '%s:%s\\n' \"$U\" $P | busybox chpasswd"), []string{"account critical user=ops uid=0 credential=default password=admin made_by=setup.sh"}},
		{"a user that is not known", script(`echo "$1:$2" | chpasswd`), nil},
		{"a password that is not known", script(`echo "root:$(cat /proc/serial)" | chpasswd`), []string{"account medium user=root uid=0 credential=per-unit made_by=setup.sh"}},
		{"passwd on standard input", script(`echo -e "hello9\nhello9" | passwd ops`), []string{"account critical user=ops uid=0 credential=fixed password=hello9 made_by=setup.sh"}},
		{"two echoes", script(`(echo hello9; echo hello9) | passwd root >/dev/null 2>&1`), []string{"account critical user=root uid=0 credential=fixed password=hello9 made_by=setup.sh"}},
		{"passwd -d", script(`passwd -d ops`), []string{"account critical user=ops uid=0 credential=empty made_by=setup.sh"}},
		{"locked", script("passwd -l root\nadduser -D -H -s /bin/false svc\nuseradd -r -M daemon2"), nil},
		{"useradd -p", script(`useradd -o -u 0 -p '` + md5Secret + `' -s /bin/sh field`), []string{"account critical user=field uid=0 credential=fixed made_by=setup.sh"}},
		{"a line for passwd", script(`echo "dev::0:0:dev:/:/bin/sh" >> /etc/passwd`), []string{"account critical user=dev uid=0 credential=empty made_by=setup.sh"}},
		{"a here-document", script("cat > /tmp/etc/shadow <<EOF\nroot:" + md5Secret + ":1:0:99999:7:::\nbin:*:1:0:99999:7:::\nEOF"), []string{"account critical user=root uid=0 credential=fixed made_by=setup.sh"}},
		{"sed in shadow", script(`sed -i 's|^root:[^:]*|root:` + md5Known + `|' /etc/shadow`), []string{"account critical user=root uid=0 credential=default password=admin123 made_by=setup.sh"}},
		{"samba", script(`(echo share77; echo share77) | smbpasswd -s -a nas`), []string{"account high user=nas credential=fixed password=share77 made_by=setup.sh"}},
		{"only in a comment", script(`# echo "root:q7Xz-nine" | chpasswd`), nil},
		{"only said", script(`echo "to set it: echo root:pw | chpasswd"`), nil},
		{"in a program", system(passwd, file{path: "usr/bin/mgmtd", text: "\x7fELF\x01\x01\x01\x00\x00echo \"ops:Backd00r9\" | chpasswd\x00usage: chpasswd [user]\x00"}),
			[]string{"account critical user=ops uid=0 credential=fixed password=Backd00r9 made_by=mgmtd"}},
		{"passwd lines in a program", system(file{path: "bin/rc", text: "\x7fELF\x01\x01\x01\x00\x00%s:x:%d:%d\x00nobody:x:99:99:nobody:/:/sbin/nologin\nroot:" + md5Secret + ":0:0:root:/:/bin/sh\n\x00"}),
			[]string{"account critical user=root uid=0 credential=fixed made_by=rc"}},
		{"a template in a program", system(file{path: "bin/rc", text: "\x7fELF\x01\x01\x01\x00\x00super:%s:0:0:super:/:/bin/sh\n\x00"}),
			[]string{"account medium user=super uid=0 credential=per-unit made_by=rc"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantLines(t, lines(doorsOf(t, Account, test.files...), "user", "uid", "credential", "password", "made_by"), test.want)
		})
	}
}

// installer is what a real NAS image has: a second root user without a password
// in passwd, a script of a package that writes shadow at run time, and another
// that answers its question.
func installer(user, question, script, answers string) []file {
	return []file{
		{path: "bin/sh", text: "\x7fELF"}, {path: "lib/"}, {path: "usr/sbin/sshd", text: "\x7fELF sshd"},
		{path: "etc/passwd", text: "root:*:0:0:root:/:/bin/sh\n" + user + ":x:0:0:" + user + ":/:/bin/menu\n"},
		{path: script, mode: 0o755, text: "#!/bin/sh\nset -e\nTOP=" + question + "\ndb_get $TOP/password\nONE=\"$RET\"\n" +
			"while [ -z \"$PASSWORD\" ]; do\n\tdb_input critical $TOP/password || true\n\tdb_get $TOP/password\n\tTWO=\"$RET\"\n\tif [ -z \"$TWO\" ]; then\n\t\tcontinue\n\tfi\n" +
			"\tPASSWORD=$TWO\n\tdb_set $TOP/password \"\"\ndone\necho \"" + user + ":$(gen-crypt $PASSWORD):1:0:99999:7:::\" >> /etc/shadow\n/usr/sbin/sshd\n"},
		{path: answers, mode: 0o755, text: "#!/bin/sh\nadd() { echo \"$2 $3 $4\" >> $1; }\nadd \"$FILE\" \"" + question + "/password\" \"password\" \"install\"\n"},
	}
}

func TestInstallerAccount(t *testing.T) {
	for _, fs := range [][]file{
		installer("installer", "network-console", "var/lib/dpkg/info/network-console.postinst", "usr/bin/oldsys-preseed"),
		installer("helper", "remote", "etc/init.d/S50remote", "sbin/answers.sh"),
	} {
		doors := doorsOf(t, Account, fs...)
		user, _, _ := strings.Cut(strings.Split(fs[3].text, "\n")[1], ":")
		wantLines(t, lines(doors, "user", "uid", "credential", "password"), []string{"account critical user=" + user + " uid=0 credential=default password=install"})
		if len(doors) != 1 {
			continue
		}
		var places []string
		for _, w := range doors[0].Where {
			places = append(places, w.Inner())
		}
		for _, want := range []string{"etc/passwd", fs[4].path, fs[5].path} {
			if !contains(places, want) {
				t.Errorf("%s is no place of the door: %v", want, places)
			}
		}
		if len(doors[0].Evidence) != 3 {
			t.Errorf("evidence: %+v", doors[0].Evidence)
		}
	}
}
