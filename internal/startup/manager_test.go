package startup

import (
	"strings"
	"testing"
)

// TestManagers starts the same daemon by every service manager, and leaves
// alone what none of them starts.
func TestManagers(t *testing.T) {
	base := map[string]string{
		"bin/sh": "-> busybox", "bin/busybox": elf, "usr/sbin/telnetd": elf, "usr/sbin/httpd": elf,
		"etc/passwd": "root:x:0:0::/:/bin/sh\n",
	}
	unit := "[Service]\nEnvironmentFile=-/etc/default/t\nExecStart=-/usr/sbin/telnetd -p $PORT\n[Install]\nWantedBy=multi-user.target\n"
	for _, c := range []struct {
		name, manager, trigger string
		files                  map[string]string
		want, not              []string
	}{
		{"sysv", "rc", "boot", map[string]string{"etc/inittab": "id:3:initdefault:\nl3:3:wait:/etc/init.d/rc 3\n", "etc/init.d/rc": "#!/usr/bin/perl\n", "etc/init.d/t": "#!/bin/sh\ncase $1 in start) telnetd -p 23;; esac\n", "etc/rc3.d/S20t": "-> ../init.d/t", "etc/init.d/h": "#!/bin/sh\nhttpd\n", "etc/rc3.d/K20h": "-> ../init.d/h", "etc/rc5.d/S20h": "-> ../init.d/h"}, []string{"start telnetd -p 23"}, []string{"httpd"}},
		{"respawn", "inittab", "boot", map[string]string{"etc/inittab": "t:345:respawn:/usr/sbin/telnetd -p 23 -F\nh:06:wait:httpd\n"}, []string{"start /usr/sbin/telnetd -p 23 -F"}, []string{"httpd"}},
		{"openwrt", "procd", "boot", map[string]string{"etc/rc.common": "#!/bin/sh\n", "etc/config/t": "config telnet main\n\toption port '23'\n\toption enable 1\nconfig telnet\n\toption port 24\n\toption enable 0\n", "etc/rc.d/S50t": "-> ../init.d/t",
			"etc/init.d/t": "#!/bin/sh /etc/rc.common\nSTART=50\nUSE_PROCD=1\nPROG=/usr/sbin/telnetd\none() {\n local p e\n config_get p \"$1\" port\n config_get_bool e $1 enable 1\n [ \"$e\" -gt 0 ] || return 1\n procd_open_instance\n procd_set_param command $PROG -p $p\n [ \"$e\" = 5 ] && procd_append_param command -s\n procd_append_param command -F\n procd_close_instance\n}\nstart_service() {\n config_load t\n config_foreach one telnet\n}\n",
			"etc/init.d/h": "#!/bin/sh /etc/rc.common\nstart() { httpd; }\n"}, []string{"start /usr/sbin/telnetd -p 23 -F", "start /usr/sbin/telnetd -p 24 -F no"}, []string{"httpd"}},
		{"systemd", "systemd", "boot", map[string]string{"lib/systemd/systemd": elf, "lib/systemd/system/multi-user.target": "[Unit]\n", "lib/systemd/system/default.target": "-> multi-user.target", "etc/default/t": "PORT=23\n", "lib/systemd/system/t.service": unit,
			"etc/systemd/system/multi-user.target.wants/t.service": "-> /lib/systemd/system/t.service", "lib/systemd/system/h.service": "[Service]\nExecStart=httpd\n[Install]\nWantedBy=multi-user.target\n"}, []string{"start /usr/sbin/telnetd -p 23"}, []string{"httpd"}},
		{"systemd is not in the tree", "systemd", "boot", map[string]string{"etc/passwd": "root:x:0:0::/:/bin/sh\n", "lib/systemd/system/t.service": unit, "etc/default/t": "PORT=23\n",
			"etc/systemd/system/multi-user.target.wants/t.service": "-> /lib/systemd/system/t.service", "lib/systemd/system/h.service": "[Service]\nExecStart=httpd\n[Install]\nWantedBy=multi-user.target\n"}, []string{"start /usr/sbin/telnetd -p 23"}, []string{"httpd"}},
		{"drop-in", "systemd", "boot", map[string]string{"lib/systemd/systemd": elf, "lib/systemd/system/multi-user.target.wants/t.service": "-> ../t.service", "lib/systemd/system/t.service": unit,
			"etc/systemd/system/t.service.d/x.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/telnetd -p 9\n", "etc/systemd/system/h.service": "-> /dev/null", "lib/systemd/system/multi-user.target.wants/h.service": "-> ../h.service", "lib/systemd/system/h.service": "[Service]\nExecStart=httpd\n"}, []string{"start /usr/sbin/telnetd -p 9"}, []string{"httpd"}},
		{"socket", "systemd", "connection", map[string]string{"lib/systemd/systemd": elf, "lib/systemd/system/sockets.target.wants/t.socket": "-> ../t.socket", "lib/systemd/system/t.socket": "[Socket]\nListenStream=2323\nAccept=yes\n", "lib/systemd/system/t@.service": "[Service]\nExecStart=telnetd -i %i\n"}, []string{"start telnetd -i connection @tcp/2323"}, nil},
		{"helpers behind a socket", "systemd", "connection", map[string]string{"lib/systemd/systemd": elf, "lib/systemd/system/sockets.target.wants/t.socket": "-> ../t.socket", "lib/systemd/system/t.socket": "[Socket]\nListenStream=2323\nAccept=yes\n",
			"lib/systemd/system/t@.service": "[Service]\nExecStartPre=ready -q\nExecStart=/bin/sh -c \"X=`/usr/bin/ask`; exec telnetd -i\"\nExecStartPost=told\n"}, []string{"start telnetd -i @tcp/2323", "start ready -q", "start /usr/bin/ask", "start told"}, nil},
		{"timer", "systemd", "timer", map[string]string{"lib/systemd/systemd": elf, "lib/systemd/system/timers.target.wants/t.timer": "-> ../t.timer", "lib/systemd/system/t.timer": "[Timer]\nOnBootSec=1\n", "lib/systemd/system/t.service": "[Service]\nExecStart=telnetd\n"}, []string{"start telnetd"}, nil},
		{"inetd", "inetd", "connection", map[string]string{"etc/inittab": "::respawn:/usr/sbin/inetd\n", "usr/sbin/inetd": elf, "etc/inetd.conf": "#http stream tcp nowait root httpd httpd\ntelnet stream tcp nowait root /usr/sbin/telnetd telnetd -l /bin/sh\n"}, []string{"start /usr/sbin/telnetd -l /bin/sh @tcp/23"}, []string{"httpd"}},
		{"inetd not started", "", "", map[string]string{"etc/inittab": "::respawn:/usr/sbin/other\n", "etc/inetd.conf": "telnet stream tcp nowait root /usr/sbin/telnetd telnetd\n"}, nil, []string{"telnetd"}},
		{"xinetd", "xinetd", "connection", map[string]string{"etc/inittab": "::once:/usr/sbin/xinetd\n", "usr/sbin/xinetd": elf, "etc/xinetd.d/t": "service telnet\n{\n disable = no\n user = root\n server = /usr/sbin/telnetd\n server_args = -h\n}\nservice http\n{\n disable = yes\n port = 80\n server = httpd\n}\n"}, []string{"start /usr/sbin/telnetd -h @tcp/23", "start httpd @tcp/80 no"}, nil},
		{"runit", "runit", "boot", map[string]string{"etc/service/t/run": "#!/bin/sh\nexec 2>&1\nexec chpst -u nobody /usr/sbin/telnetd -p 23\n", "etc/service/h/run": "#!/bin/sh\nexec httpd\n", "etc/service/h/down": ""}, []string{"start /usr/sbin/telnetd -p 23"}, []string{"httpd"}},
		{"instance drop-in", "systemd", "boot", map[string]string{"lib/systemd/systemd": elf, "lib/systemd/system/multi-user.target.wants/t@9.service": "-> ../t@.service", "lib/systemd/system/t@.service": "[Service]\nExecStart=httpd\n",
			"etc/systemd/system/t@9.service.d/x.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/telnetd -p %i\n", "etc/systemd/system/t@8.service.d/x.conf": "[Service]\nExecStart=httpd\n"}, []string{"start /usr/sbin/telnetd -p 9"}, []string{"httpd"}},
		{"included xinetd", "xinetd", "connection", map[string]string{"etc/inittab": "::once:/usr/sbin/xinetd\n", "usr/sbin/xinetd": elf, "etc/xinetd.conf": "defaults\n{\n}\nincludedir /opt/x\n", "opt/x/t": "service telnet\n{\n disable = no\n server = /usr/sbin/telnetd\n}\n", "opt/x/t.old": "service http\n{\n server = httpd\n}\n"}, []string{"start /usr/sbin/telnetd @tcp/23"}, []string{"httpd"}},
		{"runsvdir elsewhere", "runit", "boot", map[string]string{"etc/inittab": "::respawn:runsvdir -P /rom/sv log:....\n", "usr/sbin/runsvdir": elf, "rom/sv/t": "-> ../all/t", "rom/all/t/run": "#!/bin/sh\nexec telnetd -p 23\n", "rom/all/h/run": "#!/bin/sh\nexec httpd\n"}, []string{"start telnetd -p 23"}, []string{"start httpd"}},
		{"flags of services", "inittab", "boot", map[string]string{"etc/inittab": "::sysinit:/etc/i.sh\n", "etc/flags": "t=enable\nh=disable\n", "etc/i.sh": "#!/bin/sh\nstart_t() { telnetd -p 23; }\nstart_h() { httpd; }\nwhile IFS== read -r n v; do\n [ $v = enable ] && start_$n\ndone < /etc/flags\n"}, []string{"start telnetd -p 23"}, []string{"start httpd\n"}},
		{"upstart", "upstart", "boot", map[string]string{"etc/init/t.conf": "start on runlevel [2345]\nscript\n P=23\n exec telnetd -p $P\nend script\n", "etc/init/h.conf": "exec httpd\n"}, []string{"start telnetd -p 23"}, []string{"httpd"}},
		{"openrc", "openrc", "boot", map[string]string{"etc/runlevels/default/t": "-> ../../init.d/t", "etc/init.d/t": "#!/sbin/openrc-run\ncommand=/usr/sbin/telnetd\ncommand_args=\"-p 23\"\n"}, []string{"start /usr/sbin/telnetd -p 23"}, nil},
		{"android", "init.rc", "boot", map[string]string{"init.rc": "import /init.x.rc\non boot\n  setprop a b\nservice t /usr/sbin/telnetd -p 23\n  class main\nservice h /usr/sbin/httpd\n  disabled\n", "init.x.rc": "on property:ro.debuggable=1\n  start h\n", "default.prop": "ro.debuggable=0\n"}, []string{"start /usr/sbin/telnetd -p 23", "set a=b", "start /usr/sbin/httpd no"}, nil},
		{"cron", "cron", "timer", map[string]string{"etc/inittab": "::respawn:/usr/sbin/crond -f\n", "usr/sbin/crond": elf, "etc/crontabs/root": "# 1 1 * * * httpd\n*/5 * * * * telnetd -p 23 >/dev/null 2>&1\n"}, []string{"start telnetd -p 23"}, []string{"httpd"}},
		{"cron not started", "cron", "timer", map[string]string{"etc/inittab": "::respawn:/x\n", "etc/crontabs/root": "*/5 * * * * telnetd\n"}, []string{"start telnetd no"}, nil},
		{"written crontab", "cron", "timer", map[string]string{"etc/inittab": "::sysinit:/etc/i.sh\n", "usr/sbin/crond": elf, "etc/i.sh": "#!/bin/sh\necho '* * * * * telnetd -p 23' >> /var/spool/cron/crontabs/root\ncrond\n"}, []string{"start telnetd -p 23"}, nil},
		{"profile", "profile", "login", map[string]string{"etc/inittab": "ttyS0::respawn:-/bin/sh\n", "etc/profile": "telnetd -p 23 &\nfor i in /etc/profile.d/*.sh; do . $i; done\n", "etc/profile.d/x.sh": "httpd\n"}, []string{"start telnetd -p 23", "start httpd"}, nil},
		{"udev", "hotplug", "hotplug", map[string]string{"etc/udev/rules.d/9.rules": "# RUN+=\"httpd\"\nACTION==\"add\", KERNEL==\"sd*\", RUN+=\"/etc/u.sh %k\"\n", "etc/u.sh": "#!/bin/sh\ntelnetd -p 23\n"}, []string{"start telnetd -p 23"}, []string{"httpd"}},
		{"mdev", "hotplug", "hotplug", map[string]string{"etc/mdev.conf": "sd[a-z] 0:0 660 @/etc/u.sh\n", "etc/u.sh": "#!/bin/sh\ntelnetd -p 23\n"}, []string{"start telnetd -p 23"}, nil},
		{"interfaces", "hotplug", "boot", map[string]string{"etc/network/interfaces": "iface eth0 inet dhcp\n  up telnetd -p 23\n#  up httpd\n"}, []string{"start telnetd -p 23"}, []string{"httpd"}},
		{"program", "program", "boot", map[string]string{"sbin/init": "-> rc", "sbin/rc": elf + "\x00system\x00telnetd -p 23 &\x00httpd is not running\x00/usr/bin/none -x\x00httpd: %s\x00"}, []string{"start telnetd -p 23 ?"}, []string{"httpd", "none"}},
		{"messages of a daemon", "", "", map[string]string{"etc/inittab": "::respawn:/usr/sbin/httpd\n", "usr/sbin/httpd": elf + "\x00system\x00httpd -1 stdin is closed\x00httpd -p %d\x00telnetd version %s, %s\x00telnetd -1 stdin is not a socket\x00"}, []string{"start /usr/sbin/httpd"}, []string{"-1", "-p", "telnetd"}},
		{"a box starts its tools", "program", "boot", map[string]string{"sbin/init": "-> rc", "sbin/telnetd": "-> rc", "sbin/a": "-> rc", "sbin/b": "-> rc", "usr/sbin/telnetd": "-> ../../sbin/rc", "sbin/rc": elf + "\x00system\x00telnetd -p 23 &\x00rc -p 1\x00"}, []string{"start telnetd -p 23 ?"}, []string{"rc -p 1"}},
		{"switch of a program", "program", "boot", map[string]string{"sbin/init": "-> rc", "etc/nvram.default": "telnet_enable=0\n", "sbin/rc": elf + "\x00system\x00telnet_enable\x00telnetd -p 23 &\x00"}, []string{"start telnetd -p 23 no"}, nil},
		{"script of a program", "program", "boot", map[string]string{"etc/inittab": "::respawn:/usr/sbin/mgr\n", "usr/sbin/mgr": elf + "\x00popen\x00/etc/on.sh start %s\x00", "etc/on.sh": "#!/bin/sh\n[ $1 = start ] && telnetd -p $2\n"}, []string{"start telnetd -p $arg ?"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			for _, m := range []map[string]string{base, c.files} {
				for k, v := range m {
					files[k] = v
				}
			}
			l := Of(made(t, files))
			wants(t, l, c.want, c.not)
			for _, e := range l.Events {
				if e.Applet == "telnetd" && (e.Manager != c.manager && !(c.manager == "program" && e.Manager == "program") || e.Trigger != c.trigger) {
					t.Errorf("telnetd by %s, %s; want %s, %s", e.Manager, e.Trigger, c.manager, c.trigger)
				}
			}
		})
	}
}

