/* Asks a server for work every PERIOD seconds and hands the answer to the shell. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
	for (;;) {
		if (system(FETCH) == 0)
			system(RUN);
		sleep(PERIOD);
	}
}
