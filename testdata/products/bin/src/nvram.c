/* nvram get NAME: looks NAME up in the flash partition, then in the defaults. */
#include <stdio.h>
#include <string.h>

static const char *look(const char *file, const char *name, char *buf, int size)
{
	FILE *f = fopen(file, "rb");
	int n, at;

	if (!f)
		return 0;
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = 0;
	for (at = 0; at < n; at += strlen(buf + at) + 1) {
		int len = strlen(name);
		if (strncmp(buf + at, name, len) == 0 && buf[at + len] == '=')
			return buf + at + len + 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char buf[65536];
	const char *v;

	if (argc < 3 || strcmp(argv[1], "get") != 0) {
		fprintf(stderr, "usage: nvram get NAME\n");
		return 1;
	}
	v = look("/dev/mtdblock3", argv[2], buf, sizeof buf);
	if (!v)
		v = look(DEFAULTS, argv[2], buf, sizeof buf);
	puts(v ? v : "");
	return 0;
}