// TestPackage starts what the installation of a package starts.
func TestPackage(t *testing.T) {
	l := Of(made(t, map[string]string{
		"usr/lib/systemd/system/t.service": "[Service]\nExecStart=/usr/sbin/td -D\n[Install]\nWantedBy=multi-user.target\n", "usr/sbin/td": elf,
		"etc/init.d/t": "#!/bin/sh\nother\n", "etc/init.d/u": "#!/bin/sh\ncase $1 in start) ud;; esac\n", "usr/sbin/ud": elf,
	}))
	wants(t, l, []string{"start /usr/sbin/td -D", "start ud"}, []string{"other"})
	l = Of(made(t, map[string]string{"control": "Package: x\n", "postinst": "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\ndb_get x/pw\nif [ \"$1\" = configure ]; then echo \"u:$RET\" | chpasswd; fi\n"}))
	wants(t, l, []string{`start chpasswd <"u:$x/pw\n"`}, nil)
	for _, e := range l.Events {
		if e.Trigger != "install" {
			t.Errorf("%s by %s", line(&e), e.Trigger)
		}
	}
}

// TestConfigured runs the scripts of packages that wait for it, and not those
// that ran when the product was made.
func TestConfigured(t *testing.T) {
	l := Of(made(t, busyboxRoot("", map[string]string{
		"var/lib/dpkg/status":          "Package: a\nStatus: install ok unpacked\n\nPackage: b\nStatus: install ok installed\n",
		"var/lib/dpkg/info/a.postinst": "#!/bin/sh\ntelnetd -p 1\n", "var/lib/dpkg/info/b.postinst": "#!/bin/sh\ntelnetd -p 2\n",
	})))
	wants(t, l, []string{"start telnetd -p 1"}, []string{"-p 2"})
}

