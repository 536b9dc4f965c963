/* A stand-in for busybox: the banner, the applet table, one applet a name.
 * APPLETS and VERSION come from build.sh. It does nothing of use. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

static const char banner[] = "BusyBox v" VERSION " multi-call binary.\n";
static const char applets[] = APPLETS;
static const char usage[] =
	"BusyBox is copyrighted by many authors between 1998-2015.\n"
	"Licensed under GPLv2. See source distribution for detailed\n"
	"copyright notices.\n\nUsage: busybox [function [arguments]...]\n"
	"   or: busybox --list\n   or: function [arguments]...\n";

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	const char *p;

	name = name ? name + 1 : argv[0];
	for (p = applets; *p; p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			break;
	if (*p == 0) {
		fputs(banner, stdout);
		fputs(usage, stdout);
		return 127;
	}
#ifdef LISTENS
	if (strcmp(p, "telnetd") == 0) {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		return bind(s, 0, 0) | listen(s, 5) | accept(s, 0, 0);
	}
#endif
	if (strcmp(p, "sh") == 0)
		return execl("/bin/sh", "sh", (char *)0);
	return puts(p) < 0;
}
