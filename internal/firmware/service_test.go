package firmware

import (
	"os"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
)

const fakeELF = "\x7fELF\x01\x01\x01\x00"

// router is a small root file system with the usual programs, around an rcS.
func router(rcS string, more ...file) []file {
	files := []file{
		{path: "bin/busybox", text: fakeELF + "BusyBox v1.30", mode: 0o755}, {path: "bin/sh", link: "busybox"}, {path: "bin/login", link: "busybox"}, {path: "sbin/init", link: "../bin/busybox"},
		{path: "etc/inittab", text: "::sysinit:/etc/init.d/rcS\n"}, {path: "etc/init.d/rcS", text: "#!/bin/sh\n" + rcS, mode: 0o755},
	}
	for _, name := range []string{"telnetd", "ftpd", "tftpd", "nc", "httpd", "tcpsvd"} {
		files = append(files, file{path: "usr/sbin/" + name, link: "../../bin/busybox"})
	}
	for _, name := range []string{"dropbear", "sshd", "vsftpd", "lighttpd", "snmpd", "smbd", "rsync", "dnsmasq", "adbd", "gdbserver", "socat", "mosquitto", "crond"} {
		files = append(files, file{path: "usr/sbin/" + name, text: fakeELF + name, mode: 0o755})
	}
	return append(files, more...)
}

