/* kernel.c: stands for the kernel: says its banner, reads its command line, finds its partitions and its root file system. */
typedef unsigned char u8;
typedef unsigned int u32;
#define UART ((volatile u32 *)0xb0030000)
#define FLASH ((const u8 *)0xbfc00000)
const char linux_banner[] = "Linux version 4.9.84 (build@pinewatch) (gcc version 12.2.0 (Debian 12.2.0-14) ) #12 PREEMPT Tue Mar 2 09:14:11 UTC 2021\n";
struct part { u32 at, size; char name[16]; };
static struct part parts[16];
static int n_parts;
static void out(char c) { while (!(UART[5] & 0x20)) ; UART[0] = c; }
static void printk(const char *s) { for (; *s; s++) { if (*s == '\n') out('\r'); out(*s); } }
static void hex(u32 v) { for (int i = 28; i >= 0; i -= 4) out("0123456789abcdef"[v >> i & 15]); }
static const char *find(const char *s, const char *w)
{
	for (; *s; s++) { const char *a = s, *b = w; while (*b && *a == *b) a++, b++; if (!*b) return a; }
	return 0;
}
static void panic(const char *why) { printk("Kernel panic - not syncing: "); printk(why); printk("\n"); for (;;) ; }
/* mtdparts=NAME:SIZE(part),SIZE(part)... sizes in k */
static void partitions(const char *cmdline)
{
	const char *p = find(cmdline, "mtdparts="); u32 at = 0;
	if (!p || !(p = find(p, ":"))) { printk("qv-nor: no partitions on the command line\n"); return; }
	while (*p && *p != ' ' && n_parts < 16) {
		struct part *q = &parts[n_parts++]; int i = 0;
		for (q->size = 0; *p >= '0' && *p <= '9'; p++) q->size = q->size * 10 + *p - '0';
		q->size <<= 10; q->at = at; at += q->size;
		if (*p == 'k') p++;
		if (*p == '(') for (p++; *p && *p != ')' && i < 15; ) q->name[i++] = *p++;
		if (*p == ')') p++;
		if (*p == ',') p++;
		printk("0x"); hex(q->at); printk("-0x"); hex(at); printk(" : \""); printk(q->name); printk("\"\n");
	}
}
static int squashfs(const u8 *p) { return p[0] == 'h' && p[1] == 's' && p[2] == 'q' && p[3] == 's' && p[28] == 4; }
static const struct { const char *name; u32 base, id; } devices[] = {
	{"serial8250: ttyS0 at MMIO 0x10030000 is a 16550A", 0xb0030000, 0}, {"jz-mmc: SD card controller at 0x13450000", 0xb3450000, 0x10},
	{"qv-isp: image sensor interface at 0x13300000", 0xb3300000, 0x210}, {"qv-aic: audio interface at 0x10020000", 0xb0020000, 0x44},
	{"qv-tls: crypto engine at 0x13430000", 0xb3430000, 0x7}, {"dwc2: USB device controller at 0x13500000", 0xb3500000, 0x4f54},
	{"watchdog: 30 s at 0x10002000", 0xb0002000, 0},
};
void start_kernel(const char *cmdline)
{
	printk(linux_banner);
	printk("Kernel command line: "); printk(cmdline ? cmdline : "(none)"); printk("\n");
	for (u32 i = 0; i < sizeof devices / sizeof *devices; i++)
		if (!devices[i].id || *(volatile u32 *)devices[i].base >> 16 == devices[i].id) { printk(devices[i].name); printk("\n"); }
	if (cmdline) partitions(cmdline);
	for (int i = 0; i < n_parts; i++) if (squashfs(FLASH + parts[i].at)) {
		printk("VFS: Mounted root (squashfs filesystem) readonly from "); printk(parts[i].name); printk(".\n");
		panic("this stand-in runs no programs.");
	}
	panic("VFS: Unable to mount root fs");
}
