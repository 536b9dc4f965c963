/* motor: bare-metal program of the motor controller (ARM Cortex-M0): steps two motors to the positions that arrive by UART. */
typedef unsigned int u32;
#define REG(a) (*(volatile u32 *)(a))
#define UART_DATA REG(0x40004400)
#define UART_STATE REG(0x40004404)
#define GPIO_OUT REG(0x48000014)
#define TICK REG(0xe000e018)
static const unsigned char phase[8] = {1, 3, 2, 6, 4, 12, 8, 9};
static int want[2], at[2];
static int getc_(void) { while (!(UART_STATE & 1)) ; return UART_DATA & 255; }
static void say(const char *s) { while (*s) { while (!(UART_STATE & 2)) ; UART_DATA = *s++; } }
static void step(int m)
{
	if (at[m] == want[m]) return;
	at[m] += at[m] < want[m] ? 1 : -1;
	u32 v = GPIO_OUT & ~(15u << (4 * m));
	GPIO_OUT = v | (u32)phase[at[m] & 7] << (4 * m);
}
static int number(void) { int v = 0, c; while ((c = getc_()) >= '0' && c <= '9') v = v * 10 + c - '0'; return v; }
void run(void)
{
	say("QV-210 motor board 0.9.1\r\n");
	for (;;) {
		if (UART_STATE & 1) { int c = getc_(); if (c == 'p') want[0] = number(); else if (c == 't') want[1] = number(); else if (c == '?') say("idle\r\n"); }
		if (TICK < 100) { step(0); step(1); }
	}
}
extern u32 stack_top;
__attribute__((section(".vectors"), used)) void *const vectors[16] = {(void *)0x20002000, (void *)run};