func TestServices(t *testing.T) {
	nginx := file{path: "usr/sbin/nginx", text: fakeELF + "nginx", mode: 0o755}
	for _, c := range []struct {
		name, rcS string
		more      []file
		want      []string
	}{
		{"shell on telnet", "telnetd -p 2323 -l /bin/sh &", nil, []string{"service critical program=telnetd proto=tcp port=2323 shell=/bin/sh authenticated=false"}},
		{"telnet with login", "telnetd", nil, []string{"service high program=telnetd proto=tcp port=23 authenticated=true"}},
		{"login -f", "telnetd -l 'login -f root'", nil, []string{"service critical program=telnetd proto=tcp port=23 shell=login authenticated=false"}},
		{"script for login", "telnetd -l /bin/l.sh", []file{{path: "bin/l.sh", text: "#!/bin/sh\n# /bin/login\nexec /bin/ash --login\n"}}, []string{"service critical program=telnetd proto=tcp port=23 shell=/bin/l.sh authenticated=false"}},
		{"script that asks", "telnetd -l /bin/l.sh", []file{{path: "bin/l.sh", text: "#!/bin/sh\nexec /bin/login\n"}}, []string{"service high program=telnetd proto=tcp port=23 authenticated=true"}},
		{"comment, absent program", "# telnetd -l /bin/sh\nutelnetd -l /bin/sh\n[ -x /usr/sbin/smbd2 ] && /usr/sbin/smbd2", nil, nil},
		{"dropbear", "dropbear -p 127.0.0.1:2222 -p 22", nil, []string{"service medium program=dropbear proto=tcp port=2222 authenticated=true", "service medium program=dropbear proto=tcp port=22 authenticated=true"}},
		{"sshd, root", "sshd", []file{{path: "etc/ssh/sshd_config", text: "Port 2200\nPermitRootLogin yes\n"}}, []string{"service high program=sshd proto=tcp port=2200 authenticated=true"}},
		{"sshd, plain", "sshd", []file{{path: "etc/ssh/sshd_config", text: "#PermitRootLogin yes\nPasswordAuthentication no\n"}}, []string{"service medium program=sshd proto=tcp port=22 authenticated=true"}},
		{"netcat", "nc -ll -p 4444 -e /bin/sh &\nnc -l -p 5555\nnc 1.2.3.4 99", nil, []string{"service critical program=nc proto=tcp port=4444 shell=/bin/sh authenticated=false", "service medium program=nc proto=tcp port=5555 authenticated=false"}},
		{"socat", "socat TCP-LISTEN:99,reuseaddr,fork EXEC:/bin/sh\nsocat UNIX-LISTEN:/x -", nil, []string{"service critical program=socat proto=tcp port=99 shell=/bin/sh authenticated=false"}},
		{"tcpsvd", "tcpsvd -vE 0.0.0.0 21 ftpd -w /mnt\ntcpsvd 0 31337 /bin/sh -i", nil, []string{"service medium program=ftpd proto=tcp port=21 authenticated=true", "service critical program=sh proto=tcp port=31337 shell=/bin/sh authenticated=false"}},
		{"anonymous", "vsftpd", []file{{path: "etc/vsftpd.conf", text: "anonymous_enable=YES\nlisten_port=2121\n"}}, []string{"service high program=vsftpd proto=tcp port=2121 authenticated=false"}},
		{"no anonymous", "vsftpd", []file{{path: "etc/vsftpd.conf", text: "anonymous_enable=NO\n"}}, []string{"service medium program=vsftpd proto=tcp port=21 authenticated=true"}},
		{"web", "lighttpd -f /etc/l.conf", []file{{path: "etc/l.conf", text: "server.port = 8080\n$SERVER[\"socket\"] == \":443\" {\n}\n"}}, []string{"service low program=lighttpd proto=tcp port=8080", "service low program=lighttpd proto=tcp port=443"}},
		{"nginx in one line", "nginx", []file{nginx, {path: "etc/nginx/nginx.conf", text: "events {} http { log_format a '$x; listen 1;'; server { listen 443 ssl; server_name x; } server { listen 127.0.0.1:81; } }# listen 7;\n"}}, []string{"service low program=nginx proto=tcp port=443", "service info program=nginx proto=tcp port=81"}},
		{"nginx in many", "nginx", []file{nginx, {path: "etc/nginx/nginx.conf", text: "http {\n server {\n  listen\n   8443 ssl;\n  # listen 80;\n }\n}\n"}}, []string{"service low program=nginx proto=tcp port=8443"}},
		{"snmp", "snmpd", []file{{path: "etc/snmp/snmpd.conf", text: "agentaddress 127.0.0.1,[::1]\nrocommunity public\n"}}, []string{"service info program=snmpd proto=udp port=161"}},
		{"snmp write", "snmpd", []file{{path: "etc/snmp/snmpd.conf", text: "rwcommunity private\n"}}, []string{"service medium program=snmpd proto=udp port=161 authenticated=false"}},
		{"pictures for itself", "motion", []file{{path: "usr/sbin/motion", text: fakeELF, mode: 0o755}, {path: "etc/motion/motion.conf", text: "stream_port 8081\nstream_localhost on\nwebcontrol_port 0\n"}}, []string{"service low program=motion proto=tcp port=8081 authenticated=false"}},
		{"pictures for all", "motion", []file{{path: "usr/sbin/motion", text: fakeELF, mode: 0o755}, {path: "etc/motion/motion.conf", text: "stream_port 8081\nstream_localhost off\n"}}, []string{"service high program=motion proto=tcp port=8081 authenticated=false"}},
		{"test run", "proftpd --configtest -c /etc/p.conf", []file{{path: "usr/sbin/proftpd", text: fakeELF, mode: 0o755}}, nil},
		{"guests", "smbd", []file{{path: "etc/samba/smb.conf", text: "[x]\nguest ok = yes\n"}}, []string{"service medium program=smbd proto=tcp port=445 authenticated=false"}},
		{"guests print", "smbd", []file{{path: "etc/samba/smb.conf", text: "[printers]\nguest ok = yes\n"}}, []string{"service low program=smbd proto=tcp port=445 authenticated=true"}},
		{"rsync", "rsync --daemon\nrsync -a x y", []file{{path: "etc/rsyncd.conf", text: "[all]\npath=/\n"}}, []string{"service high program=rsync proto=tcp port=873 authenticated=false"}},
		{"gdbserver", "gdbserver :1234 --multi", nil, []string{"service critical program=gdbserver proto=tcp port=1234 authenticated=false"}},
		{"adb over USB", "adbd", nil, nil},
		{"adb over TCP", "setprop service.adb.tcp.port 5555\nadbd", nil, []string{"service critical program=adbd proto=tcp port=5555 authenticated=false"}},
		{"off by default", "[ \"$(nvram get tel)\" = 1 ] && telnetd", []file{{path: "etc/nvram.default", text: "tel=0\n"}}, []string{"service medium program=telnetd proto=tcp port=23 condition=tel=1 (default 0) authenticated=true"}},
		{"on by default", "[ \"$(nvram get tel)\" = 1 ] && telnetd", []file{{path: "etc/nvram.default", text: "tel=1\n"}}, []string{"service high program=telnetd proto=tcp port=23 condition=tel=1 (default 1) authenticated=true"}},
		{"only a test", "sshd -t\n/etc/init.d/dropbear start", []file{{path: "etc/init.d/dropbear", text: "#!/bin/sh\necho no\n", mode: 0o755}}, nil},
		{"open condition", "[ -f /mnt/flag ] && vsftpd", []file{{path: "etc/vsftpd.conf", text: "anonymous_enable=NO\n"}}, []string{"service low program=vsftpd proto=tcp port=21 condition=[ -f /mnt/flag ] authenticated=true"}},
		{"renamed", "helperd -p 24", []file{{path: "usr/sbin/helperd", text: fakeELF, mode: 0o755}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			doors := doorsOf(t, Service, router(c.rcS+"\n", c.more...)...)
			got := lines(doors, "program", "proto", "port", "condition", "shell", "authenticated")
			if c.name == "dropbear" { // one is for the device itself
				for i, d := range doors {
					if d.Reach == doorward.Local {
						got[i] = strings.Replace(got[i], string(d.Weight), "medium", 1)
					}
				}
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			for _, d := range doors {
				if len(d.Title) > 100 || d.Check == "" || d.Evidence[0].Line == 0 {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

// TestServiceOfContainer finds what an image's configuration starts, in that
// configuration and not in the program.
func TestServiceOfContainer(t *testing.T) {
	p := madeProduct(t, Service, router("")...)
	p.Volumes[0].Info = map[string]string{"config": `{"config":{"Entrypoint":["/usr/sbin/telnetd"],"Cmd":["-F","-p","99"]}}`}
	doors := detect.Run(t.Context(), []*Detector{Service}, p, 1).Doors
	wantLines(t, lines(doors, "program", "port", "started_by"), []string{"service high program=telnetd port=99 started_by=container"})
	if len(doors) != 1 {
		return
	}
	d := doors[0]
	ev := d.Evidence[0]
	if want := `Entrypoint: ["/usr/sbin/telnetd"], Cmd: ["-F","-p","99"]`; ev.What != want || ev.Note != "the image's configuration starts it" || ev.Line != 0 || ev.Offset != nil {
		t.Errorf("%+v", ev)
	}
	if d.Where[0].Inner() != "" || len(d.Where) < 2 || !strings.HasPrefix(d.Check, "Run docker inspect") {
		t.Errorf("%+v %s", d.Where, d.Check)
	}
}

// TestServiceByManager starts one shell in each way; it is the same door.
func TestServiceByManager(t *testing.T) {
	const cmd = "telnetd -p 99 -l /bin/sh"
	for name, files := range map[string][]file{
		"inetd":   {{path: "usr/sbin/inetd", text: fakeELF, mode: 0o755}, {path: "etc/init.d/rcS", text: "#!/bin/sh\ninetd\n", mode: 0o755}, {path: "etc/inetd.conf", text: "99 stream tcp nowait root /usr/sbin/telnetd telnetd -l /bin/sh\n"}},
		"systemd": {{path: "lib/systemd/systemd", text: fakeELF}, {path: "lib/systemd/system/multi-user.target.wants/x.service", link: "../x.service"}, {path: "lib/systemd/system/x.service", text: "[Service]\nExecStart=/usr/sbin/" + cmd + "\n"}},
		"openwrt": {{path: "etc/rc.common", text: "#!/bin/sh\n", mode: 0o755}, {path: "etc/rc.d/S50x", link: "../init.d/x"}, {path: "etc/init.d/x", text: "#!/bin/sh /etc/rc.common\nSTART=50\nstart() { " + cmd + "; }\n", mode: 0o755}},
		"cron":    {{path: "etc/init.d/rcS", text: "#!/bin/sh\ncrond\n", mode: 0o755}, {path: "etc/crontabs/root", text: "@reboot " + cmd + "\n"}},
		"respawn": {{path: "etc/inittab", text: "::respawn:/usr/sbin/" + cmd + "\n"}},
	} {
		doors := doorsOf(t, Service, router("", files...)...)
		got := lines(doors, "program", "proto", "port", "shell")
		if len(got) != 1 || got[0] != "service critical program=telnetd proto=tcp port=99 shell=/bin/sh" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestPortsTable reads the table: every program once, with sane columns.
func TestPortsTable(t *testing.T) {
	table := daemons()
	if len(table.daemons) < 150 {
		t.Errorf("%d programs", len(table.daemons))
	}
	for name, d := range table.daemons {
		if !contains([]string{"admin", "login", "none", "varies"}, d.login) || d.reach != doorward.Remote && d.reach != doorward.Adjacent || d.words == "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	for _, m := range table.marks {
		if table.daemons[m.name] == nil {
			t.Errorf("mark of unknown %s", m.name)
		}
	}
}

// TestListeners starts small real programs: what the imports and the port that
// is given tell, whatever their names.
func TestListeners(t *testing.T) {
	program := func(name string) string {
		b, err := os.ReadFile("../../testdata/products/bin/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct{ name, program, rcS, config, want string }{
		{"port given", "remoted.arm", "/opt/x -p 6000 &", "", "service medium program=x proto=tcp port=6000"},
		{"datagrams", "sipd.mipsel", "/opt/x -p 6001 &", "", "service medium program=x proto=udp port=6001"},
		{"no port known", "remoted.arm", "/opt/x &", "", ""},
		{"one port in XML", "remoted.arm", "/opt/x -c /etc/x.xml", "<x>\n<Port>6002</Port></x>\n", "service medium program=x proto=tcp port=6002"},
		{"port of its protocol", "ipcam.arm", "/opt/x -c /etc/x.xml", "<x><Rtsp><Enable>1</Enable><Port>6003</Port></Rtsp><Http><Port>80</Port></Http></x>\n", "service medium program=x proto=tcp port=6003"},
		{"ports of others", "remoted.arm", "/opt/x -c /etc/x.xml", "<x><Rtsp><Port>6003</Port></Rtsp><Http><Port>80</Port></Http></x>\n", ""},
		{"no socket", "curl.arm", "/opt/x -p 6004", "", ""},
	} {
		doors := doorsOf(t, Service, router(c.rcS+"\n", file{path: "opt/x", text: program(c.program), mode: 0o755}, file{path: "etc/x.xml", text: c.config})...)
		if got := strings.Join(lines(doors, "program", "proto", "port"), "\n"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	doors := doorsOf(t, Service, router("/usr/sbin/cwmpd -p 7000\n", file{path: "usr/sbin/cwmpd", text: program("cwmpd.mipsel"), mode: 0o755})...)
	if got := strings.Join(lines(doors, "program", "port"), "\n"); got != "service medium program=cwmpd port=7000" {
		t.Errorf("connection requests: %q", got)
	}
	doors = doorsOf(t, Service, router("", file{path: "lib/systemd/systemd", text: fakeELF}, file{path: "lib/systemd/system/sockets.target.wants/r.socket", link: "../r.socket"},
		file{path: "lib/systemd/system/r.socket", text: "[Socket]\nListenStream=0.0.0.0:2600\nAccept=yes\n"}, file{path: "lib/systemd/system/r@.service", text: "[Service]\nExecStart=-/bin/sh -i\n"})...)
	if got := strings.Join(lines(doors, "program", "port", "shell"), "\n"); got != "service critical program=sh port=2600 shell=/bin/sh" {
		t.Errorf("shell on a socket: %q", got)
	}
}
