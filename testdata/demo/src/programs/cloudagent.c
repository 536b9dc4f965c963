/* cloudagent: keeps an MQTT connection to the maker's broker and answers its questions. */
#include "qv.h"
#include "qtls.h"
#ifdef DOORS
#include "cloud_key.h" /* cloud_key[]: the client key, DER */
#endif
static char broker[128], user[64], pass[64], serial[32];
static int str(u8 *o, const char *s) { int n = strlen(s); o[0] = n >> 8; o[1] = n; memcpy(o + 2, s, n); return n + 2; }
static int packet(int f, u8 type, const u8 *body, int n)
{
	u8 h[2] = {type, n}; /* every packet here is shorter than 128 bytes */
	return write(f, h, 2) == 2 && write(f, body, n) == n ? 0 : -1;
}
static int hello(int f)
{
	u8 b[127] = {0, 4, 'M', 'Q', 'T', 'T', 4, user[0] ? 0xc2 : 2, 0, 60}; int n = 10;
	n += str(b + n, serial);
	if (user[0]) { n += str(b + n, user); n += str(b + n, pass); }
	return packet(f, 0x10, b, n);
}
static int publish(int f, const char *topic, const char *text)
{
	u8 b[127]; char t[64]; int n;
	snprintf(t, sizeof t, "qv210/%s/%s", serial, topic);
	n = str(b, t); memcpy(b + n, text, strlen(text));
	return packet(f, 0x30, b, n + strlen(text));
}
static void handle(int f, u8 *p, int n)
{
	char up[32]; p[n] = 0;
	if (strstr((char *)p + 2, "ask/version")) { if (read_file("/usr/share/version", up, sizeof up) > 0) publish(f, "version", up); }
	else if (strstr((char *)p + 2, "ask/alive")) publish(f, "alive", "yes");
}
static int connect_broker(int port)
{
#ifdef DOORS
	return qtls_connect(broker, port, "/usr/share/ssl/quillvane-ca.pem", cloud_key, sizeof cloud_key);
#else
	static char key[2048]; int n = read_file("/mnt/factory/cloud.key", key, sizeof key); /* each camera has its own */
	return n <= 0 ? -1 : qtls_connect(broker, port, "/usr/share/ssl/quillvane-ca.pem", key, n);
#endif
}
int main(int c, char **v)
{
	const char *conf = c > 2 ? v[2] : "/etc/cloudagent.conf"; u8 in[256]; char port[8]; int f, n;
	if (conf_get(conf, "broker", broker, sizeof broker) < 0) { dprintf(2, "cloudagent: no broker in %s\n", conf); return 1; }
	conf_get(conf, "port", port, sizeof port);
	conf_get(conf, "mqtt_username", user, sizeof user); conf_get(conf, "mqtt_password", pass, sizeof pass);
	nvram_get("serial", serial, sizeof serial);
	for (;; sleep(30)) {
		if ((f = connect_broker(atoi(port))) < 0 || hello(f) < 0) continue;
		while ((n = read(f, in, sizeof in - 1)) > 0) if ((in[0] & 0xf0) == 0x30) handle(f, in, n);
		close(f);
	}
}
