/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs that do nothing: what the kernel charges for being called at all, per program type. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tracepoint/syscalls/sys_exit_mmap")
int empty_tracepoint(void *context)
{
	return 0;
}

SEC("tp_btf/task_newtask")
int empty_tp_btf(void *context)
{
	return 0;
}
