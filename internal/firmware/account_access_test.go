package firmware

import (
	"context"
	"testing"

	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/formats"
)

func TestServicesAndAccess(t *testing.T) {
	reads := file{path: "usr/sbin/daemon", text: "\x7fELF\x00 snmpd.conf mosquitto.conf smb.conf x"}
	with := func(p, text string) []file { return system(reads, file{path: p, text: text}) }
	tests := []struct {
		name  string
		files []file
		want  []string
	}{
		{"SNMP", with("etc/snmp/snmpd.conf", "# rocommunity no\nrocommunity public\nrwcommunity s3cretW 0.0.0.0/0\n"),
			[]string{"account high user=public credential=default", "account critical user=s3cretW credential=fixed"}},
		{"SNMP on loopback", with("etc/snmp/snmpd.conf", "agentaddress 127.0.0.1,[::1]\nrocommunity public default -V systemonly\n"), []string{"account low user=public credential=default"}},
		{"PPP", with("etc/ppp/chap-secrets", "# client server secret ip\nisp99 * \"p4ssw0Rd\" *\n"), []string{"account medium user=isp99 credential=fixed"}},
		{"MQTT", with("etc/mosquitto.conf", "listener 1883\nallow_anonymous true\n"), []string{"account high user=* credential=none"}},
		{"guest share", with("etc/smb.conf", "[global]\n workgroup = W\n[usb]\n path = /mnt\n guest ok = yes\n"), []string{"account medium user=* credential=none"}},
		{"a URL", with("usr/bin/up", "\x7fELF\x01\x01\x01\x00\x00ftp://cam:x9Kp2q@upload.vendor.net/in\x00http://user:pass@host\x00http://%s:%s@%s/\x00"), []string{"account medium user=cam credential=fixed"}},
		{"PAM permits", with("etc/pam.d/login", "auth required pam_env.so\nauth sufficient pam_permit.so\nauth required pam_unix.so\n"), []string{"account critical user=* credential=none"}},
		{"PAM as Debian has it", with("etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n"), nil},
		{"rhosts", system(file{path: "root/.rhosts", text: "+ +\n"}, file{path: "usr/sbin/in.rshd", text: "\x7fELF"}), []string{"account critical user=* credential=none"}},
		{"rhosts without a server", system(file{path: "root/.rhosts", text: "+ +\n"}), []string{"account medium user=* credential=none"}},
		{"empty passwords over SSH", system(file{path: "etc/ssh/sshd_config", text: "PermitEmptyPasswords yes\n"}), []string{"account low user=* credential=none"}},
		{"as usual", system(file{path: "etc/ssh/sshd_config", text: "#PermitEmptyPasswords yes\nPermitEmptyPasswords no\n"}), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantLines(t, lines(doorsOf(t, Account, test.files...), "user", "credential"), test.want)
		})
	}
}

func TestImageEnvironment(t *testing.T) {
	o := &unpack.Object{Format: "oci", System: true, Info: map[string]string{
		"config": `{"config": {"Env": ["PATH=/bin", "DB_USER=app", "DB_PASSWORD=tR9vvQ", "SMTP_PASSWORD=", "API_PASSWORD=$SECRET"]}}`}}
	p, err := product.OpenTree(context.Background(), "image", o, Account.Patterns, unpack.Options{Readers: formats.All})
	if err != nil {
		t.Fatal(err)
	}
	r := detect.Run(context.Background(), []*Detector{Account}, p, 1)
	wantLines(t, lines(r.Doors, "user", "credential", "password"), []string{"account high user=app credential=fixed password=tR9vvQ"})
}

// TestLenientLogins: x for a password without shadow, and passwords that a
// script takes away.
func TestLenientLogins(t *testing.T) {
	login := "#!/bin/sh\nread -r U\nH=`grep \"^$U:\" /etc/passwd | cut -d: -f2`\n[ -z \"$H\" ] && exit 1\nif [ \"$H\" = x ]; then\n\texec /bin/sh\nfi\nexec /bin/login \"$U\"\n"
	strict := "#!/bin/sh\nH=`grep \"^$U:\" /etc/passwd | cut -d: -f2`\nif [ \"$H\" = x ]; then\n\texit 1\nfi\nexec /bin/login \"$U\"\n"
	wantLines(t, lines(doorsOf(t, Account, system(file{path: "sbin/mylogin", text: login, mode: 0o755})...), "user", "credential"), []string{"account critical user=* credential=none"})
	wantLines(t, lines(doorsOf(t, Account, system(file{path: "sbin/mylogin", text: strict, mode: 0o755})...), "user", "credential"), nil)
	wantLines(t, lines(doorsOf(t, Account, system(file{path: "sbin/web", text: "#!/bin/sh\nsed -i 's/:.*$/:/' /etc/htpasswd\n", mode: 0o755})...), "user", "credential"), []string{"account critical user=* credential=none"})
	wantLines(t, lines(doorsOf(t, Account, system(file{path: "etc/users.xml", text: "<Users>\n<User><Name>admin</Name><Password>12345</Password></User>\n<User><Name>viewer</Name><Password></Password></User>\n</Users>\n"})...), "user", "credential"),
		[]string{"account high user=admin credential=default", "account medium user=viewer credential=empty"})
}
