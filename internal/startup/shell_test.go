package startup

import (
	"strings"
	"testing"
)

const elf = "\x7fELF\x01\x01\x01\x00 program"

// busyboxRoot is a root file system of a small router around an rcS.
func busyboxRoot(rcS string, more map[string]string) map[string]string {
	files := map[string]string{
		"bin/busybox": elf + "BusyBox v1.30", "bin/sh": "-> busybox", "sbin/init": "-> ../bin/busybox",
		"usr/sbin/telnetd": "-> ../../bin/busybox", "usr/sbin/httpd": elf + "http", "usr/sbin/dropbear": elf + "dropbear",
		"etc/inittab": "::sysinit:/etc/init.d/rcS\n#::respawn:/usr/sbin/commented\nttyS0::askfirst:-/bin/sh\n::shutdown:/bin/halt\n",
	}
	if rcS != "" {
		files["etc/init.d/rcS"] = "#!/bin/sh\n" + rcS
	}
	for k, v := range more {
		files[k] = v
	}
	return files
}

// TestScripts checks what a reader of rcS would say happens.
func TestScripts(t *testing.T) {
	for _, c := range []struct {
		name, rcS string
		more      map[string]string
		want, not []string
	}{
		{"plain", "telnetd -l /bin/sh &\n# httpd\necho httpd\n", nil, []string{"start telnetd -l /bin/sh", "start /bin/sh"}, []string{"httpd", "commented", "halt"}},
		{"variables", "P=2323\nD=/usr/sbin\n${D}/telnetd -p ${P:-23} -l ${LOGIN:-/bin/login}\n", nil, []string{"start /usr/sbin/telnetd -p 2323 -l /bin/login"}, nil},
		{"unknown value", "P=$(thing)\ntelnetd -p $P\n", nil, []string{"start telnetd -p $(thing)"}, nil},
		{"sourced by wildcard", "for f in /etc/lib/*.sh; do . $f; done\nstart_it\n", map[string]string{"etc/lib/a.sh": "start_it() { telnetd -p 24; }\n"}, []string{"start telnetd -p 24"}, nil},
		{"names made at run time", "service_web_start() { httpd -p 80; }\nservice_tel_start() { telnetd; }\nfor i in web tel; do service_${i}_start; done\n", nil, []string{"start httpd -p 80", "start telnetd"}, nil},
		{"eval", "tel_cmd='telnetd -p 99'\nfor i in tel; do eval c=\\$${i}_cmd; $c; done\n", nil, []string{"start telnetd -p 99"}, nil},
		{"absent program", "[ -x /usr/sbin/sdkd ] && /usr/sbin/sdkd\n[ -f /usr/sbin/httpd ] && httpd\n", nil, []string{"start /usr/sbin/sdkd no", "start httpd"}, nil},
		{"exit", "httpd\nexit 0\ntelnetd\n", nil, []string{"start httpd"}, []string{"telnetd"}},
		{"exit of a guard", "[ -x /usr/sbin/none ] || exit 0\ntelnetd\n", nil, nil, []string{"telnetd\n"}},
		{"exit of an open guard", "[ -f /mnt/flag ] || exit 0\ntelnetd\n", nil, []string{"start telnetd ?"}, nil},
		{"case with argument", "/etc/init.d/t start\n", map[string]string{"etc/init.d/t": "#!/bin/sh\ncase \"$1\" in\nstart) telnetd -p 1;;\nstop) killall telnetd;;\n*) echo usage;;\nesac\n"}, []string{"start telnetd -p 1"}, []string{"killall"}},
		{"links of rc.d", "for s in /etc/rc.d/S*; do [ -x $s ] && $s start; done\n", map[string]string{"etc/init.d/t": "#!/bin/sh\n[ \"$1\" = start ] && telnetd\n", "etc/rc.d/S50t": "-> ../init.d/t", "etc/init.d/k": "#!/bin/sh\nhttpd\n", "etc/rc.d/K50k": "-> ../init.d/k"}, []string{"start telnetd", "start /etc/rc.d/S50t start"}, []string{"httpd"}},
		{"nvram on", "if [ \"$(nvram get telnet_enable)\" = \"1\" ]; then telnetd; fi\n", map[string]string{"etc/nvram_default.txt": "telnet_enable=1\n"}, []string{"start telnetd"}, nil},
		{"nvram off", "if [ \"`nvram get telnet_enable`\" = \"1\" ]; then telnetd; fi\n", map[string]string{"etc/nvram_default.txt": "telnet_enable=0\n"}, []string{"start telnetd no"}, nil},
		{"nvram unknown", "if [ \"`nvram get telnet_enable`\" = \"1\" ]; then telnetd; fi\n", nil, []string{"start telnetd ?"}, nil},
		{"key file", ". /etc/services.conf\n[ \"$TELNET\" = enable ] && telnetd\n[ \"$WEB\" = enable ] && httpd\n", map[string]string{"etc/services.conf": "TELNET=enable\nWEB=disable\n"}, []string{"start telnetd", "start httpd no"}, nil},
		{"key by grep", "x=`grep '^TELNET=' /etc/s.conf | cut -d= -f2`\nif [ \"$x\" = \"yes\" ]; then telnetd; else httpd; fi\n", map[string]string{"etc/s.conf": "WEB=no\nTELNET=yes\n"}, []string{"start telnetd", "start httpd no"}, nil},
		{"pipe", "echo root:pw | chpasswd\n", map[string]string{"usr/sbin/chpasswd": elf}, []string{"start chpasswd <\"root:pw\\n\""}, nil},
		{"write", "N=admin\necho \"$N:x:0:0::/:/bin/sh\" >> /etc/passwd\ncat > /tmp/x <<EOF\nport=$N\nEOF\n", nil, []string{"write /etc/passwd \"admin:x:0:0::/:/bin/sh\\n\"", "write /tmp/x \"port=admin\\n\""}, nil},
		{"written script runs", "echo 'telnetd -p 7' > /tmp/r.sh\n. /tmp/r.sh\necho 'httpd $1' > /tmp/s.sh\nsh /tmp/s.sh a\nchmod +x /tmp/s.sh; /tmp/s.sh b\n", nil, []string{"start telnetd -p 7", "start httpd a", "start httpd b"}, nil},
		{"start-stop-daemon", "start-stop-daemon -S -b -x /usr/sbin/httpd -- -p 8080\nstart-stop-daemon -K -x /usr/sbin/telnetd\n", nil, []string{"start /usr/sbin/httpd -p 8080"}, []string{"telnetd"}},
		{"busybox applet", "busybox telnetd -p 5\n/bin/busybox sh -c 'httpd -f'\n", nil, []string{"start busybox telnetd -p 5", "start httpd -f"}, nil},
		{"does not parse", "if [ 1 ; then\ntelnetd -p 3\n  fi fi (\n", nil, []string{"start telnetd -p 3 ?"}, nil},
		{"one of two", "case $(model) in A) D=httpd;; B) D=dropbear;; esac\n$D -x\n", nil, []string{"start httpd -x ?", "start dropbear -x ?"}, nil},
		{"while read", "while read n p; do $n -p $p; done < /etc/list\n", map[string]string{"etc/list": "telnetd 23\nhttpd 80\n"}, []string{"start telnetd -p 23", "start httpd -p 80"}, nil},
		{"quoted patterns", "p=x; test -n \"${p#[\\!x]}\" || telnetd -p 6\nq='a*'; case ab in \"$q\") httpd -q;; a*) httpd -g;; esac\n", nil, []string{"start telnetd -p 6", "start httpd -g"}, []string{"httpd -q"}},
		{"grep of nothing", "grep -q x /etc/none && httpd\ngrep -q x /tmp/none && telnetd\n", nil, []string{"start httpd no", "start telnetd ?"}, nil},
		{"count", "i=0\nwhile [ $i -lt 3 ]; do httpd -n $i; i=$((i+1)); done\n", nil, []string{"start httpd -n 0", "start httpd -n 2"}, []string{"-n 3"}},
		{"settings", "nvram set a=b\nsetprop c d\n[ \"$(nvram get a)\" = b ] && telnetd\n", nil, []string{"set a=b", "set c=d", "start telnetd"}, nil},
		{"loops for ever", "f() { f; }\nf\nwhile true; do telnetd; sleep 1; done\n", nil, []string{"start telnetd"}, nil},
		{"hangs on itself", ". /etc/init.d/rcS\n/etc/init.d/rcS\nhttpd\n", nil, []string{"start httpd"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			wants(t, Of(made(t, busyboxRoot(c.rcS, c.more))), c.want, c.not)
		})
	}
}

