/* start.S: entry of the kernel stand-in; $a0 is the command line. The configuration lies behind the code, as IKCONFIG does. */
	.set noreorder
	.section .reset, "ax"
	.globl _start
_start:
	la $29, 0x80700000
	la $25, start_kernel
	jr $25
	nop
	.section .rodata
	.ascii "IKCFG_ST"
	.incbin "config.gz"
	.ascii "IKCFG_ED"
