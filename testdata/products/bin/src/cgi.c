/* A CGI program: with OPEN it runs its query as a command, without it asks the
 * session file first and only prints a page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	const char *q = getenv("QUERY_STRING");
	char buf[256];
	FILE *p;

	printf("Content-Type: text/plain\r\n\r\n");
#ifdef OPEN
	if (!q || strncmp(q, "cmd=", 4) != 0)
		return 0;
	p = popen(q + 4, "r");
	while (p && fgets(buf, sizeof buf, p))
		fputs(buf, stdout);
#else
	const char *cookie = getenv("HTTP_COOKIE");
	p = fopen("/tmp/session", "r");
	if (!p || !cookie || !fgets(buf, sizeof buf, p) || strncmp(cookie, buf, strlen(buf)) != 0)
		return puts("please log in"), 0;
	if (q)
		puts("ok");
#endif
	return 0;
}
