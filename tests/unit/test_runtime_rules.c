/* SPDX-License-Identifier: GPL-2.0-only */
/* The shipped rules, each by evidence as the runtime shows it: names and routines as they were seen in live processes
 * (tests/runtimes/test_rules.py runs those that Debian has), or as the runtime's own sources have them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fnmatch.h>

#include "model/runtime_rules.h"
#include "model_facts.h"

static const struct {
	const char *name, *routine, *module, *pool, *kind;
	bool own;
} threads[] = {
	{"app", "", "libgomp.so.1.0.0", "libgomp", "OpenMP team", false},
	{"resize_3", "gomp_thread_start", "libgomp-a34b3233.so.1", "libgomp", "OpenMP team", false},
	{"app", "gomp_thread_start", "app", "libgomp", "OpenMP team", false},
	{"app", "", "libomp.so.5", "libomp", "OpenMP team", false},
	{"app", "", "libiomp5.so", "libomp", "OpenMP team", false},
	{"app", "__kmp_launch_worker", "app", "libomp", "OpenMP team", false},
	{"app", "blas_thread_server", "libopenblasp-r0.3.21.so", "openblas", "OpenBLAS pool", false},
	{"app", "", "libscipy_openblas64_-99b71e71.so", "openblas", "OpenBLAS pool", false},
	{"app", "blas_thread_server", "app", "openblas", "OpenBLAS pool", false},
	{"app", "", "libtbb.so.12.8", "tbb", "TBB workers", false},
	{"app", "", "libpthreadpool.so.0", "pthreadpool", "pthreadpool", false},
	{"pt_autograd_0", "", "libstdc++.so.6.0.30", "torch-autograd", "torch autograd", false},
	{"PTThreadPool", "", "libstdc++.so.6.0.30", "torch", "torch pool", false},
	{"pt_thread_pool", "", "libstdc++.so.6.0.30", "torch", "torch pool", false},
	{"app", "thread_main", "libtorch_cpu.so", "torch", "torch pool", false},
	{"app", "", "libc10.so", "torch", "torch pool", false},
	{"app", "", "libopencv_core.so.406", "opencv", "OpenCV pool", false},
	{"app", "", "cv2.abi3.so", "opencv", "OpenCV pool", false},
	{"app", "", "libuv.so.1.0.0", "libuv", "libuv pool", false},
	{"app", "", "loop.cpython-311-x86_64-linux-gnu.so", "libuv", "libuv pool", false},
	{"libuv-worker", "worker", "node", "libuv", "libuv pool", false},
	{"app", "worker", "node", "libuv", "libuv pool", false},
	{"app", "node::(anonymous namespace)::PlatformWorkerThread", "node", "v8-platform", "V8 platform workers", true},
	{"V8Worker", "", "libnode.so.127", "v8-platform", "V8 platform workers", true},
	{"app", "node::worker::Worker::StartThread(v8::FunctionCallbackInfo<v8::Value> const&)::{lambda(void*)#1}::_FUN", "node",
	 "node-worker", "Node.js worker_threads", false},
	{"app", "node::WorkerThreadsTaskRunner::DelayedTaskScheduler::Start()::{lambda(void*)#1}::_FUN", "node",
	 "node-internal", "Node.js internal", true},
	{"app", "node::inspector::(anonymous namespace)::StartIoThreadMain", "node", "node-internal", "Node.js internal", true},
	{"DelayedTaskSche", "", "libnode.so.127", "node-internal", "Node.js internal", true},
	{"SignalInspector", "", "libnode.so.127", "node-internal", "Node.js internal", true},
	{"GC Thread#13", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"G1 Conc#0", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"ParGC Thread#1", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"Shenandoah GC T", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"ZWorker#3", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"ZDirector", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"ZStat", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"ZUncommitter", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"RuntimeWorker#1", "", "libjvm.so", "jvm-gc", "HotSpot collector", true},
	{"C2 CompilerThre", "", "libjvm.so", "jvm-compiler", "HotSpot compiler", true},
	{"JVMCI CompilerT", "", "libjvm.so", "jvm-compiler", "HotSpot compiler", true},
	{"Sweeper thread", "", "libjvm.so", "jvm-compiler", "HotSpot compiler", true},
	{"VM Thread", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"VM Periodic Tas", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Reference Handl", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Finalizer", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Signal Dispatch", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Service Thread", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Monitor Deflati", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Notification Th", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Common-Cleaner", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"Attach Listener", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"JFR Recorder Th", "", "libjvm.so", "jvm-internal", "HotSpot internal", true},
	{"ForkJoinPool.co", "", "libjvm.so", "ForkJoinPool.commonPool", "ForkJoinPool", false},
	{"ForkJoinPool-1-", "", "libjvm.so", "ForkJoinPool-1-*", "ForkJoinPool", false},
	{"ForkJoinPool-12", "", "libjvm.so", "ForkJoinPool-12*", "ForkJoinPool", false},
	{"pool-1-thread-3", "", "libjvm.so", "pool-1-thread-*", "Java executor", false},
	{"pool-10-thread-", "", "libjvm.so", "pool-10-thread-*", "Java executor", false},
	{"pool-100-thread", "", "libjvm.so", "pool-100-thread*", "Java executor", false},
	{"http-nio-8080-e", "", "libjvm.so", "http-nio-8080-e*", "Java threads", false},
	{"kafka-2", "", "libjvm.so", "kafka-*", "Java threads", false},
	{"app", "", "libjvm.so", "java-threads", "Java threads", false}, /* JDK 8 names none for the kernel */
	{"app", "ThreadJavaMain", "libjli.so", "java-main", "Java main thread", false},
	{".NET TP Worker", "", "libcoreclr.so", "dotnet-threadpool", ".NET thread pool", false},
	{".NET TP Wait", "", "libcoreclr.so", "dotnet-threadpool", ".NET thread pool", false},
	{".NET Long Runni", "", "libcoreclr.so", "dotnet-long-running", ".NET long running tasks", false},
	{".NET Server GC", "", "libclrgc.so", "dotnet-internal", ".NET internal", true},
	{"consumer-3", "", "libcoreclr.so", "consumer-*", ".NET threads", false},
	{"app", "", "libcoreclr.so", "dotnet-threads", ".NET threads", false},
	{"tokio-runtime-w", "std::sys::unix::thread::Thread::new::thread_start", "app", "tokio-runtime-w*",
	 "tokio workers and blocking", false},
	{"tokio-rt-worker", "", "app", "tokio-rt-worker", "tokio workers and blocking", false},
	{"app", "std::sys::unix::thread::Thread::new::thread_start", "app", "rust-threads", "Rust threads", false},
	{"app", "std::sys::pal::unix::thread::Thread::new::thread_start", "app", "rust-threads", "Rust threads", false},
	{"app", "std::sys::thread::unix::Thread::new::thread_start", "libapp.so", "rust-threads", "Rust threads",
	 false},
	{"app", "<std::sys::thread::unix::Thread>::new::thread_start", "app", "rust-threads", "Rust threads", false},
	{"app", "<std::sys::pal::unix::thread::Thread>::new::thread_start", "app", "rust-threads", "Rust threads", false},
	{"rayon-3", "<std::sys::thread::unix::Thread>::new::thread_start", "app", "rayon-*", "Rust threads", false},
	{"resizer-3", "std::sys::unix::thread::Thread::new::thread_start", "app", "resizer-*", "Rust threads", false},
	{"decode-2-frames", "std::sys::unix::thread::Thread::new::thread_start", "app", "decode-*-frames",
	 "Rust threads", false},
	{"grpc_global_tim", "", "app", "grpc-internal", "gRPC internal", true},
	{"timer_manager", "", "cygrpc.cpython-311-x86_64-linux-gnu.so", "grpc-internal", "gRPC internal", true},
	{"timer_manager", "", "libgpr.so.29", "grpc-internal", "gRPC internal", true},
	{"grpcpp_sync_ser", "", "libgpr.so.29", "grpcpp_sync_server", "gRPC server pool", false},
	{"default-executo", "", "cygrpc.cpython-311-x86_64-linux-gnu.so", "default-executo*", "gRPC threads", false},
	{"event_engine", "", "libgpr.so.29", "event_engine", "gRPC threads", false},
	{"puma srv tp 001", "", "libruby-3.1.so.3.1.2", "puma srv tp *", "Puma pool", false},
	{"puma reactor", "", "libruby-3.1.so.3.1.2", "puma-internal", "Puma internal", true},
	{"app.rb:3", "", "libruby-3.1.so.3.1.2", "app.rb:3", "Ruby threads", false},
	{"a_long_name.rb:", "", "libruby-3.1.so.3.1.2", "a_long_name.rb:*", "Ruby threads", false},
	{"mailer-1", "", "libruby-3.1.so.3.1.2", "mailer-*", "Ruby threads", false},
	{"app", "", "libruby-3.1.so.3.1.2", "ruby-threads", "Ruby threads", false},
	{"app", "+0x1f8a50", "python3.11", "python3.11", "Python threads", false},
	{"app", "+0x2a1450", "libpython3.12.so.1.0", "libpython3.12.so", "Python threads", false},
	{"app", "", "libstdc++.so.6.0.30", "std::thread", "std::thread", false},
	{"app", "+0xd44a0", "libstdc++.so.6.0.30", "std::thread", "std::thread", false},
	{"app", "execute_native_thread_routine", "app", "std::thread", "std::thread", false},
	/* none's: as ever */
	{"decoder-3", "", "libstdc++.so.6.0.30", "decoder-*", "threads", false},
	{"app", "decode_frames", "app", "app:decode_frames", "threads", false},
	{"GC Thread#1", "worker", "app", "GC Thread#*", "threads", false},
	{"app", "worker", "app", "app:worker", "threads", false},
	{"app", "+0x11f9", "app", "app+0x11f9", "threads", false},
	{"app", "thread_run", "python3.13", "python3.13:thread_run", "threads", false},
	{"taker-3", "+0x2b8c10", "python3.14", "taker-*", "threads", false},
};

