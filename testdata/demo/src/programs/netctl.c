/* netctl: brings an interface up; address by DHCP (RFC 2131: discover, request). */
#include "sock.h"
static int option(u8 *p, int n, u8 code, u8 **v) { for (int i = 240; i + 1 < n && p[i] != 255; i += 2 + p[i + 1]) if (p[i] == code) { *v = p + i + 2; return p[i + 1]; } return 0; }
int main(int c, char **v)
{
	u8 p[576] = {1, 1, 6, 0, 'Q', 'V', '2', '1'}, *o; struct sockaddr_in to = {AF_INET, htons(67), ~0u, {0}}; int s, one = 1, n;
	if (c < 4 || strcmp(v[1], "up") || strcmp(v[3], "dhcp")) { dprintf(2, "usage: netctl up IFACE dhcp\n"); return 2; }
	if ((s = udp_bind(NULL, 68)) < 0) return 1;
	setsockopt(s, SOL_SOCKET, SO_BROADCAST, &one, sizeof one);
	memcpy(p + 236, "\x63\x82\x53\x63\x35\x01\x01\xff", 8);
	for (int i = 0; i < 2; i++) {
		sendto(s, p, 300, 0, &to, sizeof to);
		if ((n = recv(s, p, sizeof p, 0)) < 240) return 1;
		p[0] = 1; p[242] = 3;
	}
	int f = open("/tmp/run/lease", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	dprintf(f, "address %d.%d.%d.%d\n", p[16], p[17], p[18], p[19]); close(f);
	if (option(p, n, 6, &o) >= 4) { f = open("/etc/resolv.conf", O_WRONLY | O_CREAT | O_TRUNC, 0644); dprintf(f, "nameserver %d.%d.%d.%d\n", o[0], o[1], o[2], o[3]); close(f); }
	return 0;
}
