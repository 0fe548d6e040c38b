// SPDX-License-Identifier: GPL-2.0-only
// Threads of std::thread that make containers grow in methods of two classes, each when a line is read.
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <condition_variable>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace shop
{
constexpr size_t BLOCK = 4 << 20;

class Index
{
	std::vector<std::vector<char>> blocks;

      public:
	__attribute__((noinline)) void add_block()
	{
		blocks.emplace_back();
		blocks.back().resize(BLOCK, 'x');
		__asm__ volatile("" ::: "memory"); // else the call at the end may become a jump
	}
};

class Text
{
	std::deque<std::string> lines;
	std::map<size_t, std::unique_ptr<char[]>> pages;

      public:
	__attribute__((noinline)) void add_line()
	{
		lines.emplace_back();
		lines.back().append(BLOCK, 'y');
		pages[lines.size()] = std::make_unique<char[]>(BLOCK);
		__asm__ volatile("" ::: "memory");
	}
};
} // namespace shop

static std::mutex lock;
static std::condition_variable come, done;
static int wanted, made;

static void work(int number)
{
	static thread_local shop::Index index;
	static thread_local shop::Text text;

	for (int seen = 0;; seen++) {
		std::unique_lock<std::mutex> guard(lock);
		come.wait(guard, [&] { return wanted > seen; });
		guard.unlock();
		if (number)
			text.add_line();
		else
			index.add_block();
		guard.lock();
		made++;
		done.notify_one();
	}
}

int main()
{
	for (int i = 0; i < 2; i++)
		std::thread(work, i).detach();
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (getchar() != EOF) {
		std::unique_lock<std::mutex> guard(lock);
		wanted++;
		come.notify_all();
		done.wait(guard, [] { return made == 2 * wanted; });
		printf("{}\n");
		fflush(stdout);
	}
	_exit(0);
}