static void threads_of_each_runtime(void **state)
{
	const struct snapshot_target *target;
	struct script s = {.entry.max_pools = 1000};

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < ARRAY_SIZE(threads); i++) {
		seen(&s, 200 + i, threads[i].name);
		routine(&s, 200 + i, threads[i].module, threads[i].routine);
	}
	target = refresh(&s);
	for (uint32_t i = 0; i < ARRAY_SIZE(threads); i++) {
		const struct snapshot_pool *found = &target->pools[thread(target, 200 + i)->pool];

		assert_string_equal(found->name, threads[i].pool);
		assert_string_equal(found->kind, threads[i].kind);
		assert_int_equal(found->is_runtimes_own, threads[i].own);
		assert_int_equal(fnmatch(found->name, found->name, 0), 0);
	}
	script_end(&s);
}

/* What live programs showed, thread by thread: `dump --json` (name, start_routine), and a pool_rules glob on each module.
 * tests/runtimes/test_rules.py runs the like of them with Debian's rustc, whose symbols are the older ones. */
static const struct recorded_thread {
	const char *name, *routine, *module, *pool, *kind;
} tokio_threads[] = {
	/* tokio 1.24.2 (Debian 12's librust-tokio-dev), rustc 1.95: a runtime of 3 worker_threads, 2 spawn_blocking that sleep.
	 * With thread_name("tokio-rt-worker"), as newer ones have it, nothing but the name was other. */
#define TOKIO_ROUTINE "_RNvNvMs0_NtNtNtCsjrHSEGnQ3l9_3std3sys6thread4unixNtB7_6Thread3new12thread_start"
#define TOKIO {"tokio-runtime-w", TOKIO_ROUTINE, "service", "tokio-runtime-w*", "tokio workers and blocking"}
	TOKIO, TOKIO, TOKIO, TOKIO, TOKIO,
}, torch_threads[] = {
	/* torch 1.13.1 of Debian 12 (python3-torch), libopenblas0-pthread 0.3.21, 2 CPUs: set_num_threads(3),
	 * set_num_interop_threads(3), then a convolution with its backward, a product of matrices, two torch.jit.fork. The
	 * teams that a worker of torch starts have its name. */
	{"python3", "", "libopenblasp-r0.3.21.so", "openblas", "OpenBLAS pool"},
	{"python3", "", "libgomp.so.1.0.0", "libgomp", "OpenMP team"},
	{"python3", "", "libgomp.so.1.0.0", "libgomp", "OpenMP team"},
	{"PTThreadPool", "", "libstdc++.so.6.0.30", "torch", "torch pool"},
	{"PTThreadPool", "", "libstdc++.so.6.0.30", "torch", "torch pool"},
	{"PTThreadPool", "", "libstdc++.so.6.0.30", "torch", "torch pool"},
	{"PTThreadPool", "", "libgomp.so.1.0.0", "libgomp", "OpenMP team"},
	{"PTThreadPool", "", "libgomp.so.1.0.0", "libgomp", "OpenMP team"},
	{"PTThreadPool", "", "libpthreadpool.so.0", "pthreadpool", "pthreadpool"},
	{"PTThreadPool", "", "libpthreadpool.so.0", "pthreadpool", "pthreadpool"},
};

