/* SPDX-License-Identifier: GPL-2.0-only */
/* A library whose function runs in an OpenMP team of the thread that calls it. */
#include <omp.h>

int run_team(int threads)
{
	int sum = 0;

#pragma omp parallel num_threads(threads) reduction(+ : sum)
	sum += omp_get_thread_num();
	return sum;
}
