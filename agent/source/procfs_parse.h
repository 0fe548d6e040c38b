/* SPDX-License-Identifier: GPL-2.0-only */
/* The text of /proc and cgroup files as plain structs: pure functions over hostile bytes. It must not
 * open anything, nor know facts beyond their flags. */
#ifndef POOLSCOPE_SOURCE_PROCFS_PARSE_H
#define POOLSCOPE_SOURCE_PROCFS_PARSE_H

#include "../fact.h"

struct proc_stat { /* /proc/PID/task/TID/stat */
	uint32_t tid, parent_pid;
	char comm[FACT_NAME_SIZE];
	char state;
	uint32_t flags;           /* PF_* (include/linux/sched.h) */
	uint64_t cpu_ns;          /* utime + stime */
	uint64_t faults;          /* minflt + majflt */
	uint64_t start_ns;        /* boottime, truncated to ticks */
};

/* include/linux/sched.h; their values have not changed since 2.6.37 and 5.12. */
#define PROC_PF_EXITING 0x00000004
#define PROC_PF_IO_WORKER 0x00000010
#define PROC_PF_FORKNOEXEC 0x00000040
#define PROC_PF_KTHREAD 0x00200000

struct proc_status { /* /proc/PID/status; bytes; UNKNOWN_U64 where a line is missing */
	uint32_t tgid, ns_pid;
	char state; /* 0: missing */
	uint64_t vm_size, rss_anon, rss_file, rss_shmem, swapped, hugetlb;
};

#define PROC_CPUS_MAX 8192 /* CONFIG_NR_CPUS can be no more */

struct proc_cpus { /* a list of CPUs, "0-3,8" */
	uint64_t bits[PROC_CPUS_MAX / 64];
};

struct proc_mapping { /* a line of /proc/PID/maps */
	uint64_t start, end, offset, inode;
	uint32_t dev_major, dev_minor;
	uint32_t protection; /* PROT_* */
	bool shared;
	const char *path; /* into the line, "" if none; escapes as the kernel writes them */
	uint64_t read_ns; /* boottime when the kernel had given this line: later ones are read later */
};

/* All return 0, or -EINVAL and leave the result untouched. `text` is `length` bytes, no NUL needed. */
int proc_parse_stat(const char *text, size_t length, struct proc_stat *ret_stat);
int proc_parse_status(const char *text, size_t length, struct proc_status *ret_status);
/* A whole file of one list, with or without its newline; the empty list is one. */
int proc_parse_cpus(const char *text, size_t length, struct proc_cpus *ret_cpus);
/* The list in the line "KEY" of the text. */
int proc_find_cpus(const char *text, size_t length, const char *key, struct proc_cpus *ret_cpus);
/* How many are in both. */
uint32_t proc_cpus_common(const struct proc_cpus *a, const struct proc_cpus *b);
/* `line` without its newline, NUL terminated. */
int proc_parse_mapping(const char *line, struct proc_mapping *ret_mapping);
/* enum range_flag of a mapping. -ENOENT: the kernel's own ([vdso], ...), never to be charged. */
int proc_mapping_flags(const struct proc_mapping *mapping, uint32_t *ret_flags);
/* The kernel writes newlines in paths as \012: the bytes as they are; also drops " (deleted)". */
void proc_unescape_path(const char *path, char *buffer, size_t size);

/* "Key:   123 kB" somewhere in the text, in bytes; UNKNOWN_U64 if it is not there. */
uint64_t proc_find_kilobytes(const char *text, size_t length, const char *key);
/* "key 123" of a flat keyed file (memory.events); UNKNOWN_U64 if it is not there. */
uint64_t proc_find_counter(const char *text, size_t length, const char *key);
/* A file that holds one number; "max", nonsense and negatives are UNKNOWN_U64. */
uint64_t proc_parse_number(const char *text, size_t length);

/* One line "ID:CONTROLLERS:PATH" of /proc/PID/cgroup is wanted: the one that names `controller`, or ""
 * for version 2's. Copies its path. -ENOENT. */
int proc_find_cgroup(const char *text, size_t length, const char *controller, char *buffer, size_t size);
/* The systemd unit and the container id in a cgroup's path; "" if there is none. */
void proc_cgroup_unit(const char *path, char *buffer, size_t size);
void proc_cgroup_container(const char *path, char *buffer, size_t size);

/* "cpython 3.11", "hotspot", ... as far as the path of one mapped file (or the executable) tells; how much
 * it says in *ret_rank (a greater rank overrules). "" and 0: nothing. */
#define RANK_LIBC 1
void proc_path_runtime(const char *path, char *buffer, size_t size, int *ret_rank);

#endif
