/* syscall.S: qv_syscall(number, six arguments); returns -errno on failure, on both processors. */
#ifdef __mips__
	.set noreorder
	.globl qv_syscall
	.hidden qv_syscall
	.ent qv_syscall
qv_syscall:
	move $2, $4
	move $4, $5
	move $5, $6
	move $6, $7
	lw $7, 16($29)
	lw $8, 20($29)
	lw $9, 24($29)
	addiu $29, $29, -32
	sw $8, 16($29)
	sw $9, 20($29)
	syscall
	addiu $29, $29, 32
	beqz $7, 1f
	nop
	negu $2, $2
1:	jr $31
	nop
	.end qv_syscall
#else
	.globl qv_syscall
	.hidden qv_syscall
	.type qv_syscall, %function
qv_syscall:
	push {r4, r5, r7, lr}
	mov r7, r0
	mov r0, r1
	mov r1, r2
	mov r2, r3
	ldr r3, [sp, #16]
	ldr r4, [sp, #20]
	ldr r5, [sp, #24]
	svc #0
	pop {r4, r5, r7, pc}
#endif
	.section .note.GNU-stack,"",%progbits
