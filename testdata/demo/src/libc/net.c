/* net.c: names and addresses. */
#include "qv.h"
u16 htons(u16 v) { u8 b[2] = {v >> 8, v}; u16 r; memcpy(&r, b, 2); return r; }
u32 htonl(u32 v) { u8 b[4] = {v >> 24, v >> 16, v >> 8, v}; u32 r; memcpy(&r, b, 4); return r; }
u32 inet_addr(const char *s)
{
	u32 v = 0; char *e;
	for (int i = 0; i < 4; i++) { long n = strtol(s, &e, 10); if (e == s || n < 0 || n > 255) return ~0u; v = v << 8 | n; s = *e == '.' ? e + 1 : e; }
	return htonl(v);
}
static u32 lookup(const char *name) /* asks the first nameserver of /etc/resolv.conf for an A record */
{
	char conf[512], *ns; u8 q[300] = {0x51, 0x56, 1, 0, 0, 1}; u32 a = inet_addr(name);
	if (a != ~0u) return a;
	if (read_file("/etc/resolv.conf", conf, sizeof conf) < 0 || !(ns = strstr(conf, "nameserver "))) return ~0u;
	int n = 12, s = socket(AF_INET, SOCK_DGRAM, 0);
	for (const char *p = name; *p && n < 250;) {
		const char *d = strchr(p, '.'); int l = d ? d - p : (int)strlen(p);
		q[n++] = l; memcpy(q + n, p, l); n += l; p += l + (d != 0);
	}
	q[n++] = 0; q[n++] = 0; q[n++] = 1; q[n++] = 0; q[n++] = 1;
	struct sockaddr_in to = {AF_INET, htons(53), inet_addr(ns + 11), {0}};
	sendto(s, q, n, 0, &to, sizeof to);
	int got = recv(s, q, sizeof q, 0);
	close(s);
	if (got < n + 16 || q[7] == 0) return ~0u;
	memcpy(&a, q + got - 4, 4);
	return a;
}
struct hostent *gethostbyname(const char *name)
{
	static u32 addr; static char *list[2] = {(char *)&addr, NULL}; static struct hostent h = {NULL, NULL, AF_INET, 4, list};
	if ((addr = lookup(name)) == ~0u) return NULL;
	h.h_name = (char *)name;
	return &h;
}
