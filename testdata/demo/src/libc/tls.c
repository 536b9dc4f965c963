/* tls.c: libqtls, a thin door to the SoC's TLS and signature engine (/dev/qtls). */
#include "qv.h"
#include "qtls.h"
struct qtls_open { char host[64]; u32 addr; u16 port; u16 verify; const void *key; u32 keylen; char ca[64]; };
struct qtls_sig { const void *msg; u32 len; const void *sig; u32 siglen; char key[64]; };
int qtls_connect(const char *host, int port, const char *ca, const void *key, int keylen)
{
	struct qtls_open o; int f = open("/dev/qtls", O_RDWR);
	if (f < 0) return -1;
	memset(&o, 0, sizeof o);
	struct hostent *h = gethostbyname(host);
	if (!h) { close(f); return -1; }
	strncpy(o.host, host, sizeof o.host - 1); memcpy(&o.addr, h->h_addr_list[0], 4); o.port = port; o.verify = ca != NULL;
	if (ca) strncpy(o.ca, ca, sizeof o.ca - 1);
	o.key = key; o.keylen = keylen;
	if (ioctl(f, _IOW('q', 1, struct qtls_open), &o) < 0) { close(f); return -1; }
	return f; /* read and write now carry plain text */
}
int qtls_verify(const char *keyfile, const void *msg, int len, const void *sig, int siglen)
{
	struct qtls_sig s = {msg, len, sig, siglen, {0}}; int f = open("/dev/qtls", O_RDWR), r;
	if (f < 0) return -1;
	strncpy(s.key, keyfile, sizeof s.key - 1);
	r = ioctl(f, _IOW('q', 2, struct qtls_sig), &s);
	close(f);
	return r;
}
