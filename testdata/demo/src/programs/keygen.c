/* dropbearkey: makes a host key file at first boot (seed from the kernel, public half from the SoC engine). */
#include "qv.h"
int main(int c, char **v)
{
	u8 k[83] = {0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5', '1', '9', 0, 0, 0, 64}; const char *out = NULL;
	for (int i = 1; i < c - 1; i++) if (!strcmp(v[i], "-f")) out = v[i + 1];
	if (!out) { dprintf(2, "usage: dropbearkey -t ed25519 -f FILE\n"); return 2; }
	int r = open("/dev/urandom", O_RDONLY), e = open("/dev/qtls", O_RDWR);
	if (r < 0 || read(r, k + 19, 32) != 32 || e < 0 || ioctl(e, _IOW('q', 3, k), k + 19) < 0) { dprintf(2, "dropbearkey: no randomness\n"); return 1; }
	int f = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	return f < 0 || write(f, k, sizeof k) != sizeof k;
}
