/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's types and constants that the probes use, and of each only the fields used: libbpf relocates them
 * to the running kernel (CO-RE), so building needs no kernel. It must not know poolscope. */
#ifndef POOLSCOPE_BPF_KERNEL_H
#define POOLSCOPE_BPF_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#ifndef NULL
#define NULL ((void *)0)
#endif
#define bool _Bool
#define true 1
#define false 0

/* include/uapi/linux/bpf.h */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

/* include/uapi/linux/sched.h, include/linux/sched.h, include/linux/sched/signal.h */
#define CLONE_VM 0x00000100
#define CLONE_VFORK 0x00004000
#define CLONE_THREAD 0x00010000
#define CLONE_SETTLS 0x00080000
#define PF_IO_WORKER 0x00000010
#define PF_USER_WORKER 0x00004000 /* since 6.4; before 5.18 PF_USED_ASYNC */
#define SIGNAL_GROUP_EXIT 0x00000004
/* include/uapi/asm-generic/unistd.h and arch/x86/entry/syscalls/syscall_64.tbl agree */
#define NR_clone3 435
/* struct clone_args, include/uapi/linux/sched.h */
#define CLONE_ARGS_STACK 40
/* include/uapi/linux/mman.h */
#define PROT_WRITE 2
#define MAP_PRIVATE 2
#define MAP_TYPE 0x0f
#define MAP_ANONYMOUS 0x20
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#define MREMAP_DONTUNMAP 4
/* include/linux/err.h */
#define MAX_ERRNO 4095
#define ENOMEM 12
#define NSEC_PER_SEC 1000000000ULL
/* include/linux/pid_namespace.h */
#define MAX_PID_NS_LEVEL 32

/* User registers as saved at kernel entry: user ABI (PTRACE_GETREGS), so not relocated. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11;
	unsigned long r10, r9, r8, ax, cx, dx, si, di; /* the arguments of a system call are here */
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31], sp, pc, pstate;
	__u64 orig_x0;
	__s32 syscallno;
};
#else
#error "poolscope knows the registers of x86-64 and arm64 only"
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct mm_struct {
	unsigned long start_brk;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
	struct mm_struct *oom_mm;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

struct sched_info { /* empty without CONFIG_SCHED_INFO */
	unsigned long long run_delay;
	unsigned long long last_queued;
};

#if defined(__TARGET_ARCH_x86)
struct thread_struct {
	unsigned long fsbase;
};
#else
struct thread_struct {
	struct {
		unsigned long tp_value;
	} uw;
};
#endif

struct completion;

struct task_struct {
	unsigned int __state; /* `state` before 5.14 */
	void *stack;
	unsigned int flags;
	unsigned int on_cpu; /* of kernels for several CPUs; int, later a byte: only what is unsigned may change its size (CO-RE) */
	struct sched_entity se;
	struct sched_info sched_info;
	struct mm_struct *mm;
	int exit_state;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct completion *vfork_done; /* its creator waits for it to exec or to end */
	struct pid *thread_pid;
	__u64 start_boottime;
	unsigned long nvcsw, nivcsw;
	unsigned long min_flt, maj_flt;
	char comm[16];
	struct signal_struct *signal;
	struct thread_struct thread;
};

struct task_struct___before_5_14 {
	long state;
};

struct vhost_task { /* since 6.4 */
	void *data;
};

struct trace_event_raw_sys_enter {
	long id;
};

struct trace_event_raw_sys_exit {
	long ret;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif
