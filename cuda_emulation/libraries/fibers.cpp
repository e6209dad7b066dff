#include "fibers.h"

asm(R"(
    .text
    .globl  emulation_switch
    .type   emulation_switch, @function
emulation_switch:
    pushq   %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    ret
    .size   emulation_switch, .-emulation_switch
)");
