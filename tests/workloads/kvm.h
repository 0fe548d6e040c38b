/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs a virtual machine of one instruction, for which the kernel (from 6.13 on) starts a worker thread. No library. */
#ifndef POOLSCOPE_WORKLOADS_KVM_H
#define POOLSCOPE_WORKLOADS_KVM_H

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define HALT 0xf4 /* x86 */

/* The machine stays until the process ends. */
static bool kvm_start_worker(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), machine = ioctl(kvm, KVM_CREATE_VM, 0);
	int cpu = ioctl(machine, KVM_CREATE_VCPU, 0), size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = { .memory_size = 1 << 20, .userspace_addr = (unsigned long)memory };

	if (memory == MAP_FAILED || cpu < 0 || size < 0 ||
	    mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0) == MAP_FAILED)
		return false;
	memory[0] = HALT;
	return !ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region) && !ioctl(cpu, KVM_RUN, 0);
}

#endif
