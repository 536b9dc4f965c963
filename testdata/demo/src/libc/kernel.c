/* kernel.c: the system calls. Numbers: Linux o32 (MIPS) and EABI (ARM) tables. */
#include "qv.h"
long qv_syscall(long, long, long, long, long, long, long) __attribute__((visibility("hidden")));
int errno;
#ifdef __mips__
#define N(mips, arm) (4000 + (mips))
#else
#define N(mips, arm) (arm)
#endif
static long ret(long r)
{
	if (r < 0 && r > -4096) { errno = -r; return -1; }
	return r;
}
#define S6(n, a, b, c, d, e, f) ret(qv_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))
#define S3(n, a, b, c) S6(n, a, b, c, 0, 0, 0)
int open(const char *p, int fl, ...)
{
	__builtin_va_list ap; __builtin_va_start(ap, fl); int m = __builtin_va_arg(ap, int); __builtin_va_end(ap);
	return S3(N(5, 5), p, fl, m);
}
int ioctl(int fd, unsigned long rq, ...)
{
	__builtin_va_list ap; __builtin_va_start(ap, rq); void *a = __builtin_va_arg(ap, void *); __builtin_va_end(ap);
	return S3(N(54, 54), fd, rq, a);
}
void _exit(int c) { for (;;) S3(N(1, 1), c, 0, 0); }
int fork(void) { return S3(N(2, 2), 0, 0, 0); }
ssize_t read(int f, void *b, size_t n) { return S3(N(3, 3), f, b, n); }
ssize_t write(int f, const void *b, size_t n) { return S3(N(4, 4), f, b, n); }
int close(int f) { return S3(N(6, 6), f, 0, 0); }
int unlink(const char *p) { return S3(N(10, 10), p, 0, 0); }
int execve(const char *p, char *const *a, char *const *e) { return S3(N(11, 11), p, a, e); }
int chmod(const char *p, int m) { return S3(N(15, 15), p, m, 0); }
long lseek(int f, long o, int w) { return S3(N(19, 19), f, o, w); }
int getpid(void) { return S3(N(20, 20), 0, 0, 0); }
int mount(const char *s, const char *t, const char *ty, unsigned long fl, const void *d) { return S6(N(21, 21), s, t, ty, fl, d, 0); }
int setuid(int u) { return S3(N(23, 213), u, 0, 0); }
int getuid(void) { return S3(N(24, 199), 0, 0, 0); }
int setgid(int g) { return S3(N(46, 214), g, 0, 0); }
int kill(int p, int s) { return S3(N(37, 37), p, s, 0); }
int rename(const char *a, const char *b) { return S3(N(38, 38), a, b, 0); }
int mkdir(const char *p, int m) { return S3(N(39, 39), p, m, 0); }
int dup2(int a, int b) { return S3(N(63, 63), a, b, 0); }
int setsid(void) { return S3(N(66, 66), 0, 0, 0); }
int sethostname(const char *s, size_t n) { return S3(N(74, 74), s, n, 0); }
int symlink(const char *a, const char *b) { return S3(N(83, 83), a, b, 0); }
int reboot(int how) { return S3(N(88, 88), 0xfee1dead, 672274793, how); }
int waitpid(int p, int *st, int o) { return S6(N(114, 114), p, st, o, 0, 0, 0); }
int getdents64(int f, void *b, size_t n) { return S3(N(219, 217), f, b, n); }
unsigned sleep(unsigned s) { struct timespec t = {s, 0}; S3(N(166, 162), &t, 0, 0); return 0; }
long time(long *o) { struct timespec t = {0, 0}; S3(N(263, 263), 0, &t, 0); if (o) *o = t.tv_sec; return t.tv_sec; }
int socket(int d, int t, int p) { return S3(N(183, 281), d, t, p); }
int bind(int f, const void *a, int n) { return S3(N(169, 282), f, a, n); }
int connect(int f, const void *a, int n) { return S3(N(170, 283), f, a, n); }
int listen(int f, int n) { return S3(N(174, 284), f, n, 0); }
int accept(int f, void *a, int *n) { return S3(N(168, 285), f, a, n); }
ssize_t send(int f, const void *b, size_t n, int fl) { return S6(N(178, 289), f, b, n, fl, 0, 0); }
ssize_t sendto(int f, const void *b, size_t n, int fl, const void *a, int l) { return S6(N(180, 290), f, b, n, fl, a, l); }
ssize_t recv(int f, void *b, size_t n, int fl) { return S6(N(175, 291), f, b, n, fl, 0, 0); }
ssize_t recvfrom(int f, void *b, size_t n, int fl, void *a, int *l) { return S6(N(176, 292), f, b, n, fl, a, l); }
int setsockopt(int f, int l, int o, const void *v, int n) { return S6(N(181, 294), f, l, o, v, n, 0); }
static char *brk_now;
void *malloc(size_t n)
{
	if (!brk_now) brk_now = (char *)qv_syscall(N(45, 45), 0, 0, 0, 0, 0, 0);
	n = (n + 7) & ~7ul;
	char *p = brk_now, *want = p + n;
	if ((char *)qv_syscall(N(45, 45), (long)want, 0, 0, 0, 0, 0) < want) return NULL;
	brk_now = want;
	return p;
}
void free(void *p) { (void)p; } /* programs here are short-lived or allocate once */
