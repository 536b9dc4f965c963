/* Records from the OSS device; with SINK, sends what it hears there. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/soundcard.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	char sound[1024];
	int n, rate = 8000, fmt = AFMT_S16_LE, fd = open("/dev/dsp", O_RDONLY);

	if (fd < 0 || ioctl(fd, SNDCTL_DSP_SETFMT, &fmt) < 0 || ioctl(fd, SNDCTL_DSP_SPEED, &rate) < 0)
		return fprintf(stderr, NAME ": no microphone\n"), 1;
#ifdef SINK
	struct sockaddr_in a;
	struct hostent *h = gethostbyname(SINK);
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	if (!h)
		return 1;
	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_port = htons(PORT);
	memcpy(&a.sin_addr, h->h_addr_list[0], 4);
	while ((n = read(fd, sound, sizeof sound)) > 0)
		sendto(s, sound, n, 0, (void *)&a, sizeof a);
#else
	long level = 0;
	while ((n = read(fd, sound, sizeof sound)) > 0)
		level += sound[0] * sound[0];
	printf("%ld\n", level);
#endif
	return 0;
}