// TestContainer runs an image's entry point, with its environment, and no init.
func TestContainer(t *testing.T) {
	p := made(t, busyboxRoot("telnetd -p 1\n", map[string]string{"entry.sh": "#!/bin/sh\nset -e\nhttpd -p $PORT\nexec \"$@\"\n"}))
	p.Volumes[0].Info = map[string]string{"config": `{"config":{"Entrypoint":["/entry.sh"],"Cmd":["telnetd","-F"],"Env":["PORT=8080"]}}`}
	wants(t, Of(p), []string{"start /entry.sh telnetd -F", "start httpd -p 8080", "start telnetd -F"}, []string{"-p 1"})
}

// TestOtherVolume runs a script of a partition that a boot script mounts.
func TestOtherVolume(t *testing.T) {
	if l := Of(made(t, busyboxRoot("mount -t jffs2 /dev/mtdblock5 /mnt/cfg\n[ -x /mnt/cfg/custom.sh ] && /mnt/cfg/custom.sh\n", nil))); !strings.Contains(strings.Join(linesOf(l), "\n"), "start /mnt/cfg/custom.sh ?") {
		t.Errorf("no open start of the custom script in %v", linesOf(l))
	}
}

// A unit that a path unit can start and that the target wants starts at boot.
func TestPathUnitHidesNoStart(t *testing.T) {
	l := Of(made(t, map[string]string{
		"lib/systemd/systemd":                                  elf,
		"lib/systemd/system/multi-user.target.wants/a.path":    "-> ../a.path",
		"lib/systemd/system/multi-user.target.wants/a.service": "-> ../a.service",
		"lib/systemd/system/a.path":                            "[Path]\nPathExists=/var/x\n",
		"lib/systemd/system/a.service":                         "[Service]\nExecStart=telnetd -l\n",
	}))
	triggers := map[string]bool{}
	for _, e := range l.Events {
		if e.Applet == "telnetd" {
			triggers[e.Trigger] = true
		}
	}
	if !triggers["boot"] || !triggers["hotplug"] {
		t.Errorf("telnetd starts by %v", triggers)
	}
}
