/* vidd: takes pictures from the sensor (V4L2) and serves them over RTSP. */
#include "sock.h"
struct pix { u32 type, width, height, pixelformat, field, bytesperline, sizeimage, rest[44]; };
struct reqbufs { u32 count, type, memory, capabilities, reserved; };
struct vbuf { u32 index, type, bytesused, flags, field, sec, usec, timecode[4], sequence, memory, offset, length, reserved2, reserved; };
#define VIDIOC_S_FMT _IOWR('V', 5, struct pix)
#define VIDIOC_REQBUFS _IOWR('V', 8, struct reqbufs)
#define VIDIOC_QBUF _IOWR('V', 15, struct vbuf)
#define VIDIOC_DQBUF _IOWR('V', 17, struct vbuf)
#define VIDIOC_STREAMON _IOW('V', 18, int)
static u8 frame[16384];
static int camera = -1;
static int camera_open(const char *dev)
{
	struct pix f = {1, 1280, 720, 0x34363248 /* H264 */, 1}; struct reqbufs r = {2, 1, 1}; int on = 1;
	if ((camera = open(dev, O_RDWR)) < 0) return -1;
	if (ioctl(camera, VIDIOC_S_FMT, &f) < 0 || ioctl(camera, VIDIOC_REQBUFS, &r) < 0) return -1;
	for (u32 i = 0; i < r.count; i++) { struct vbuf b = {i, 1}; b.memory = 1; if (ioctl(camera, VIDIOC_QBUF, &b) < 0) return -1; }
	return ioctl(camera, VIDIOC_STREAMON, &on);
}
static int camera_frame(void)
{
	struct vbuf b = {0, 1}; b.memory = 1;
	if (ioctl(camera, VIDIOC_DQBUF, &b) < 0) return read(camera, frame, sizeof frame);
	int n = read(camera, frame, b.bytesused < sizeof frame ? b.bytesused : sizeof frame);
	ioctl(camera, VIDIOC_QBUF, &b);
	return n;
}
/* RTP over the RTSP connection (RFC 2326, 10.12): '$', channel, length, packet. */
static int send_rtp(int s, u16 seq, const u8 *p, int n)
{
	u8 h[16] = {'$', 0, (n + 12) >> 8, n + 12, 0x80, 96, seq >> 8, seq, 0, 0, seq >> 8, seq, 'Q', 'V', '2', '1'};
	return send(s, h, 16, 0) == 16 && send(s, p, n, 0) == n ? 0 : -1;
}
static int authorised(const char *req)
{
	char user[64], hash[128], got[128]; const char *a = strstr(req, "X-Session: "); int n = 0;
	if (nvram_get("http_user", user, sizeof user) < 0 || read_file("/tmp/run/session", hash, sizeof hash) <= 0 || !a) return 0;
	for (a += 11; *a && *a != '\r' && n < 127; a++) got[n++] = *a;
	got[n] = 0;
	return !strcmp(got, hash);
}
static void play(int s)
{
	u16 seq = 0; int n;
	while ((n = camera_frame()) > 0) for (int o = 0; o < n; o += 1400) if (send_rtp(s, seq++, frame + o, n - o > 1400 ? 1400 : n - o) < 0) return;
}
static void serve(int s)
{
	char req[2048]; int n, cseq = 0;
	while ((n = recv(s, req, sizeof req - 1, 0)) > 0) {
		req[n] = 0; char *c = strstr(req, "CSeq: "); if (c) cseq = atoi(c + 6);
		if (!authorised(req)) { dprintf(s, "RTSP/1.0 401 Unauthorized\r\nCSeq: %d\r\n\r\n", cseq); continue; }
		if (!strncmp(req, "OPTIONS", 7)) dprintf(s, "RTSP/1.0 200 OK\r\nCSeq: %d\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n", cseq);
		else if (!strncmp(req, "DESCRIBE", 8)) dprintf(s, "RTSP/1.0 200 OK\r\nCSeq: %d\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", cseq);
		else if (!strncmp(req, "SETUP", 5)) dprintf(s, "RTSP/1.0 200 OK\r\nCSeq: %d\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 1\r\n\r\n", cseq);
		else if (!strncmp(req, "PLAY", 4)) { dprintf(s, "RTSP/1.0 200 OK\r\nCSeq: %d\r\nSession: 1\r\n\r\n", cseq); play(s); return; }
		else dprintf(s, "RTSP/1.0 405 Method Not Allowed\r\nCSeq: %d\r\n\r\n", cseq);
	}
}
int main(int c, char **v)
{
	const char *dev = "/dev/video0"; int port = 554, s;
	for (int i = 1; i < c - 1; i++) if (!strcmp(v[i], "-d")) dev = v[i + 1]; else if (!strcmp(v[i], "-p")) port = atoi(v[i + 1]);
	if (camera_open(dev) < 0) { dprintf(2, "vidd: cannot open %s\n", dev); return 1; }
	if ((s = tcp_listen(NULL, port)) < 0) { dprintf(2, "vidd: cannot listen on port %d\n", port); return 1; }
	for (;;) { int a = accept(s, NULL, NULL); if (a >= 0) { serve(a); close(a); } }
}
