// SPDX-License-Identifier: GPL-2.0-only
// TBB with four slots: three workers beside the main thread, all at work at once.
#include <atomic>
#include <cstdio>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <unistd.h>

int main()
{
	tbb::global_control slots(tbb::global_control::max_allowed_parallelism, 4);
	tbb::task_arena arena(4);
	std::atomic<int> there{0};

	arena.execute([&] {
		tbb::task_group group;

		for (int i = 0; i < 4; i++)
			group.run([&] {
				there++;
				while (there < 4)
					usleep(1000);
			});
		group.wait();
	});
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);
}
