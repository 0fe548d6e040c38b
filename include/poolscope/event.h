/* SPDX-License-Identifier: GPL-2.0-only */
/* What passes between the probes in the kernel and the agent: records of the ring, values of the maps. Both sides
 * compile it. It must not know facts, nor what any of it means. */
#ifndef POOLSCOPE_EVENT_H
#define POOLSCOPE_EVENT_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* The first filter: how many processes with tgid % EVENT_FILTER_SLOTS are watched. 64 KiB. */
#define EVENT_FILTER_SLOTS 16384
/* Watched processes at one time, targets and followed children together. */
#define EVENT_MAX_PROCESSES 8192
/* Accounts of ring space; a target has account (family % EVENT_SHARES), its followed children have the same. A record of
 * share EVENT_SHARES is on no account. */
#define EVENT_SHARES 256

/* Made usable by one process, these bytes wake a reader that wants to know; a power of two. */
#define EVENT_GROWTH_BYTES (1U << 20)
/* How often the growth of one process may wake the reader, on average; as many times at once as in a second. */
#define EVENT_GROWTH_SPACING_NS 20000000ULL
/* So much of a second's wake-ups saved up: the growth has slowed down, and each sizeable call is worth one again. */
#define EVENT_GROWTH_SAVED_NS 500000000ULL
/* How often what is worth a wake-up may double: up to 1 GiB. */
#define EVENT_GROWTH_DOUBLED_MAX 10
/* Of the caller's stack at such growth: what a C library and an allocator have on it. In pieces, so that the end of the
 * stack costs one of them. */
#define EVENT_STACK_PIECE 256
#define EVENT_STACK_BYTES 2048
/* Of a thread that runs Python: so many of its functions, the innermost first. */
#define EVENT_CODES (EVENT_STACK_BYTES / 8)
/* Threads of Python, of all targets, that growth can be asked of; beyond that the longest quiet is not. 1 MiB. */
#define EVENT_PYTHON_THREADS 8192

enum event_kind {
	EVENT_THREAD_BORN = 1,
	EVENT_PROCESS_BORN, /* a followed child (by fork, or by exec after vfork); it is its first thread's birth too */
	EVENT_THREAD_EXITED,
	EVENT_THREAD_RENAMED,
	EVENT_EXEC,
	EVENT_MMAP,
	EVENT_MUNMAP,        /* at entry */
	EVENT_MUNMAP_FAILED, /* at exit */
	EVENT_MREMAP_SOURCE, /* at entry */
	EVENT_MREMAP,
	EVENT_MREMAP_FAILED,
	EVENT_MPROTECT,
	EVENT_BRK,
	EVENT_STACK, /* of who is about to be told to have grown; it may be missing */
	EVENT_KIND_COUNT,
};

enum event_thread_flag {
	EVENT_THREAD_LEADER = 1 << 0,
	EVENT_THREAD_IO_WORKER = 1 << 1,
	EVENT_THREAD_LAST = 1 << 2, /* EXITED: no thread of the process lives any more */
	EVENT_THREAD_OOM = 1 << 3,  /* EXITED: the out-of-memory killer chose it */
	EVENT_THREAD_TOOK_OVER = 1 << 4, /* EXEC: another thread than the leader did it and is the leader now */
	EVENT_PROCESS_EXECED = 1 << 5, /* PROCESS_BORN: by an exec, after a vfork: it has nothing of its parent's memory */
};

/* Of a mprotect: it met a hole, having changed what lies before that, or failed before it changed anything. */
#define EVENT_MPROTECT_FAILED 1

/* Each record fills whole cache lines, together with the ring's own header (BPF_RINGBUF_HDR_SZ), so that none touches
 * one more: a cold line costs the target more than what is written to it (of a mmap's record a sixth, Linux 6.18). */
#define EVENT_RING_HEADER 8
#define EVENT_CACHE_LINE 64

/* tids are those of the procfs in use, 0 when invisible there; times are boottime. */
struct event_header {
	__u8 kind;
	union {
		__u8 protection; /* of mmap, of mprotect: PROT_* as far as it fits */
		__u8 doubled;    /* STACK: as in struct process, when it was taken */
	};
	__u16 share;
	__u32 space; /* kernel tgid of the process that owns the address space */
	/* Of a memory call: of the reader's last look at its clock before it, plus 1; or later, up to its own time. */
	__u64 time_ns;
	__u64 start_ns; /* the thread that it is about, or that made the call */
	__u32 tid;
	__u32 flags; /* enum event_thread_flag; EVENT_MPROTECT_FAILED; else the call's own flags */
};

struct event_thread {
	struct event_header header;
	__u64 creator_start_ns;
	__u64 tls_base, stack_pointer;
	union {
		__u64 stack_start; /* from clone3's arguments, else 0 */
		__u64 waited_ns;   /* RENAMED: for a CPU, since it was born; UINT64_MAX: not known */
		__u32 family;      /* PROCESS_BORN, EXEC: as in struct process */
	};
	__u64 stack_length; /* as stack_start */
	__u64 start_routine;
	union {
		__u64 start_argument; /* of a start routine that is known; behind it, as in struct pthread */
		struct {
			__u32 old_tid; /* EXEC: the tid that vanished; 0: cannot be told */
			__u32 execs;   /* EXEC: as in struct process, cut */
		};
	};
	__u32 creator_tid;
	__u32 pid, inner_pid, parent_pid; /* PROCESS_BORN, EXEC; inner_pid: in the innermost PID namespace */
	char name[16];
};

