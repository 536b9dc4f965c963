package firmware

import (
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

const (
	md5Known  = "$1$abcdefgh$Qlx6NNORPMsnE3/ehfisr1" // admin123
	md5Secret = "$1$abcdefgh$rIoP3QbGC2.1yAGBU.upq0" // a long one that is in no table
)

// system is what a root file system has beside the files of a test.
func system(files ...file) []file {
	return append([]file{
		{path: "bin/busybox", text: "\x7fELF"}, {path: "bin/sh", link: "busybox"}, {path: "lib/"},
		{path: "usr/sbin/telnetd", link: "../../bin/busybox"},
		{path: "etc/init.d/rcS", text: "#!/bin/sh\ntelnetd -l /bin/login\n", mode: 0o755},
	}, files...)
}

func wantLines(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

var accountKeys = []string{"user", "uid", "credential", "password", "hash_type"}

func TestPasswordFiles(t *testing.T) {
	tests := []struct {
		name  string
		files []file
		want  []string
	}{
		{"default password in shadow", system(
			file{path: "etc/passwd", text: "root:x:0:0:root:/root:/bin/sh\ndaemon:*:1:1::/:/bin/false\n"},
			file{path: "etc/shadow", text: "root:" + md5Known + ":10933:0:99999:7:::\ndaemon:*:10933:0:99999:7:::\n"}),
			[]string{"account critical user=root uid=0 credential=default password=admin123 hash_type=md5crypt"}},
		{"second root user, fixed hash in passwd", system(
			file{path: "etc/passwd", text: "root:!:0:0:root:/root:/bin/sh\nmaint:" + md5Secret + ":0:0::/:/bin/sh\n"}),
			[]string{"account critical user=maint uid=0 credential=fixed hash_type=md5crypt"}},
		{"empty password, a plain user", system(
			file{path: "etc/passwd", text: "root:x:0:0:root:/root:/bin/sh\nguest::500:500:guest:/tmp:/bin/sh\n"}),
			[]string{"account high user=guest uid=500 credential=empty"}},
		{"elsewhere", system(
			file{path: "usr/local/default/u.dat", text: "service:" + md5Known + ":0:0:svc:/:/bin/ash\n"}),
			[]string{"account critical user=service uid=0 credential=default password=admin123 hash_type=md5crypt"}},
		{"locked, placeholders, x without shadow", system(
			file{path: "etc/passwd", text: "root:*:0:0:root:/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/bash\nbin:!:1:1::/:/bin/sh\nsync:*:4:4::/:/bin/sync\n"},
			file{path: "etc/shadow", text: "root:!:10933:0:99999:7:::\nbin:!!:1::::::\nnobody:*LK*:::::::\n"}), nil},
		{"documentation and examples", system(
			file{path: "usr/share/doc/passwd", text: "root::0:0:root:/root:/bin/sh\n"},
			file{path: "etc/passwd.sample", text: "root::0:0:root:/root:/bin/sh\n"}), nil},
		{"no shell, no file server", system(
			file{path: "etc/passwd", text: "www:" + md5Secret + ":80:80::/www:/sbin/nologin\n"}),
			[]string{"account low user=www uid=80 credential=fixed hash_type=md5crypt"}},
		{"no shell, but a file server", system(
			file{path: "etc/passwd", text: "cam:" + md5Secret + ":80:80::/www:/sbin/nologin\n"},
			file{path: "usr/sbin/bftpd", text: "\x7fELF"}, file{path: "etc/init.d/ftp", text: "#!/bin/sh\nbftpd -d\n"}),
			[]string{"account high user=cam uid=80 credential=fixed hash_type=md5crypt"}},
		{"no network login", []file{{path: "bin/sh", text: "\x7fELF"}, {path: "lib/"},
			{path: "etc/passwd", text: "root::0:0:root:/root:/bin/sh\n"}},
			[]string{"account medium user=root uid=0 credential=empty"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantLines(t, lines(doorsOf(t, Account, test.files...), accountKeys...), test.want)
		})
	}
}

// TestShellAsksForNothing names no telnet server that hands out a shell as one
// that asks for a password.
func TestShellAsksForNothing(t *testing.T) {
	passwd := file{path: "etc/passwd", text: "root:" + md5Secret + ":0:0:root:/root:/bin/sh\n"}
	for _, c := range []struct {
		rcS, asks string
		reach     doorward.Reach
	}{
		{"telnetd", "telnetd, which is started, asks for it", doorward.Remote},
		{"telnetd -l /bin/login", "telnetd, which is started, asks for it", doorward.Remote},
		{"telnetd -l /bin/sh", "no network login was found", doorward.Physical},
		{"telnetd -p 24 -l /bin/sh\ntelnetd", "telnetd, which is started, asks for it", doorward.Remote},
		{"telnetd -l /bin/sh\ndropbear", "dropbear, which is started, asks for it", doorward.Remote},
	} {
		doors := doorsOf(t, Account, router(c.rcS+"\n", passwd)...)
		if c.rcS == "telnetd -l /bin/sh" { // the others are not in this product
			doors = doorsOf(t, Account, []file{{path: "bin/busybox", text: fakeELF, mode: 0o755}, {path: "bin/sh", link: "busybox"}, {path: "usr/sbin/telnetd", link: "../../bin/busybox"},
				{path: "sbin/init", link: "../bin/busybox"}, {path: "etc/inittab", text: "::sysinit:/etc/init.d/rcS\n"}, {path: "etc/init.d/rcS", text: "#!/bin/sh\n" + c.rcS + "\n", mode: 0o755}, passwd}...)
		}
		if len(doors) != 1 || doors[0].Reach != c.reach || !strings.Contains(doors[0].Evidence[0].Note, c.asks) {
			t.Errorf("%q: %+v", c.rcS, doors)
		}
	}
}

func TestAccountHidesSecrets(t *testing.T) {
	doors := doorsOf(t, Account, system(
		file{path: "etc/passwd", text: "root:x:0:0:root:/root:/bin/sh\n"},
		file{path: "etc/shadow", text: "root:" + md5Known + ":10933:0:99999:7:::\n"})...)
	if len(doors) != 1 || !slices.Contains(doors[0].Secrets, md5Known) || !slices.Contains(doors[0].Secrets, "admin123") {
		t.Fatalf("secrets are not named: %+v", doors)
	}
	if d := doors[0]; d.Certainty != doorward.Shown || d.Evidence[0].Line != 1 || d.Where[0].Inner() != "etc/shadow" {
		t.Errorf("evidence: %+v", d)
	}
}
