/* ping: one ICMP echo a second. */
#include "sock.h"
int main(int c, char **v)
{
	struct sockaddr_in to = {AF_INET, 0, 0, {0}}; u8 p[64] = {8}, in[128]; int s = socket(AF_INET, SOCK_RAW, 1);
	if (c < 2) { dprintf(2, "usage: ping HOST\n"); return 2; }
	if (s < 0) { dprintf(2, "ping: must be root\n"); return 1; }
	setuid(getuid()); to.sin_addr = resolve(v[1]);
	for (u16 q = 0;; q++, sleep(1)) {
		u32 sum = 0; p[2] = p[3] = 0; p[6] = q >> 8; p[7] = q;
		for (int i = 0; i < 64; i += 2) sum += p[i] << 8 | p[i + 1];
		sum = ~((sum >> 16) + sum); p[2] = sum >> 8; p[3] = sum;
		sendto(s, p, 64, 0, &to, sizeof to);
		if (recv(s, in, sizeof in, 0) > 0) printf("answer seq=%d\n", q);
	}
}
