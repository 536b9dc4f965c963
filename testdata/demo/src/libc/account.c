/* account.c: MD5-crypt hashes and the shadow file. */
#include "qv.h"
struct md5 { u32 h[4], n; u8 b[64]; };
static u32 rol(u32 v, int s) { return v << s | v >> (32 - s); }
/* floor(2^32 * abs(sin(i+1))), RFC 1321 */
static const u32 K[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391
};
static const u8 R[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};
static void block(struct md5 *m, const u8 *p)
{
	u32 w[16], a = m->h[0], b = m->h[1], c = m->h[2], d = m->h[3];
	for (int i = 0; i < 16; i++) w[i] = p[4 * i] | p[4 * i + 1] << 8 | p[4 * i + 2] << 16 | (u32)p[4 * i + 3] << 24;
	for (int i = 0; i < 64; i++) {
		u32 f; int g, r = i >> 4;
		if (r == 0) f = (b & c) | (~b & d), g = i;
		else if (r == 1) f = (d & b) | (~d & c), g = 5 * i + 1;
		else if (r == 2) f = b ^ c ^ d, g = 3 * i + 5;
		else f = c ^ (b | ~d), g = 7 * i;
		u32 t = d; d = c; c = b; b += rol(a + f + K[i] + w[g & 15], R[r * 4 + (i & 3)]); a = t;
	}
	m->h[0] += a; m->h[1] += b; m->h[2] += c; m->h[3] += d;
}
static void begin(struct md5 *m) { m->h[0] = 0x67452301; m->h[1] = 0xefcdab89; m->h[2] = 0x98badcfe; m->h[3] = 0x10325476; m->n = 0; }
static void add(struct md5 *m, const void *p, u32 n) { for (const u8 *s = p; n--; s++) { m->b[m->n++ & 63] = *s; if (!(m->n & 63)) block(m, m->b); } }
static void end(struct md5 *m, u8 *out)
{
	u32 bits = m->n * 8; u8 l[8] = {bits, bits >> 8, bits >> 16, bits >> 24};
	add(m, "\x80", 1);
	while ((m->n & 63) != 56) add(m, "", 1);
	add(m, l, 8);
	for (int i = 0; i < 16; i++) out[i] = m->h[i / 4] >> (i & 3) * 8;
}
static char *to64(char *o, u32 v, int n) { while (n--) { *o++ = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[v & 63]; v >>= 6; } return o; }
/* crypt knows $1$ (MD5) hashes only. */
char *crypt(const char *pw, const char *salt)
{
	static char out[64]; struct md5 m, t; u8 d[16]; const char *s = salt + 3; int sl = 0, pl = strlen(pw);
	if (strncmp(salt, "$1$", 3)) return NULL;
	while (sl < 8 && s[sl] && s[sl] != '$') sl++;
	begin(&t); add(&t, pw, pl); add(&t, s, sl); add(&t, pw, pl); end(&t, d);
	begin(&m); add(&m, pw, pl); add(&m, "$1$", 3); add(&m, s, sl);
	for (int i = pl; i > 0; i -= 16) add(&m, d, i > 16 ? 16 : i);
	for (int i = pl; i; i >>= 1) add(&m, i & 1 ? "" : pw, 1);
	end(&m, d);
	for (int i = 0; i < 1000; i++) {
		begin(&m);
		if (i & 1) add(&m, pw, pl); else add(&m, d, 16);
		if (i % 3) add(&m, s, sl);
		if (i % 7) add(&m, pw, pl);
		if (i & 1) add(&m, d, 16); else add(&m, pw, pl);
		end(&m, d);
	}
	memcpy(out, salt, 3 + sl); char *o = out + 3 + sl; *o++ = '$';
	for (int i = 0; i < 5; i++) o = to64(o, d[i] << 16 | d[i + 6] << 8 | d[i == 4 ? 5 : i + 12], 4);
	o = to64(o, d[11], 2); *o = 0;
	return out;
}
int shadow_hash(const char *user, char *out, size_t n)
{
	static char f[4096]; int l = strlen(user); char *p = f;
	if (read_file("/etc/shadow", f, sizeof f) < 0) return -1;
	for (; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : p)
		if (!strncmp(p, user, l) && p[l] == ':') { char *e = strchr(p + l + 1, ':'); if (!e) return -1; *e = 0; strncpy(out, p + l + 1, n - 1); out[n - 1] = 0; return 0; }
	return -1;
}
int shadow_check(const char *user, const char *pw)
{
	char h[128], *c;
	if (shadow_hash(user, h, sizeof h) < 0 || h[0] != '$') return -1;
	return (c = crypt(pw, h)) && !strcmp(c, h) ? 0 : -1;
}
