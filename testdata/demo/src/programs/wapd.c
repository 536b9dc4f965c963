/* wapd: the Wi-Fi access point of the set-up mode: gives name and passphrase of its file to the driver. */
#include "qv.h"
struct ap { char ssid[33], psk[65]; u8 channel; };
int main(int c, char **v)
{
	struct ap a; char ch[8]; const char *conf = c > 2 ? v[2] : "/etc/wapd.conf"; int f;
	memset(&a, 0, sizeof a);
	if (conf_get(conf, "ssid", a.ssid, sizeof a.ssid) < 0 || conf_get(conf, "wpa_passphrase", a.psk, sizeof a.psk) < 0) { dprintf(2, "wapd: %s is not complete\n", conf); return 1; }
	if (strlen(a.psk) < 8) { dprintf(2, "wapd: passphrase too short\n"); return 1; }
	if (conf_get(conf, "channel", ch, sizeof ch) == 0) a.channel = atoi(ch);
	if ((f = open("/dev/wlan0ctl", O_RDWR)) < 0 || ioctl(f, _IOW('w', 7, struct ap), &a) < 0) { dprintf(2, "wapd: no radio\n"); return 1; }
	for (;;) sleep(3600);
}
