/* scfgmgr: moves settings of older versions to their new names, once, at boot. It talks to nobody. */
#include "qv.h"
static const char *const moved[][2] = {{"cam_name", "hostname"}, {"ntp", "ntp_server"}, {"tz", "timezone"}, {"irled", "night_light"}};
int main(void)
{
	char v[128]; int n = 0;
	for (unsigned i = 0; i < sizeof moved / sizeof *moved; i++) if (nvram_get(moved[i][0], v, sizeof v) == 0) { nvram_set(moved[i][1], v); n++; }
	printf("scfgmgr: %d settings moved\n", n);
	return 0;
}
