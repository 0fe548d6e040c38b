// SPDX-License-Identifier: GPL-2.0-only
// Threads of std::thread by all that it can call. They begin at once, or when a line is read.
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

struct Shop {
	void serve(std::string, int) { pause(); }
	virtual void sell() { pause(); }
	virtual ~Shop() {}
	void open() { std::thread([this] { serve("", 0); }).detach(); }
};

struct Functor {
	int number;
	void operator()() { pause(); }
};

template <class T> struct Pool {
	void run() { pause(); }
};

namespace {
void hidden() { pause(); }
}

static void decode(char, int, std::shared_ptr<Shop>) { pause(); }
static void call(void (*function)(), long) { function(); }
static void take(Functor) { pause(); }

static void begin()
{
	static Shop shop;
	static Pool<int> pool;
	static std::future<void> later;

	for (int i = 0; i < 2; i++)
		std::thread(decode, 'c', 1, std::make_shared<Shop>()).detach();
	std::thread(call, hidden, 2).detach();
	std::thread(hidden).detach();
	std::thread(&Shop::serve, &shop, "text", 3).detach();
	std::thread(&Shop::serve, std::ref(shop), "text", 3).detach();
	std::thread(&Pool<int>::run, &pool).detach();
	std::thread(Functor{4}).detach();
	for (int i = 0; i < 3; i++)
		std::thread([i] { pause(); }).detach();
	shop.open();
	later = std::async(std::launch::async, hidden);
	std::thread(&Shop::sell, &shop).detach(); // virtual: who it is says the object
	std::thread(take, Functor{5}).detach();   // the size of what is passed is not known
}

int main(int argc, char **)
{
	if (argc < 2)
		begin();
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	if (getchar() == EOF)
		_exit(0);
	begin();
	usleep(100000); // a thread has a moment to take a name
	printf("{}\n");
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);
}
