/* SPDX-License-Identifier: GPL-2.0-only */
/* A library whose functions run in OpenMP teams of the thread that calls them. */
#include <omp.h>
#include <unistd.h>

int nested_there; /* threads within run_nested(), those that call it and all their helpers */

int run_team(int threads)
{
	int sum = 0;

#pragma omp parallel num_threads(threads) reduction(+ : sum)
	sum += omp_get_thread_num();
	return sum;
}

/* Each thread of a team has a team within. All stay until nobody can write to `hold` any more: gcc's teams within end with
 * their loop. */
int run_nested(int outer, int inner, int hold)
{
	int sum = 0;

	omp_set_max_active_levels(2);
#pragma omp parallel num_threads(outer) reduction(+ : sum)
#pragma omp parallel num_threads(inner) reduction(+ : sum)
	{
		char byte;

		__atomic_add_fetch(&nested_there, 1, __ATOMIC_RELAXED);
		sum += 1 + (int)read(hold, &byte, 1);
	}
	return sum;
}
