/* start.S: reset vector of the boot loader (MIPS32, kseg1): sets the stack, clears .bss, calls run. */
	.set noreorder
	.section .reset, "ax"
	.globl _start
_start:
	b 1f
	nop
	.word 0x51564254, 0x00010003	/* "QVBT", version 1.3 */
1:	mtc0 $0, $12
	mtc0 $0, $13
	la $29, 0x80ef0000
	la $8, __bss_start
	la $9, __bss_end
2:	sw $0, 0($8)
	bltu $8, $9, 2b
	addiu $8, $8, 4
	la $25, run
	jr $25
	nop
