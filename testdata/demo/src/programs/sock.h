/* sock.h: ready-made sockets, compiled into each program that wants one. */
#include "qv.h"
static __attribute__((unused)) u32 resolve(const char *host)
{
	struct hostent *h = gethostbyname(host); u32 a = ~0u;
	if (h) memcpy(&a, h->h_addr_list[0], 4);
	return a;
}
static __attribute__((unused)) int bound(int type, const char *ip, int port)
{
	int s = socket(AF_INET, type, 0), one = 1; struct sockaddr_in a = {AF_INET, htons(port), ip ? inet_addr(ip) : 0, {0}};
	if (s < 0) return -1;
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, &a, sizeof a) < 0) { close(s); return -1; }
	return s;
}
static __attribute__((unused)) int tcp_listen(const char *ip, int port) { int s = bound(SOCK_STREAM, ip, port); return s < 0 || listen(s, 8) < 0 ? -1 : s; }
static __attribute__((unused)) int udp_bind(const char *ip, int port) { return bound(SOCK_DGRAM, ip, port); }
static __attribute__((unused)) int tcp_connect(const char *host, int port)
{
	struct sockaddr_in a = {AF_INET, htons(port), resolve(host), {0}}; int s = socket(AF_INET, SOCK_STREAM, 0);
	if (a.sin_addr == ~0u || s < 0 || connect(s, &a, sizeof a) < 0) { if (s >= 0) close(s); return -1; }
	return s;
}