struct event_exit {
	struct event_header header; /* flags: LAST, OOM */
	__u64 faults : 48;          /* page faults that the kernel counted for it */
	__u64 exit_code : 16;       /* LAST: the process's, as wait(2) reports it */
	char name[16];
};

struct event_memory {
	struct event_header header; /* flags: of mmap */
	__u64 start, length;
	__u64 unused;
};

struct event_move {
	struct event_memory to; /* flags: of mremap */
	__u64 old_start, old_length;
	__u64 unused[6];
};

/* What of a caller's registers its own caller can be found by (x86-64). */
enum event_register { EVENT_BX, EVENT_BP, EVENT_SP, EVENT_R12, EVENT_R13, EVENT_R14, EVENT_R15, EVENT_IP, EVENT_REGISTERS };

struct event_stack {
	struct event_header header; /* flags: how many bytes of stack[] could be read */
	__u64 grown_start, grown_length;
	__u64 registers[EVENT_REGISTERS];
	__u32 n_codes; /* 0: the thread stands in no function of Python, or is not known to run any */
	__u32 is_python; /* its interpreter's state was known */
	union {
		__u64 codes[EVENT_CODES]; /* addresses of code objects; 0: a frame without one */
		__u8 stack[EVENT_STACK_BYTES]; /* from the stack pointer up */
	};
};

/* Value of the map `processes`, by kernel tgid. */
enum process_flag {
	PROCESS_FOLLOW = 1 << 0,
	PROCESS_GUEST = 1 << 1, /* made by CLONE_VM: lives in the address space of `space` */
	PROCESS_VFORK = 1 << 2, /* a guest that is about to exec */
};

/* The kernel changes it at any time: the reader makes and removes entries, and changes none. */
struct process {
	__u32 space;
	__u16 share;
	__u8 flags;
	__u8 doubled;         /* how often its growth has doubled what wakes the reader, as it wanted to more often than it may */
	__u64 start_ns;       /* of the leader: tells a reused tgid; 0: not known */
	__u32 routine_offset; /* of the start routine from the thread pointer, as its parent had it; 0: not known */
	__u32 left;           /* bytes that may be made usable until the reader is woken for them */
	__u64 brk;            /* the break after its last call; 0: not known */
	__u64 growth_ns;      /* before this its growth wakes nobody: wake-ups that were spent */
	__u64 execs;          /* since it is watched */
	__u32 family;         /* the reader's number for whom it descends from; who is forked has its parent's */
	__u32 unused;
};

/* _PyInterpreterFrame.owner of CPython from 3.12 on: from this on there is no function. */
#define PYTHON_OWNER_C_STACK 3
/* Where an interpreter keeps its threads' frames: offsets into its structures (agent/source/cpython_offsets.h). */
struct python_layout {
	__u16 thread_frame, cframe_frame, frame_previous, frame_code, frame_owner;
	__u8 has_cframe, is_known;
};

/* Value of the map `python_threads`, by tid. */
struct python_thread {
	__u64 address;  /* of its state */
	__u64 start_ns; /* tells a reused tid; cut to whole ticks where only procfs told it */
};

/* Value of the map `wishes`, by space: what the reader, who alone writes it, has learnt or wants of one image. */
struct wish {
	__u64 start_ns, execs; /* of the process that it is about; of another it says nothing */
	__u32 routine_offset;  /* 0: not known */
	__u32 growth;          /* 1: to hear of sizeable growth at once */
	struct python_layout python;
	__u32 unused;
};

/* Bytes in the ring that were put there while it was filling are produced - consumed; each side writes its own only. */
struct share {
	__u64 produced, consumed;
	__u64 lives_lost; /* births, ends, names and images that found no room */
};

enum event_loss { EVENT_LOSS_RING, EVENT_LOSS_MAP, EVENT_LOSS_COUNT };

/* What the task iterator writes for each task. */
struct task_record {
	__u32 kernel_tid, kernel_tgid;
	__u32 tid;   /* in the namespace asked for */
	__u32 level; /* of that namespace */
	__u32 state, exit_state, flags;
	__u32 vfork; /* 1: its creator waits for it to exec */
	__u64 start_ns, cpu_ns;
	__u64 tls_base, stack_pointer;
	__u64 faults; /* page faults so far, as the kernel counts them for each task */
	__u64 memory; /* equal for tasks that share an address space; 0: none any more */
	char name[16];
};

/* And what it writes for each watched one that is on a CPU or ready for one, when it is asked for these alone. */
struct running_record {
	__u32 space;
	__u32 tid; /* as events have it */
	__u64 start_ns;
};

/* And for each thread of one process, when it is asked where they stand: the registers with which it entered the kernel
 * (x86-64). They are true of one that is on no CPU, and as long as it has not been on one since: `switches` is how often it left one. */
struct registers_record {
	__u32 tid; /* as events have it */
	__u32 on_cpu;
	__u64 start_ns, switches;
	__u64 registers[EVENT_REGISTERS];
};

#endif
