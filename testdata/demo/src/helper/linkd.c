/* linkd: runs on the motor and light board (ARM); takes orders from the main board over the USB serial line. */
#include "qv.h"
static int set(const char *what, const char *value)
{
	char p[64]; snprintf(p, sizeof p, "/sys/class/qv/%s", what);
	int f = open(p, O_WRONLY); if (f < 0) return -1;
	int ok = write(f, value, strlen(value)) > 0; close(f);
	return ok ? 0 : -1;
}
int main(void)
{
	static const char *const known[] = {"pan", "tilt", "zoom", "irled", "heater"}; char b[128]; int n, f = open("/dev/ttyGS0", O_RDWR);
	if (f < 0) return 1;
	while ((n = read(f, b, sizeof b - 1)) > 0) {
		b[n] = 0; char *what = strtok(b, " \r\n"), *value = strtok(NULL, " \r\n"); int ok = -1;
		for (unsigned i = 0; what && value && i < sizeof known / sizeof *known; i++) if (!strcmp(what, known[i])) ok = set(what, value);
		dprintf(f, ok ? "no\n" : "ok\n");
	}
	return 0;
}
