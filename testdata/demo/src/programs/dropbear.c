/* dropbear: stands for the SSH server of that name. It loads its host key, listens, says its banner and hangs up: the demo needs
   the program in its place, not the protocol. */
#include "sock.h"
int main(int c, char **v)
{
	static char key[2048]; const char *kf = "/etc/dropbear/dropbear_ed25519_host_key"; char id[128]; int port = 22, n, s, root = 1;
	for (int i = 1; i < c; i++) {
		if (!strcmp(v[i], "-p") && i + 1 < c) port = atoi(v[++i]);
		else if (!strcmp(v[i], "-r") && i + 1 < c) kf = v[++i];
		else if (!strcmp(v[i], "-w")) root = 0; /* root may not log in */
	}
	if ((n = read_file(kf, key, sizeof key)) < 83) { dprintf(2, "dropbear: no host key in %s\n", kf); return 1; }
	if ((s = tcp_listen(NULL, port)) < 0) { dprintf(2, "dropbear: cannot listen on port %d\n", port); return 1; }
	daemon(0, 0);
	for (;;) {
		int a = accept(s, NULL, NULL); if (a < 0) continue;
		dprintf(a, "SSH-2.0-dropbear_qvstub\r\n");
		n = recv(a, id, sizeof id - 1, 0);
		if (n > 0) dprintf(a, root || strncmp(id, "root", 4) ? "publickey,password\r\n" : "denied\r\n");
		close(a);
	}
}