// TestCondition checks that a guard names its setting, what it wants and what
// is shipped.
func TestCondition(t *testing.T) {
	l := Of(made(t, busyboxRoot("if [ \"$(nvram get telnet_enable)\" = \"1\" ]; then\n  telnetd\nfi\n", map[string]string{"etc/nvram.default": "telnet_enable=0\n"})))
	for _, e := range l.Events {
		if e.Program != "telnetd" {
			continue
		}
		if len(e.Condition) != 1 {
			t.Fatalf("conditions %v", e.Condition)
		}
		c := e.Condition[0]
		if c.Name != "telnet_enable" || c.Want != "1" || c.Default != "0" || c.Holds != False || !strings.Contains(c.Text, "nvram get") {
			t.Errorf("%+v", c)
		}
		if e.By.Line != 3 || e.By.File.Path != "etc/init.d/rcS" || len(e.Chain) != 1 || e.Chain[0].File.Path != "etc/inittab" || e.File.Path != "bin/busybox" || e.Applet != "telnetd" {
			t.Errorf("%+v", e)
		}
		return
	}
	t.Error("telnetd is not started")
}

// TestSource follows /etc, a link into memory, to the folder that fills it.
func TestSource(t *testing.T) {
	for _, fill := range []string{"cp -a /etc_ro/* /tmp/etc/\n", "mkdir /tmp/etc\ncp -r /etc_ro/. /tmp/etc\n", "S=/etc_ro\nfor i in passwd shadow; do cp $S/$i /etc/$i; done\n", "mkdir -p /tmp/etc && ln -s /etc_ro/passwd /etc/passwd\n"} {
		files := busyboxRoot("", map[string]string{"etc": "-> /tmp/etc", "etc_ro/passwd": "root::0:0::/:/bin/sh\n", "init": "#!/bin/sh\n" + fill})
		delete(files, "etc/inittab")
		p := made(t, files)
		l := Of(p)
		v := p.Volumes[0]
		f := l.Source(v, "/etc/passwd")
		if f == nil || f.Path != "etc_ro/passwd" {
			t.Errorf("%q: source of /etc/passwd is %v in %v", fill, f, linesOf(l))
			continue
		}
		if got := strings.Join(l.RunPath(f), " "); !strings.Contains(got, "/etc/passwd") {
			t.Errorf("%q: run paths are %s", fill, got)
		}
	}
}

// TestTerminal follows a script whose own input is put on a console.
func TestTerminal(t *testing.T) {
	l := Of(made(t, map[string]string{"etc/inittab": "::respawn:/etc/c.sh\n", "bin/sh": "-> busybox", "bin/busybox": elf,
		"etc/c.sh": "#!/bin/sh\nbin/true\nexec </dev/ttyS0 >/dev/ttyS0 2>&1\nexec /bin/sh -i\n"}))
	for _, e := range l.Events {
		if e.Kind == Start && e.Program == "/bin/sh" {
			if e.Terminal != "ttyS0" {
				t.Errorf("the shell runs on %q", e.Terminal)
			}
			return
		}
	}
	t.Errorf("no shell in %v", linesOf(l))
}
