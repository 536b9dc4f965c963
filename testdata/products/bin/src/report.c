/* Sends one datagram-sized HTTP request with the serial number to HOST:PORT. */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	char serial[64] = "", line[256];
	struct sockaddr_in a;
	struct hostent *h = gethostbyname(HOST);
	FILE *f = fopen("/proc/device-tree/serial-number", "r");
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (f)
		fgets(serial, sizeof serial, f);
	if (!h)
		return 1;
	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_port = htons(PORT);
	memcpy(&a.sin_addr, h->h_addr_list[0], 4);
	if (connect(s, (void *)&a, sizeof a) < 0)
		return 1;
	snprintf(line, sizeof line, "POST /v1/beat HTTP/1.0\r\nHost: " HOST "\r\nX-Serial: %s\r\n\r\n", serial);
	send(s, line, strlen(line), 0);
	return 0;
}
