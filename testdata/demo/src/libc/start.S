/* start.S: where a program begins; hands main, argc and argv to the C library. */
#ifdef __mips__
	.set noreorder
	.globl __start
	.ent __start
__start:
	move $31, $0
	bal 1f
	nop
1:	.cpload $31
	lw $5, 0($29)
	addiu $6, $29, 4
	li $8, -8
	and $29, $29, $8
	addiu $29, $29, -32
	la $4, main
	la $25, __libc_start_main
	jalr $25
	nop
2:	b 2b
	nop
	.end __start
#else
	.globl _start
	.type _start, %function
_start:
	mov fp, #0
	mov lr, #0
	ldr r1, [sp]
	add r2, sp, #4
	ldr r0, =main
	bl __libc_start_main
1:	b 1b
	.ltorg
#endif
	.section .note.GNU-stack,"",%progbits
