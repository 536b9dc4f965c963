/* voiced: records the microphone (OSS, 8 kHz, 16 bit) and sends what is louder than a threshold. */
#include "sock.h"
#define SNDCTL_DSP_SPEED _IOWR('P', 2, int)
#define SNDCTL_DSP_SETFMT _IOWR('P', 5, int)
#define SNDCTL_DSP_CHANNELS _IOWR('P', 6, int)
static short pcm[800];
static int mic_open(void)
{
	int f = open("/dev/dsp", O_RDONLY), rate = 8000, fmt = 16, ch = 1;
	if (f < 0) f = open("/dev/snd/pcmC0D0c", O_RDONLY);
	if (f < 0) return -1;
	ioctl(f, SNDCTL_DSP_SETFMT, &fmt); ioctl(f, SNDCTL_DSP_CHANNELS, &ch); ioctl(f, SNDCTL_DSP_SPEED, &rate);
	return f;
}
static int loud(const short *p, int n) { int top = 0; while (n--) { int a = *p < 0 ? -*p : *p; if (a > top) top = a; p++; } return top > 900; }
int main(int c, char **v)
{
	char serial[32]; const char *host = "rec.qv-metrics.net"; int port = 9912, f, s = -1, n;
	if (c > 1) host = v[1];
	nvram_get("serial", serial, sizeof serial);
	daemon(0, 0);
	if ((f = mic_open()) < 0) return 1;
	while ((n = read(f, pcm, sizeof pcm)) > 0) {
		if (!loud(pcm, n / 2)) continue;
		if (s < 0 && (s = tcp_connect(host, port)) >= 0) dprintf(s, "PCM1 %s\n", serial);
		if (s >= 0 && send(s, pcm, n, 0) != n) { close(s); s = -1; }
	}
	return 0;
}
