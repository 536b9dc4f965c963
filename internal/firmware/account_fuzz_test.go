package firmware

import (
	"testing"
)

// FuzzAccount feeds text to everything of the account and key detectors that
// reads text: scripts, password files, configurations, secrets.
func FuzzAccount(f *testing.F) {
	for _, s := range []string{
		"root:x:0:0:root:/root:/bin/sh\n", "root:" + md5Known + ":1:0:99999:7:::\n", "#!/bin/sh\necho \"root:$PW\" | chpasswd\n",
		"f() { f; echo \"$1:$2\" | chpasswd; }\nf a b\n", "<User><Name>admin</Name><Password>x1</Password></User>\n", "{\"user\": \"a\", \"password\": \"b\"}\n",
		"http_user=admin http_passwd=admin a=b\n", "rocommunity public\n", "ftp://a:b@c.d/\n", "cat <<E > /etc/passwd\nx::0:0::/:/bin/sh\nE\n", "wpa_passphrase=12345678\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		files := []file{{path: "etc/passwd", text: text}, {path: "etc/x.conf", text: text}, {path: "etc/init.d/x.sh", text: text, mode: 0o755}, {path: "bin/p", text: "\x7fELF\x00" + text + "\x00"}, {path: "etc/sudoers", text: text}}
		doorsOf(t, Account, files...)
		doorsOf(t, Key, files...)
		doorsOf(t, Privilege, files...)
	})
}
