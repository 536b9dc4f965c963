/* process.c: environment, programs, start-up. */
#include "qv.h"
char **environ;
void exit(int c) { _exit(c); }
int raise(int sig) { return kill(getpid(), sig); }
void __libc_start_main(int (*m)(int, char **, char **), int argc, char **argv)
{
	environ = argv + argc + 1;
	exit(m(argc, argv, environ));
}
char *getenv(const char *k)
{
	size_t n = strlen(k);
	for (char **e = environ; e && *e; e++) if (!strncmp(*e, k, n) && (*e)[n] == '=') return *e + n + 1;
	return NULL;
}
int setenv(const char *k, const char *v, int over)
{
	if (getenv(k) && !over) return 0;
	int n = 0; while (environ[n]) n++;
	char **e = malloc((n + 2) * sizeof *e), *s = malloc(strlen(k) + strlen(v) + 2); int j = 0;
	for (int i = 0; i < n; i++) if (strncmp(environ[i], k, strlen(k)) || environ[i][strlen(k)] != '=') e[j++] = environ[i];
	strcpy(s, k); strcat(s, "="); strcat(s, v);
	e[j++] = s; e[j] = NULL; environ = e;
	return 0;
}
int execv(const char *p, char *const *a) { return execve(p, a, environ); }
int execvp(const char *p, char *const *a)
{
	char path[256]; static const char *dirs[] = {"/bin", "/sbin", "/usr/bin", "/usr/sbin"};
	if (strchr(p, '/')) return execv(p, a);
	for (int i = 0; i < 4; i++) { snprintf(path, sizeof path, "%s/%s", dirs[i], p); execv(path, a); }
	return -1;
}
int system(const char *cmd)
{
	int st = -1, pid = fork();
	if (!pid) { char *a[] = {"sh", "-c", (char *)cmd, NULL}; execv("/bin/sh", a); _exit(127); }
	if (pid > 0) waitpid(pid, &st, 0);
	return st;
}
int daemon(int nochdir, int noclose)
{
	(void)nochdir;
	if (fork()) _exit(0);
	setsid();
	if (!noclose) { int n = open("/dev/null", O_RDWR); dup2(n, 0); dup2(n, 1); dup2(n, 2); }
	return 0;
}
int read_file(const char *p, char *b, size_t n)
{
	int f = open(p, O_RDONLY), got = 0, r;
	if (f < 0) return -1;
	while (got < (int)n - 1 && (r = read(f, b + got, n - 1 - got)) > 0) got += r;
	close(f); b[got] = 0;
	return got;
}
