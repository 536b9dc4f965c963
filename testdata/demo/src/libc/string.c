/* string.c: strings, numbers, formatted output. */
#include "qv.h"
size_t strlen(const char *s) { const char *p = s; while (*p) p++; return p - s; }
int strcmp(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return (u8)*a - (u8)*b; }
int strncmp(const char *a, const char *b, size_t n) { while (n && *a && *a == *b) a++, b++, n--; return n ? (u8)*a - (u8)*b : 0; }
static int low(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
int strcasecmp(const char *a, const char *b) { while (*a && low(*a) == low(*b)) a++, b++; return low((u8)*a) - low((u8)*b); }
char *strcpy(char *d, const char *s) { char *r = d; while ((*d++ = *s++)) ; return r; }
char *strncpy(char *d, const char *s, size_t n) { char *r = d; while (n && (*d = *s)) d++, s++, n--; while (n--) *d++ = 0; return r; }
char *strcat(char *d, const char *s) { strcpy(d + strlen(d), s); return d; }
char *strchr(const char *s, int c) { for (;; s++) { if (*s == (char)c) return (char *)s; if (!*s) return NULL; } }
char *strrchr(const char *s, int c) { const char *r = NULL; for (;; s++) { if (*s == (char)c) r = s; if (!*s) return (char *)r; } }
char *strstr(const char *h, const char *n) { size_t l = strlen(n); for (; *h; h++) if (!strncmp(h, n, l)) return (char *)h; return l ? NULL : (char *)h; }
void *memcpy(void *d, const void *s, size_t n) { char *a = d; const char *b = s; while (n--) *a++ = *b++; return d; }
void *memmove(void *d, const void *s, size_t n)
{
	char *a = d; const char *b = s;
	if (a < b) return memcpy(d, s, n);
	while (n--) a[n] = b[n];
	return d;
}
void *memset(void *d, int c, size_t n) { char *a = d; while (n--) *a++ = c; return d; }
int memcmp(const void *x, const void *y, size_t n) { const u8 *a = x, *b = y; for (; n; n--, a++, b++) if (*a != *b) return *a - *b; return 0; }
char *strdup(const char *s) { char *p = malloc(strlen(s) + 1); return p ? strcpy(p, s) : p; }
char *strtok(char *s, const char *sep)
{
	static char *next;
	if (s) next = s;
	if (!next) return NULL;
	while (*next && strchr(sep, *next)) next++;
	if (!*next) return next = NULL;
	char *r = next;
	while (*next && !strchr(sep, *next)) next++;
	if (*next) *next++ = 0; else next = NULL;
	return r;
}
long strtol(const char *s, char **end, int base)
{
	long v = 0; int neg = 0;
	while (*s == ' ') s++;
	if (*s == '-') neg = 1, s++;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && (!base || base == 16)) base = 16, s += 2;
	if (!base) base = 10;
	for (;; s++) {
		int d = *s >= '0' && *s <= '9' ? *s - '0' : low(*s) >= 'a' && low(*s) <= 'f' ? low(*s) - 'a' + 10 : 99;
		if (d >= base) break;
		v = v * base + d;
	}
	if (end) *end = (char *)s;
	return neg ? -v : v;
}
int atoi(const char *s) { return strtol(s, NULL, 10); }
struct out { char *p; size_t left; int n; };
static void put(struct out *o, char c) { o->n++; if (o->left > 1) { *o->p++ = c; o->left--; } }
static void number(struct out *o, unsigned v, unsigned base, int width, char pad)
{
	char t[12]; int i = 0;
	do t[i++] = "0123456789abcdef"[v % base]; while (v /= base);
	while (width-- > i) put(o, pad);
	while (i) put(o, t[--i]);
}
int vsnprintf(char *b, size_t n, const char *f, __builtin_va_list ap)
{
	struct out o = {b, n, 0};
	for (; *f; f++) {
		if (*f != '%') { put(&o, *f); continue; }
		char pad = ' '; int w = 0;
		if (*++f == '0') pad = '0', f++;
		while (*f >= '0' && *f <= '9') w = w * 10 + *f++ - '0';
		if (*f == 'l') f++;
		if (*f == 's') { const char *s = __builtin_va_arg(ap, const char *); for (s = s ? s : "(null)"; *s; s++) put(&o, *s); }
		else if (*f == 'c') put(&o, __builtin_va_arg(ap, int));
		else if (*f == 'd') { int v = __builtin_va_arg(ap, int); if (v < 0) put(&o, '-'), v = -v; number(&o, v, 10, w, pad); }
		else if (*f == 'u') number(&o, __builtin_va_arg(ap, unsigned), 10, w, pad);
		else if (*f == 'x') number(&o, __builtin_va_arg(ap, unsigned), 16, w, pad);
		else put(&o, *f);
	}
	if (n) *o.p = 0;
	return o.n;
}
int snprintf(char *b, size_t n, const char *f, ...)
{
	__builtin_va_list ap; __builtin_va_start(ap, f); int r = vsnprintf(b, n, f, ap); __builtin_va_end(ap); return r;
}
int dprintf(int fd, const char *f, ...)
{
	char b[1024]; __builtin_va_list ap; __builtin_va_start(ap, f); vsnprintf(b, sizeof b, f, ap); __builtin_va_end(ap);
	return write(fd, b, strlen(b));
}
int printf(const char *f, ...)
{
	char b[1024]; __builtin_va_list ap; __builtin_va_start(ap, f); vsnprintf(b, sizeof b, f, ap); __builtin_va_end(ap);
	return write(1, b, strlen(b));
}
int puts(const char *s) { return printf("%s\n", s); }
