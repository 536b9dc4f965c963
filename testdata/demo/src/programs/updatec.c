/* updatec: fetches the signed manifest, checks it, then writes the new system into the spare partition. */
#include "qv.h"
#include "qtls.h"
static char url[160], key[96], ca[96], body[65536];
static int fetch(const char *u, char *out, int n)
{
	char host[96]; const char *h = strstr(u, "://"), *path; int got = 0, r;
	if (!h || !(path = strchr(h + 3, '/'))) return -1;
	memset(host, 0, sizeof host); memcpy(host, h + 3, path - h - 3 < 95 ? path - h - 3 : 95);
	int f = qtls_connect(host, 443, ca, NULL, 0);
	if (f < 0) return -1;
	dprintf(f, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, host);
	while (got < n - 1 && (r = read(f, out + got, n - 1 - got)) > 0) got += r;
	close(f); out[got] = 0;
	char *b = strstr(out, "\r\n\r\n");
	if (!b) return -1;
	got -= b + 4 - out; memmove(out, b + 4, got);
	return got;
}
static int newer(const char *a, const char *b)
{
	for (;;) {
		char *e, *g; int x = strtol(a, &e, 10), y = strtol(b, &g, 10);
		if (x != y) return x > y;
		if (*e != '.' || *g != '.') return 0;
		a = e + 1; b = g + 1;
	}
}
static int install(const char *image, int n)
{
	int f = open("/dev/mtd4", O_WRONLY);
	if (f < 0) return -1;
	int ok = write(f, image, n) == n;
	close(f);
	return ok ? 0 : -1;
}
static int once(void)
{
	char now[32] = "0", u[224]; char sig[64]; int n = fetch(url, body, sizeof body);
	if (n < 64) return -1;
	memcpy(sig, body + n - 64, 64); n -= 64;
	if (qtls_verify(key, body, n, sig, 64) != 0) { dprintf(2, "updatec: manifest signature is wrong: not installed\n"); return -1; }
	body[n] = 0; read_file("/usr/share/version", now, sizeof now);
	char *version = strtok(body, "\n"), *name = strtok(NULL, "\n");
	if (!version || !name || !newer(version, now)) return 0;
	snprintf(u, sizeof u, "%s/../%s", url, name);
	if ((n = fetch(u, body, sizeof body)) < 64 || qtls_verify(key, body, n - 64, body + n - 64, 64) != 0) { dprintf(2, "updatec: image signature is wrong: not installed\n"); return -1; }
	return install(body, n - 64);
}
int main(int c, char **v)
{
	const char *conf = c > 2 ? v[2] : "/etc/updatec.conf";
	if (conf_get(conf, "url", url, sizeof url) < 0 || conf_get(conf, "key", key, sizeof key) < 0 || conf_get(conf, "ca", ca, sizeof ca) < 0) { dprintf(2, "updatec: %s is not complete\n", conf); return 1; }
	for (;; sleep(86400)) { once(); if (c < 4) return 0; }
}
