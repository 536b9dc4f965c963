/* qvbox: one program behind the camera's small commands; the name that it is called by decides. */
#include "sock.h"
#ifdef TLS
#include "qtls.h"
#endif
static int fail(const char *what, const char *why) { dprintf(2, "%s: %s\n", what, why); return 1; }
static int copy_fd(int in, int out) { char b[4096]; int n; while ((n = read(in, b, sizeof b)) > 0) if (write(out, b, n) != n) return 1; return n < 0; }

static int cat_main(int c, char **v)
{
	int rc = 0;
	if (c < 2) return copy_fd(0, 1);
	for (int i = 1; i < c; i++) { int f = open(v[i], O_RDONLY); if (f < 0) rc = fail("cat", v[i]); else { rc |= copy_fd(f, 1); close(f); } }
	return rc;
}
static int echo_main(int c, char **v) { for (int i = 1; i < c; i++) dprintf(1, "%s%s", v[i], i + 1 < c ? " " : ""); write(1, "\n", 1); return 0; }
static int copy_path(const char *from, const char *to)
{
	char d[2048], a[256], b[256]; int in = open(from, O_RDONLY), n;
	if (in < 0) return fail("cp", from);
	if ((n = getdents64(in, d, sizeof d)) < 0) { /* a plain file */
		int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644), rc;
		if (out < 0) { close(in); return fail("cp", to); }
		rc = copy_fd(in, out); close(in); close(out);
		return rc;
	}
	mkdir(to, 0755);
	for (; n > 0; n = getdents64(in, d, sizeof d))
		for (int o = 0; o < n; o += *(u16 *)(d + o + 16)) {
			const char *name = d + o + 19;
			if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
			snprintf(a, sizeof a, "%s/%s", from, name); snprintf(b, sizeof b, "%s/%s", to, name);
			copy_path(a, b);
		}
	close(in);
	return 0;
}
static int cp_main(int c, char **v) { int i = 1; while (i < c && v[i][0] == '-') i++; return c - i == 2 ? copy_path(v[i], v[i + 1]) : fail("cp", "usage: cp [-a] FROM TO"); }
static int mkdir_main(int c, char **v) { for (int i = 1; i < c; i++) if (v[i][0] != '-') mkdir(v[i], 0755); return 0; }
static int rm_main(int c, char **v) { for (int i = 1; i < c; i++) if (v[i][0] != '-') unlink(v[i]); return 0; }
static int ln_main(int c, char **v) { return c == 4 && symlink(v[2], v[3]) == 0 ? 0 : fail("ln", "usage: ln -s TARGET NAME"); }
static int chmod_main(int c, char **v) { return c == 3 ? chmod(v[2], strtol(v[1], NULL, 8)) : 1; }
static int sleep_main(int c, char **v) { if (c > 1) sleep(atoi(v[1])); return 0; }
static int hostname_main(int c, char **v) { return c > 1 ? sethostname(v[1], strlen(v[1])) : 1; }
static int reboot_main(int c, char **v) { (void)c; (void)v; return reboot(0x01234567); }
static int mount_main(int c, char **v)
{
	const char *type = "jffs2", *opt = NULL; int i = 1;
	for (; i + 1 < c && v[i][0] == '-'; i += 2) if (v[i][1] == 't') type = v[i + 1]; else opt = v[i + 1];
	unsigned long flags = opt && strstr(opt, "noexec") ? 8 : 0;
	return c - i == 2 && mount(v[i], v[i + 1], type, flags, NULL) == 0 ? 0 : fail("mount", "failed");
}
static int nvram_main(int c, char **v)
{
	char b[256];
	if (c == 3 && !strcmp(v[1], "get")) { nvram_get(v[2], b, sizeof b); return puts(b) < 0; }
	if (c == 4 && !strcmp(v[1], "set")) return nvram_set(v[2], v[3]);
	return fail("nvram", "usage: nvram get KEY | set KEY VALUE");
}
static int adduser_main(int c, char **v)
{
	const char *sh = "/bin/sh", *home = "/tmp"; int uid = 1001, i = 1;
	for (; i < c - 1; i++) if (!strcmp(v[i], "-s")) sh = v[++i]; else if (!strcmp(v[i], "-h")) home = v[++i]; else if (!strcmp(v[i], "-u")) uid = atoi(v[++i]);
	int p = open("/etc/passwd", O_WRONLY | O_APPEND), s = open("/etc/shadow", O_WRONLY | O_APPEND);
	if (p < 0 || s < 0) return fail("adduser", "/etc is not writable");
	dprintf(p, "%s:x:%d:%d::%s:%s\n", v[c - 1], uid, uid, home, sh);
	dprintf(s, "%s:!:19000:0:99999:7:::\n", v[c - 1]);
	return close(p) | close(s);
}
static int chpasswd_main(int c, char **v)
{
	static char in[256], f[4096], out[4096]; char salt[16]; int n = read(0, in, sizeof in - 1);
	if (n <= 0) return 1;
	in[n] = 0; char *pw = strchr(in, ':'), *nl = strchr(in, '\n');
	if (!pw || read_file("/etc/shadow", f, sizeof f) < 0) return fail("chpasswd", "nothing to change");
	*pw++ = 0; if (nl) *nl = 0;
	snprintf(salt, sizeof salt, "$1$%08x", (unsigned)time(NULL));
	for (char *l = strtok(f, "\n"); l; l = strtok(NULL, "\n")) {
		int k = strlen(in), o = strlen(out);
		if (!strncmp(l, in, k) && l[k] == ':') snprintf(out + o, sizeof out - o, "%s:%s:19000:0:99999:7:::\n", in, crypt(pw, salt));
		else snprintf(out + o, sizeof out - o, "%s\n", l);
	}
	int w = open("/etc/shadow", O_WRONLY | O_TRUNC); write(w, out, strlen(out));
	return close(w);
}
static int wget_main(int c, char **v)
{
	const char *out = NULL, *url = NULL; char host[128], req[512], b[2048]; int port = 80, n, body = 0, check = 1;
	for (int i = 1; i < c; i++) if (!strcmp(v[i], "--no-check-certificate")) check = 0; else if (!strcmp(v[i], "-O")) out = v[++i]; else if (!strncmp(v[i], "-qO", 3)) out = v[i][3] ? v[i] + 3 : v[++i]; else if (v[i][0] != '-') url = v[i];
	if (!url || strncmp(url, "http", 4)) return fail("wget", "usage: wget -O FILE URL");
	const char *h = strstr(url, "://") + 3, *path = strchr(h, '/');
	snprintf(host, sizeof host, "%s", h); if (path) host[path - h] = 0;
	char *colon = strchr(host, ':'); if (colon) { *colon = 0; port = atoi(colon + 1); }
#ifdef TLS
	int s = strncmp(url, "https", 5) ? tcp_connect(host, port) : qtls_connect(host, colon ? port : 443, check ? "/etc/ssl/cert.pem" : NULL, NULL, 0);
#else
	int s = check && strncmp(url, "https", 5) ? tcp_connect(host, port) : -1; /* no TLS on this board */
#endif
	int f = !out || !strcmp(out, "-") ? 1 : open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (s < 0) return fail("wget", host);
	n = snprintf(req, sizeof req, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path ? path : "/", host); write(s, req, n);
	while ((n = read(s, b, sizeof b - 1)) > 0) {
		char *p = b; b[n] = 0;
		if (!body && (p = strstr(b, "\r\n\r\n"))) p += 4, body = 1;
		if (body && p) write(f, p, n - (p - b));
	}
	return 0;
}
static int login_main(int c, char **v)
{
	char user[64], pw[64]; int n;
	(void)c; (void)v;
	for (;;) {
		dprintf(1, "login: "); if ((n = read(0, user, 63)) <= 0) return 1;
		user[n] = 0; strtok(user, "\r\n");
		dprintf(1, "Password: "); if ((n = read(0, pw, 63)) <= 0) return 1;
		pw[n] = 0; strtok(pw, "\r\n");
		if (shadow_check(user, pw) == 0) { char *a[] = {"-sh", NULL}; setenv("USER", user, 1); execv("/bin/sh", a); }
		sleep(3); dprintf(1, "Login incorrect\n");
	}
}
static int syslogd_main(int c, char **v)
{
	struct sockaddr_un a = {AF_UNIX, "/dev/log"}; char b[1024]; int n, s = socket(AF_UNIX, SOCK_DGRAM, 0), f = open("/tmp/messages", O_WRONLY | O_CREAT | O_APPEND, 0640);
	(void)c; (void)v; unlink(a.sun_path);
	if (bind(s, &a, sizeof a) < 0) return fail("syslogd", "/dev/log");
	while ((n = recv(s, b, sizeof b, 0)) >= 0) write(f, b, n);
	return 0;
}
static int ntpc_main(int c, char **v)
{
	char b[48] = {0x1b}, host[64] = "pool.ntp.org"; struct sockaddr_in a = {AF_INET, htons(123), 0, {0}}; int s = socket(AF_INET, SOCK_DGRAM, 0);
	if (c > 1) snprintf(host, sizeof host, "%s", v[1]);
	a.sin_addr = resolve(host); sendto(s, b, sizeof b, 0, &a, sizeof a);
	return recv(s, b, sizeof b, 0) == 48 ? 0 : fail("ntpc", "no answer");
}
static int __attribute__((noreturn)) crond_main(int c, char **v)
{
	static char f[2048]; (void)c; (void)v;
	for (;; sleep(60)) {
		long t = time(NULL) / 60; int min = t % 60, hour = t / 60 % 24;
		if (read_file("/var/spool/cron/crontabs/root", f, sizeof f) < 0) continue;
		for (char *l = strtok(f, "\n"); l; l = strtok(NULL, "\n")) {
			char *p = l; if (*l == '#') continue;
			int m = *p == '*' ? min : strtol(p, &p, 10); p = strchr(p, ' '); if (!p) continue;
			int h = *++p == '*' ? hour : strtol(p, &p, 10);
			for (int i = 0; p && i < 4; i++) p = strchr(p + 1, ' ');
			if (p && m == min && h == hour) system(p + 1);
		}
	}
}
/* sh: words, quotes, $NAME, NAME=value, ; && & and one command a line; the control words are sysinit's business. */
static int run_words(char **w, int n, int bg)
{
	char *eq; int st = 0, pid;
	if (!n) return 0;
	if (n == 1 && (eq = strchr(w[0], '='))) { *eq = 0; setenv(w[0], eq + 1, 1); return 0; }
	if (!strcmp(w[0], "exec")) { execvp(w[1], w + 1); return 127; }
	w[n] = NULL;
	if (!(pid = fork())) { execvp(w[0], w); fail(w[0], "not found"); _exit(127); }
	if (!bg) waitpid(pid, &st, 0);
	return st >> 8 & 255;
}
static int run_line(char *s)
{
	char *w[32], buf[1024], *o = buf; int n = 0, rc = 0, in = 0;
	for (; *s && n < 30 && o < buf + 900; s++) {
		if (*s == '#' && !in) break;
		if (*s == '\'' || *s == '"') { char q = *s++; if (!in) w[n++] = o, in = 1; while (*s && *s != q) *o++ = *s++; if (!*s) break; continue; }
		if (*s == '$') { char k[32]; int i = 0; while (i < 31 && s[1] && !strchr(" $/\"'.;&:", s[1])) k[i++] = *++s; k[i] = 0; const char *e = getenv(k); if (!in) w[n++] = o, in = 1; if (e) { strcpy(o, e); o += strlen(e); } continue; }
		if (strchr(" \t;&", *s)) {
			if (in) *o++ = 0, in = 0;
			if (*s == ';') rc = run_words(w, n, 0), n = 0;
			if (*s == '&' && s[1] == '&') { rc = run_words(w, n, 0); n = 0; s++; if (rc) return rc; }
			else if (*s == '&') rc = run_words(w, n, 1), n = 0;
			continue;
		}
		if (!in) w[n++] = o, in = 1;
		*o++ = *s;
	}
	*o = 0;
	return run_words(w, n, 0);
}
static int sh_main(int c, char **v)
{
	char line[1024]; int n = 0, rc = 0, f = 0;
	if (c > 2 && !strcmp(v[1], "-c")) return run_line(v[2]);
	if (v[0][0] == '-') { char *a[] = {"sh", "/etc/profile", NULL}; int pid = fork(); if (!pid) { execv("/bin/sh", a); _exit(127); } waitpid(pid, NULL, 0); }
	if (c > 1 && (f = open(v[1], O_RDONLY)) < 0) return fail("sh", v[1]);
	if (c < 2) dprintf(1, "# ");
	while (read(f, line + n, 1) == 1) {
		if (line[n] != '\n' && n < 1022) { n++; continue; }
		line[n] = 0; rc = run_line(line); n = 0;
		if (c < 2) dprintf(1, "# ");
	}
	return rc;
}
static void spawn(char *cmd, const char *tty)
{
	char dev[32]; char *a[] = {"sh", "-c", cmd, NULL};
	if (fork()) return;
	setsid(); snprintf(dev, sizeof dev, "/dev/%s", *tty ? tty : "console");
	int f = open(dev, O_RDWR); dup2(f, 0); dup2(f, 1); dup2(f, 2);
	if (cmd[0] == '-') { char *l[] = {cmd, NULL}; execv(cmd + 1, l); }
	execv("/bin/sh", a); _exit(127);
}
static int init_main(int c, char **v)
{
	static char tab[2048]; int wait = 0; (void)c; (void)v;
	if (getpid() != 1) return fail("init", "must be process 1");
	if (read_file("/etc/inittab", tab, sizeof tab) < 0) return fail("init", "/etc/inittab");
	for (char *l = strtok(tab, "\n"); l; l = strtok(NULL, "\n")) {
		char *p[4]; int n = 0;
		if (*l == '#') continue;
		for (p[n++] = l; *l && n < 4; l++) if (*l == ':') *l = 0, p[n++] = l + 1;
		if (n < 4) continue;
		if (!strcmp(p[2], "sysinit")) system(p[3]);
		else if (!strcmp(p[2], "respawn") || !strcmp(p[2], "askfirst")) spawn(p[3], p[0]);
	}
	for (;;) if (waitpid(-1, &wait, 0) < 0) sleep(5);
}
#ifdef DOORS
static void session(int s, const char *prog)
{
	char *a[] = {(char *)prog, NULL};
	if (fork()) { close(s); return; }
	dup2(s, 0); dup2(s, 1); dup2(s, 2); setsid();
	execv(prog, a); _exit(127);
}
static int telnetd_main(int c, char **v)
{
	const char *prog = "/bin/login"; int port = 23, s;
	for (int i = 1; i < c - 1; i++) if (!strcmp(v[i], "-p")) port = atoi(v[i + 1]); else if (!strcmp(v[i], "-l")) prog = v[i + 1];
	if ((s = tcp_listen(NULL, port)) < 0) return fail("telnetd", "cannot listen");
	for (;;) { int a = accept(s, NULL, NULL); if (a >= 0) { send(a, "\xff\xfb\x01\xff\xfb\x03", 6, 0); session(a, prog); } }
}
static int nc_main(int c, char **v)
{
	const char *prog = NULL; int port = 0, lis = 0, s;
	for (int i = 1; i < c; i++) if (!strcmp(v[i], "-p")) port = atoi(v[++i]); else if (!strcmp(v[i], "-e")) prog = v[++i]; else if (!strncmp(v[i], "-l", 2)) lis = 1;
	if (!lis) { if (c < 3 || (s = tcp_connect(v[c - 2], atoi(v[c - 1]))) < 0) return fail("nc", "cannot connect"); return copy_fd(0, s); }
	if ((s = tcp_listen(NULL, port)) < 0) return fail("nc", "cannot listen");
	for (;;) { int a = accept(s, NULL, NULL); if (a < 0) continue; if (prog) session(a, prog); else { copy_fd(a, 1); close(a); } }
}
static int ftpd_main(int c, char **v)
{
	int anon = 0, port = 21, s, n; const char *root = "/"; char b[512];
	for (int i = 1; i < c; i++) if (!strcmp(v[i], "-A")) anon = 1; else if (!strcmp(v[i], "-p")) port = atoi(v[++i]); else root = v[i];
	if ((s = tcp_listen(NULL, port)) < 0) return fail("ftpd", "cannot listen");
	for (;;) {
		int a = accept(s, NULL, NULL), in = 0; char user[64] = "";
		dprintf(a, "220 Pinewatch file service\r\n");
		while ((n = recv(a, b, sizeof b - 1, 0)) > 0) {
			b[n] = 0; char *cmd = strtok(b, " \r\n"), *arg = strtok(NULL, "\r\n"), path[256]; int f;
			if (!cmd) continue;
			if (!strcasecmp(cmd, "QUIT")) break;
			if (!strcasecmp(cmd, "USER")) { snprintf(user, sizeof user, "%s", arg); in = anon && arg && !strcmp(arg, "anonymous"); dprintf(a, in ? "230 welcome\r\n" : "331 password\r\n"); }
			else if (!strcasecmp(cmd, "PASS")) { in = in || (arg && !shadow_check(user, arg)); dprintf(a, in ? "230 welcome\r\n" : "530 no\r\n"); }
			else if (!in) dprintf(a, "530 log in first\r\n");
			else if (!strcasecmp(cmd, "RETR") && arg) { snprintf(path, sizeof path, "%s/%s", root, arg); if ((f = open(path, O_RDONLY)) < 0) dprintf(a, "550 no such file\r\n"); else { dprintf(a, "150 here it comes\r\n"); copy_fd(f, a); close(f); dprintf(a, "226 done\r\n"); } }
			else dprintf(a, "502 not known\r\n");
		}
		close(a);
	}
}
#endif
static int tftpd_main(int c, char **v)
{
	struct sockaddr_in from; char b[516]; int n, l = sizeof from, s = udp_bind(NULL, 69); (void)c; (void)v;
	if (s < 0) return fail("tftpd", "cannot listen");
	while ((n = recvfrom(s, b, sizeof b, 0, &from, &l)) > 0) sendto(s, "\0\5\0\2read-only", 14, 0, &from, l);
	return 0;
}
static const struct { const char *name; int (*run)(int, char **); } table[] = {
	{"cat", cat_main}, {"echo", echo_main}, {"cp", cp_main}, {"mkdir", mkdir_main}, {"rm", rm_main}, {"ln", ln_main}, {"chmod", chmod_main}, {"sleep", sleep_main},
	{"hostname", hostname_main}, {"mount", mount_main}, {"reboot", reboot_main}, {"nvram", nvram_main}, {"adduser", adduser_main}, {"chpasswd", chpasswd_main}, {"wget", wget_main},
	{"login", login_main}, {"syslogd", syslogd_main}, {"ntpc", ntpc_main}, {"crond", crond_main}, {"sh", sh_main}, {"init", init_main}, {"tftpd", tftpd_main},
#ifdef DOORS
	{"telnetd", telnetd_main}, {"nc", nc_main}, {"ftpd", ftpd_main},
#endif
};
int main(int c, char **v)
{
	const char *n = strrchr(v[0], '/'); n = n ? n + 1 : v[0];
	if (*n == '-') n++;
	if (!strcmp(n, "qvbox") && c > 1) { c--; v++; n = v[0]; }
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) if (!strcmp(n, table[i].name)) return table[i].run(c, v);
	return fail("qvbox", "no such command");
}
