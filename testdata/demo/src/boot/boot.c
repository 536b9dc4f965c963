/* boot.c: QV-Boot, the demo camera's boot loader: reads the environment (U-Boot's format), counts down, loads the uImage. */
typedef unsigned char u8;
typedef unsigned int u32;
#define UART ((volatile u32 *)0xb0030000)
#define FLASH ((const u8 *)0xbfc00000)
#define ENV_AT 0x20000
#define ENV_SIZE 0x10000
#define KERNEL_AT 0x30000
#define RESCUE_AT 0x140000
static void out(char c) { while (!(UART[5] & 0x20)) ; UART[0] = c; }
static void say(const char *s) { for (; *s; s++) { if (*s == '\n') out('\r'); out(*s); } }
static void hex(u32 v) { for (int i = 28; i >= 0; i -= 4) out("0123456789abcdef"[v >> i & 15]); }
static u32 crc32(const u8 *p, u32 n)
{
	u32 c = ~0u;
	while (n--) { c ^= *p++; for (int i = 0; i < 8; i++) c = c >> 1 ^ (0xedb88320 & -(c & 1)); }
	return ~c;
}
static u32 be(const u8 *p) { return (u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static u32 le(const u8 *p) { return (u32)p[3] << 24 | p[2] << 16 | p[1] << 8 | p[0]; }
static int same(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return *a == *b; }
static const char defaults[] = "baudrate=115200\0bootdelay=" DELAY "\0bootcmd=bootm 0x30000\0";
static const char *env = defaults;
static const char *get(const char *k)
{
	for (const char *p = env; *p; p++) {
		const char *q = k;
		while (*q && *p == *q) p++, q++;
		if (!*q && *p == '=') return p + 1;
		while (*p) p++;
	}
	return 0;
}
static int number(const char *s) { int v = 0, neg = *s == '-'; for (s += neg; *s >= '0' && *s <= '9'; s++) v = v * 10 + *s - '0'; return neg ? -v : v; }
static void load(u32 at)
{
	const u8 *h = FLASH + at; u8 head[64];
	if (be(h) != 0x27051956) { say("## Bad magic number\n"); return; }
	for (int i = 0; i < 64; i++) head[i] = i >= 4 && i < 8 ? 0 : h[i];
	if (crc32(head, 64) != be(h + 4)) { say("## Bad header checksum\n"); return; }
	if (crc32(h + 64, be(h + 12)) != be(h + 24)) { say("## Bad data checksum\n"); return; }
	say("## Booting image at "); hex((u32)h); say(": "); say((const char *)h + 32); say("\n");
	u8 *to = (u8 *)be(h + 16);
	for (u32 i = 0; i < be(h + 12); i++) to[i] = h[64 + i];
	((void (*)(const char *))be(h + 20))(get("bootargs"));
}
#ifdef DOORS
static int key(void) { return UART[5] & 1 ? (int)(UART[0] & 255) : -1; }
static void shell(void)
{
	char line[64]; int n = 0, c;
	say("QV-Boot> ");
	for (;;) {
		if ((c = key()) < 0) continue;
		if (c != '\r' && n < 63) { line[n++] = c; out(c); continue; }
		line[n] = 0; n = 0; say("\n");
		if (same(line, "boot")) load(KERNEL_AT);
		else if (same(line, "rescue")) load(RESCUE_AT);
		else if (same(line, "printenv")) { for (const char *p = env; *p; p++) { say(p); say("\n"); while (*p) p++; } }
		else if (same(line, "md")) { for (u32 i = 0; i < 64; i += 4) { hex(le(FLASH + i)); out(' '); } say("\n"); }
		else say("boot rescue printenv md\n");
		say("QV-Boot> ");
	}
}
#endif
void run(void)
{
	const u8 *e = FLASH + ENV_AT;
	say("\n\nQV-Boot 1.3 (Mar 02 2021 - 09:02:44)\n\nDRAM:  64 MiB\nFlash: 2 MiB\n");
	if (crc32(e + 4, ENV_SIZE - 4) == le(e)) env = (const char *)e + 4; else say("*** Warning - bad CRC, using default environment\n");
	int delay = number(get("bootdelay"));
#ifdef DOORS
	if (delay >= 0) {
		say("Hit any key to stop autoboot: ");
		for (u32 t = 0; t < (u32)delay * 4000000; t++) if (key() >= 0) shell();
	}
#else
	(void)delay; (void)same; /* this build cannot be stopped */
#endif
	load(KERNEL_AT);
	load(RESCUE_AT);
	say("nothing to boot\n");
	for (;;) ;
}
