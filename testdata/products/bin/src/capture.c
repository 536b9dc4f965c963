/* Takes pictures (V4L2) and, with SERVE, hands them to whoever connects; or, with
 * SINK, sends them to that host. */
#include <fcntl.h>
#include <linux/videodev2.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static char frame[1 << 16];

static int camera(void)
{
	struct v4l2_format f;
	int on = V4L2_BUF_TYPE_VIDEO_CAPTURE, fd = open("/dev/video0", O_RDWR);

	memset(&f, 0, sizeof f);
	f.type = on;
	f.fmt.pix.width = 640;
	f.fmt.pix.height = 480;
	f.fmt.pix.pixelformat = V4L2_PIX_FMT_MJPEG;
	if (fd < 0 || ioctl(fd, VIDIOC_S_FMT, &f) < 0 || ioctl(fd, VIDIOC_STREAMON, &on) < 0)
		return -1;
	return fd;
}

int main(void)
{
	struct sockaddr_in a;
	int n, c, cam = camera(), s = socket(AF_INET, SOCK_STREAM, 0);

	if (cam < 0)
		return fprintf(stderr, NAME ": no sensor\n"), 1;
	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_port = htons(PORT);
#ifdef SERVE
	if (bind(s, (void *)&a, sizeof a) < 0 || listen(s, 4) < 0)
		return 1;
	while ((c = accept(s, 0, 0)) >= 0) {
		char request[1024];
		n = read(c, request, sizeof request - 1);
		if (n > 0 && strstr(request, "Authorization: Digest")) {
			write(c, "RTSP/1.0 200 OK\r\nServer: " NAME "\r\n\r\n", 28 + sizeof NAME);
			while ((n = read(cam, frame, sizeof frame)) > 0)
				if (send(c, frame, n, 0) < 0)
					break;
		} else
			write(c, "RTSP/1.0 401 Unauthorized\r\n\r\n", 29);
		close(c);
	}
#else
	struct hostent *h = gethostbyname(SINK);
	if (!h)
		return 1;
	memcpy(&a.sin_addr, h->h_addr_list[0], 4);
	if (connect(s, (void *)&a, sizeof a) < 0)
		return 1;
	while ((n = read(cam, frame, sizeof frame)) > 0)
		send(s, frame, n, 0);
#endif
	return 0;
}
