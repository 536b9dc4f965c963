/* nvram.c: libnvram, the settings (NUL-separated) and key=value files. */
#include "qv.h"
/* nvram_get reads the writable settings first, then the defaults. */
int nvram_get(const char *k, char *out, size_t n)
{
	static const char *files[] = {"/mnt/config/nvram.bin", "/usr/share/nvram/default.bin"}; static char f[4096]; int l = strlen(k);
	for (int i = 0; i < 2; i++) {
		int got = read_file(files[i], f, sizeof f);
		for (char *p = f; got > 0 && p < f + got && *p; p += strlen(p) + 1)
			if (!strncmp(p, k, l) && p[l] == '=') { strncpy(out, p + l + 1, n - 1); out[n - 1] = 0; return 0; }
	}
	out[0] = 0;
	return -1;
}
int nvram_set(const char *k, const char *v)
{
	int f = open("/mnt/config/nvram.bin", O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (f < 0) return -1;
	dprintf(f, "%s=%s", k, v); write(f, "", 1);
	return close(f);
}
int conf_get(const char *file, const char *k, char *out, size_t n)
{
	static char f[4096]; int l = strlen(k); char *p = f;
	if (read_file(file, f, sizeof f) < 0) return -1;
	for (; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : p)
		if (!strncmp(p, k, l) && p[l] == '=') { char *e = strchr(p, '\n'); if (e) *e = 0; strncpy(out, p + l + 1, n - 1); out[n - 1] = 0; return 0; }
	return -1;
}
