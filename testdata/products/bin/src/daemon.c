/* A small server: reads its port from -p or from PORT, binds to every address, answers
 * with BANNER. NAME, BANNER, PORT, SOCK, and CONF (a file it reads) come from build.sh. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#ifndef SOCK
#define SOCK SOCK_STREAM
#endif

int main(int argc, char **argv)
{
	struct sockaddr_in a;
	char buf[512];
	int o, s, c, port = PORT;

	while ((o = getopt(argc, argv, OPTIONS)) != -1) {
		if (o == 'p')
			port = atoi(optarg);
		if (o == 'h') {
			fprintf(stderr, "%s\nUsage: " NAME " [options]\n", BANNER);
			return 1;
		}
	}
#ifdef CONF
	FILE *f = fopen(CONF, "r");
	if (!f) {
		syslog(LOG_ERR, NAME ": cannot read %s", CONF);
		return 1;
	}
	while (fgets(buf, sizeof buf, f))
		if (sscanf(buf, "port %d", &port) == 1)
			break;
	fclose(f);
#endif
	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_ANY);
	a.sin_port = htons(port);
	s = socket(AF_INET, SOCK, 0);
	if (s < 0 || bind(s, (void *)&a, sizeof a) < 0) {
		syslog(LOG_ERR, NAME ": bind failed");
		return 1;
	}
	if (SOCK == SOCK_STREAM)
		listen(s, 8);
	for (;;) {
		if (SOCK == SOCK_STREAM) {
			c = accept(s, 0, 0);
			if (c < 0)
				continue;
			if (read(c, buf, sizeof buf) > 0)
				write(c, BANNER "\r\n", sizeof BANNER + 1);
			close(c);
		} else {
			socklen_t n = sizeof a;
			if (recvfrom(s, buf, sizeof buf, 0, (void *)&a, &n) > 0)
				sendto(s, BANNER, sizeof BANNER, 0, (void *)&a, n);
		}
	}
}