static const struct {
	const char *comm, *runtime;
	const struct recorded_thread *threads;
	uint32_t count;
} recorded[] = {
	{"service", "glibc", tokio_threads, ARRAY_SIZE(tokio_threads)},
	{"python3", "cpython 3.11.2", torch_threads, ARRAY_SIZE(torch_threads)},
};

static void attach_program(struct script *s, const char *comm, const char *parent, const char *runtime)
{
	struct fact fact = {.kind = FACT_TARGET, .target = TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC}};

	script_begin_with(s, (struct model_options){.keep_ended = true});
	strcpy(fact.target_info.comm, comm);
	snprintf(fact.target_info.exe, sizeof(fact.target_info.exe), "/opt/%s.bin", comm);
	strcpy(fact.target_info.parent_comm, parent);
	strcpy(fact.target_info.runtime, runtime);
	feed(s, fact);
	seen(s, PID, comm);
	seen(s, 200, comm);
}

static void threads_of_recorded_programs(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(recorded); r++) {
		struct script s = {0};
		const struct snapshot_target *target;

		attach_program(&s, recorded[r].comm, "", recorded[r].runtime);
		for (uint32_t i = 0; i < recorded[r].count; i++) {
			seen(&s, 200 + i, recorded[r].threads[i].name);
			routine(&s, 200 + i, recorded[r].threads[i].module, recorded[r].threads[i].routine);
		}
		target = refresh(&s);
		for (uint32_t i = 0; i < recorded[r].count; i++) {
			const char *name = recorded[r].threads[i].pool;

			assert_string_equal(pool_name_of(target, 200 + i), name);
			assert_string_equal(pool(target, name)->kind, recorded[r].threads[i].kind);
		}
		script_end(&s);
	}
}

