// SPDX-License-Identifier: GPL-2.0-only
// Threads of C++'s std::thread, and of C by their start routine.
#include <cstdio>
#include <pthread.h>
#include <thread>
#include <unistd.h>

extern "C" void *decode_frames(void *)
{
	pause();
	return nullptr;
}

int main()
{
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		std::thread([] { pause(); }).detach();
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, nullptr, decode_frames, nullptr))
			return 1;
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);
}
