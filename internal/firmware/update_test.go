package firmware

import (
	"strings"
	"testing"
)

// updater is a root file system with the programs that fetch and flash.
func updater(rcS string, more ...file) []file {
	files := router(rcS)
	for _, name := range []string{"wget", "curl", "git", "mtd", "sysupgrade", "openssl", "tftp", "ftpget", "tar", "fw_printenv", "opkg", "apt-get", "cwmpd", "chmod", "sed", "usign"} {
		files = append(files, file{path: "usr/bin/" + name, text: fakeELF + name, mode: 0o755})
	}
	return append(files, more...)
}

func TestUpdates(t *testing.T) {
	for _, c := range []struct {
		name, rcS string
		more      []file
		want      []string
	}{
		{"runs a file", "wget -O /tmp/a.sh http://up.maker.net/a.sh\nsh /tmp/a.sh", nil, []string{"update critical host=up.maker.net signed=false"}},
		{"runs by name", "curl -k -o /tmp/a https://up.maker.net/a\nchmod +x /tmp/a\n/tmp/a", nil, []string{"update high host=up.maker.net signed=false"}},
		{"pipe", "curl -s https://up.maker.net/a | sh", nil, []string{"update high host=up.maker.net signed=false"}},
		{"eval", "X=$(curl -s http://up.maker.net/a)\neval \"$X\"", nil, []string{"update critical host=up.maker.net signed=false"}},
		{"sh -c", "sh -c \"$(wget -qO- http://up.maker.net/a)\"", nil, []string{"update critical host=up.maker.net signed=false"}},
		{"variables", "H=up.maker.net\nF=/tmp/fw.bin\nU=http://$H/fw\nwget $U -O $F && mtd write $F linux", nil, []string{"update critical host=up.maker.net signed=false"}},
		{"redirected", "wget -qO- http://up.maker.net/a > /tmp/b\n. /tmp/b", nil, []string{"update critical host=up.maker.net signed=false"}},
		{"unpacked", "wget http://up.maker.net/a.tgz -O /tmp/a.tgz\ntar xzf /tmp/a.tgz -C /", nil, []string{"update critical host=up.maker.net signed=false"}},
		{"unpacked in memory", "wget http://up.maker.net/a.tgz -O /tmp/a.tgz\ntar xzf /tmp/a.tgz -C /tmp/x", nil, nil},
		{"signed", "wget http://up.maker.net/fw -O /tmp/fw\nwget http://up.maker.net/fw.sig -O /tmp/fw.sig\nopenssl dgst -sha256 -verify /etc/up.pem -signature /tmp/fw.sig /tmp/fw && sysupgrade /tmp/fw", nil, []string{"update low host=up.maker.net signed=true"}},
		{"checksum", "wget http://up.maker.net/fw -O /tmp/fw\nmd5sum -c /tmp/fw.md5 && sysupgrade /tmp/fw", nil, []string{"update critical host=up.maker.net signed=false"}},
		{"git", "git clone git://git.maker.net/x /opt/x\nsh /opt/x/run.sh", nil, nil},
		{"git, run", "git clone git://git.maker.net/x.git /tmp/x\n/tmp/x/run.sh", nil, nil},
		{"only shown", "wget -qO- http://up.maker.net/news > /tmp/news\ncat /tmp/news\nwget http://127.0.0.1/x -O /tmp/y; sh /tmp/y\nwget http://up.example.com/x -O /tmp/z; sh /tmp/z", nil, nil},
		{"comment", "# wget -O- http://up.maker.net/a | sh", nil, nil},
		{"boot variable", "fw_printenv -n extra | tar xz -C /", nil, []string{"update medium signed=false"}},
		{"card", "mount -t vfat /dev/mmcblk0p1 /mnt/x\n[ -f /mnt/x/run.sh ] && sh /mnt/x/run.sh", nil, []string{"update medium signed=false"}},
		{"stick by name", "[ -f /media/usb/run.sh ] && . /media/usb/run.sh", nil, []string{"update medium signed=false"}},
		{"own partition", "mount -t jffs2 /dev/mtdblock5 /mnt/cfg\n[ -f /mnt/cfg/run.sh ] && sh /mnt/cfg/run.sh", nil, nil},
		{"stick, by a copy", "", []file{{path: "etc/hotplug.d/block/20-x", text: "[ \"$ACTION\" = add ] || exit 0\nmount -o ro /dev/$DEVNAME /mnt/p\n[ -f /mnt/p/go.sh ] && cp /mnt/p/go.sh /tmp/go.sh && sh /tmp/go.sh\n"}}, []string{"update medium signed=false"}},
		{"stick, only saved to", "mount -t vfat /dev/sda1 /mnt/p\ncp /mnt/p/list.txt /tmp/list.txt\ncat /tmp/list.txt\ntar czf /mnt/p/logs.tgz /var/log", nil, nil},
		{"settings", "wget -q -O /tmp/p.cfg http://prov.maker.net/p.cfg && cp /tmp/p.cfg /config/p.cfg", nil, []string{"update critical host=prov.maker.net signed=false"}},
		{"TR-069 in XML", "cwmpd -d", []file{{path: "etc/c.xml", text: "<c>\n<ManagementServer>\n<URL>http://acs.maker.net:7547/a</URL>\n</ManagementServer>\n<Help>\n<URL>http://help.maker.net/</URL>\n</Help>\n</c>\n"}}, []string{"update high host=acs.maker.net signed=unknown"}},
		{"cron", "crond", []file{{path: "etc/crontabs/root", text: "0 3 * * * /usr/bin/up.sh\n"}, {path: "usr/bin/up.sh", text: "#!/bin/sh\ntftp -g -r u.sh -l /tmp/u.sh 8.9.10.11\nsh /tmp/u.sh\n", mode: 0o755}}, []string{"update critical host=8.9.10.11 signed=false"}},
		{"nobody starts it", "", []file{{path: "usr/bin/up.sh", text: "#!/bin/sh\nwget http://up.maker.net/a -O /tmp/a; sh /tmp/a\n", mode: 0o755}}, nil},
		{"feed", "", []file{{path: "etc/opkg.conf", text: "src/gz base http://feed.maker.net/base\n#option check_signature\n"}}, []string{"update critical host=feed.maker.net signed=false"}},
		{"signed feed", "", []file{{path: "etc/opkg.conf", text: "option check_signature\n"}, {path: "etc/opkg/distfeeds.conf", text: "src/gz base http://feed.maker.net/base\n"}}, []string{"update low host=feed.maker.net signed=true"}},
		{"apt", "", []file{{path: "etc/apt/sources.list", text: "deb http://deb.maker.net/debian stable main\n# deb http://x.maker.net/ y z\ndeb [trusted=yes] https://own.maker.org/ ./\n"}}, []string{"update low host=deb.maker.net signed=true", "update high host=own.maker.org signed=false"}},
		{"settings", "", []file{{path: "etc/autoupdate.conf", text: "server=https://fw.maker.net/v1\nverify=no\n"}}, []string{"update high host=fw.maker.net signed=false"}},
		{"settings, checked", "", []file{{path: "etc/ota.conf", text: "url=https://fw.maker.net/v1\npublic_key=/etc/k.pem\n"}}, []string{"update low host=fw.maker.net signed=true"}},
		{"TR-069", "cwmpd -d", []file{{path: "etc/tr069.conf", text: "acs_url=http://acs.maker.net:7547/a\n"}}, []string{"update high host=acs.maker.net signed=unknown"}},
		{"TR-069, no client", "", []file{{path: "etc/tr069.conf", text: "acs_url=http://acs.maker.net:7547/a\n"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			doors := doorsOf(t, Update, updater(c.rcS+"\n", c.more...)...)
			got := lines(doors, "host", "signed")
			if strings.HasPrefix(c.name, "git") { // what it clones is run from the folder
				c.want = []string{"update critical host=git.maker.net signed=false"}
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			for _, d := range doors {
				if d.Evidence[0].Line == 0 || d.Check == "" || d.Detail.Text("path") == "" {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

// TestFeedWithoutManager reads feeds of a package manager that is not there: it
// may be on another volume, so they weigh less.
func TestFeedWithoutManager(t *testing.T) {
	doors := doorsOf(t, Update, router("", file{path: "etc/opkg/base-feeds.conf", text: "src/gz base http://feed.maker.net/base\n"})...)
	if got := strings.Join(lines(doors, "host", "signed"), "\n"); got != "update high host=feed.maker.net signed=false" {
		t.Errorf("%q", got)
	}
}