static const struct {
	const char *comm, *parent, *runtime, *module, *main_kind, *pool, *kind;
} programs[] = {
	{"nginx", "systemd", "glibc", "nginx", "nginx master process", "nginx-pool", "nginx thread pool"},
	{"nginx", "nginx", "glibc", "nginx", "nginx child process", "nginx-pool", "nginx thread pool"},
	{"postgres", "", "glibc", "", "PostgreSQL postmaster", "postgres", "threads"},
	{"postgres", "postgres", "glibc", "", "PostgreSQL child process", "postgres", "threads"},
	{"exporter", "nginx", "go", "", "threads", "go", "Go threads"},
	{"exporter", "", "go", "exporter.bin", "threads", "go", "Go threads"}, /* cgo */
	{"exporter", "", "go", "libfoo.so", "threads", "libfoo.so", "threads"},
	{"exporter", "", "glibc", "exporter.bin", "threads", "exporter.bin", "threads"},
	{"exporter", "", "glibc", "", "threads", "exporter", "threads"},
};

static void programs_and_processes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct script s = {0};
		const struct snapshot_target *target;

		attach_program(&s, programs[i].comm, programs[i].parent, programs[i].runtime);
		routine(&s, 200, programs[i].module, "");
		target = refresh(&s);
		assert_string_equal(pool(target, "main")->kind, programs[i].main_kind);
		assert_string_equal(pool_name_of(target, 200), programs[i].pool);
		assert_string_equal(pool(target, programs[i].pool)->kind, programs[i].kind);
		script_end(&s);
	}
}

