/* A program that opens no socket: prints TEXT, or its usage. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return puts(TEXT) < 0;
#ifdef DROPS
	if (setuid(getuid()) != 0)
		return 1;
#endif
	printf("usage: " NAME " [option]...\n");
	return 1;
}