static void parallelism_is_gos_pools_alone(void **state)
{
	struct fact told = {.kind = FACT_RUNTIME, .runtime = {.name = "go", .parallelism = 4}};
	struct script s = {0};

	attach_program(&s, "exporter", "", "go");
	assert_int_equal(pool(refresh(&s), "go")->parallelism, UNKNOWN_U64);
	feed(&s, told);
	assert_int_equal(pool(refresh(&s), "go")->parallelism, 4);
	assert_int_equal(pool(refresh(&s), "main")->parallelism, UNKNOWN_U64);
	assert_int_equal(pool(refresh(&s), "go")->capacity, UNKNOWN_U64);
	script_end(&s);
}

static const struct runtime_rule *rule_found(const struct rule_evidence *evidence)
{
	struct rule_set set;

	runtime_rules_narrow(evidence, &set);
	return runtime_rule_among(&set, evidence);
}

/* A rule that no case above finds is one that nothing proves. */
static void every_rule_is_tried(void **state)
{
	size_t count;
	const struct runtime_rule *rules = runtime_rules(&count), *found;
	bool tried[256] = {false};

	assert_true(count <= ARRAY_SIZE(tried));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		found = rule_found(&(struct rule_evidence){
			strcmp(threads[i].name, "app") ? threads[i].name : "", threads[i].routine, threads[i].module, "app",
			"", "", false, false});
		if (found)
			tried[found - rules] = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		for (int leads = 0; leads < 2; leads++) {
			found = rule_found(&(struct rule_evidence){"", "", programs[i].module, programs[i].comm,
									  programs[i].runtime, programs[i].parent, leads,
									  strstr(programs[i].module, ".bin") != NULL});
			if (found)
				tried[found - rules] = true;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!tried[i])
			fail_msg("no case finds rule %zu (name %s, routine %s, module %s)", i, rules[i].name, rules[i].routine,
				 rules[i].module);
		assert_non_null(rules[i].kind);
		assert_true(strlen(rules[i].kind) < sizeof(((struct snapshot_pool *)0)->kind));
		assert_true(rules[i].naming == RULE_MAIN || rules[i].naming == RULE_MODULE || strlen(rules[i].pool) < 64);
	}
}

static void rules_of_the_config_and_executors_come_first(void **state)
{
	struct script s = {.entry.n_rules = 1, .rules = {{.pool = "mine", .module = "libgomp*"}}};
	const struct snapshot_target *target;
	struct fact told = {.kind = FACT_EXECUTOR, .executor = {.id = 1, .kind = EXECUTOR_FUTURES, .instance = 1,
								.capacity = 4, .name = "resize_0"}};

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "app");
	routine(&s, 200, "libgomp.so.1", "gomp_thread_start");
	seen(&s, 201, "app");
	routine(&s, 201, "libuv.so.1", "worker");
	feed(&s, told);
	feed(&s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(201), .executor = 1}});
	seen(&s, 202, "app");
	routine(&s, 202, "libuv.so.1", "worker");
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 200), "mine");
	assert_string_equal(pool(target, "mine")->kind, "threads");
	assert_string_equal(pool_name_of(target, 201), "resize_*");
	assert_string_equal(pool_name_of(target, 202), "libuv");
	script_end(&s);
}

/* A JVM that makes executors without end does not make pools without end. */
static void many_executors_fold(void **state)
{
	struct script s = {.entry.max_pools = 1000};
	const struct snapshot_target *target;
	char name[32];

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 1; i <= 99; i++) {
		snprintf(name, sizeof(name), "pool-%u-thread-1", i);
		seen(&s, 200 + i, name);
		routine(&s, 200 + i, "libjvm.so", "");
	}
	target = refresh(&s);
	assert_int_equal(target->n_pools, 18);
	assert_int_equal(pool(target, "pool-10-thread-*")->threads, 1);
	assert_int_equal(pool(target, "pool-*-thread-*")->threads, 83);
	assert_string_equal(pool(target, "pool-*-thread-*")->kind, "Java executor");
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_of_each_runtime),
		cmocka_unit_test(threads_of_recorded_programs),
		cmocka_unit_test(programs_and_processes),
		cmocka_unit_test(parallelism_is_gos_pools_alone),
		cmocka_unit_test(every_rule_is_tried),
		cmocka_unit_test(rules_of_the_config_and_executors_come_first),
		cmocka_unit_test(many_executors_fold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
