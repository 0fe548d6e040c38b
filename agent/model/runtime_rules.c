/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of shipped rules: which evidence makes which pool of which kind. It must not know which pools exist.
 * To teach poolscope another runtime, add a line here; for one program, pool_rules in the config do the same. */
#include "runtime_rules.h"

#include <fnmatch.h>
#include <string.h>

#define FIXED(text) .naming = RULE_FIXED, .pool = text
#define FAMILY(text) .naming = RULE_FAMILY, .pool = text
#define NAME(text) .naming = RULE_NAME, .pool = text
#define LITERAL(text) .naming = RULE_LITERAL, .pool = text
#define MODULE .naming = RULE_MODULE
#define MAIN .naming = RULE_MAIN
#define OWN .is_runtimes_own = true
#define JVM .module = "libjvm.so*"
#define JVM_GC JVM, FIXED("jvm-gc"), .kind = "HotSpot collector", OWN
#define JVM_COMPILER JVM, FIXED("jvm-compiler"), .kind = "HotSpot compiler", OWN
#define JVM_INTERNAL JVM, FIXED("jvm-internal"), .kind = "HotSpot internal", OWN
#define NODE_INTERNAL FIXED("node-internal"), .kind = "Node.js internal", OWN
/* gomp_team_start() puts what each thread of a team is to do on its own stack, and keeps the threads for its own next team.
 * LLVM's go back to one list of the process, for whoever asks next. */
#define GOMP FIXED("libgomp"), .kind = "OpenMP team", .is_teams = true, .is_makers_own = true
#define LIBOMP FIXED("libomp"), .kind = "OpenMP team", .is_teams = true
#define GRPC_INTERNAL FIXED("grpc-internal"), .kind = "gRPC internal", OWN

/* Of libgomp, TBB and pthreadpool the calls are those of Linux. Tasks of libuv are its own functions as well (files, names). */
static const struct worker_waits gomp_waits = {.module = "libgomp*.so*", .spins = true};
static const struct worker_waits omp_waits = {.module = "libomp*.so*", .call = "pthread_cond_*wait", .spins = true};
static const struct worker_waits iomp_waits = {.module = "libiomp*.so*", .call = "pthread_cond_*wait", .spins = true};
static const struct worker_waits tbb_waits = {.module = "libtbb*.so*", .call = "syscall", .spins = true};
static const struct worker_waits pthreadpool_waits = {.module = "libpthreadpool*.so*", .call = "syscall", .spins = true};
static const struct worker_waits uv_waits = {.function = "uv_cond_wait", .call = "pthread_cond_wait"};

/* clang-format off: one row a rule; what is more exact stands first */
static const struct runtime_rule rules[] = {
	/* OpenMP. Wheels of Python rename the files they bring (libgomp-a34b3233.so.1); gomp_thread_start: linked in. */
	{ .module = "libgomp*.so*", GOMP, .waits = &gomp_waits },
	{ .routine = "gomp_thread_start", GOMP },
	{ .module = "libomp*.so*", LIBOMP, .waits = &omp_waits },
	{ .module = "libiomp*.so*", LIBOMP, .waits = &iomp_waits },
	{ .routine = "__kmp_launch_worker*", LIBOMP },

	/* Pools of native libraries. */
	{ .module = "*openblas*", FIXED("openblas"), .kind = "OpenBLAS pool" },
	{ .routine = "blas_thread_server", FIXED("openblas"), .kind = "OpenBLAS pool" },
	{ .module = "libtbb*.so*", FIXED("tbb"), .kind = "TBB workers", .waits = &tbb_waits },
	{ .module = "libpthreadpool*.so*", FIXED("pthreadpool"), .kind = "pthreadpool", .waits = &pthreadpool_waits },
	{ .name = "pt_autograd_*", FIXED("torch-autograd"), .kind = "torch autograd" },
	{ .name = "PTThreadPool", FIXED("torch"), .kind = "torch pool" }, /* between operators; newer ones: pt_thread_pool */
	{ .name = "pt_thread_pool", FIXED("torch"), .kind = "torch pool" },
	{ .module = "libtorch*.so*", FIXED("torch"), .kind = "torch pool" },
	{ .module = "libc10*.so*", FIXED("torch"), .kind = "torch pool" },
	{ .module = "libopencv_core*", FIXED("opencv"), .kind = "OpenCV pool" },
	{ .module = "cv2*.so*", FIXED("opencv"), .kind = "OpenCV pool" },

	/* libuv, by itself and inside node; uvloop's wheel has it linked in. Newer ones name their threads. */
	{ .module = "libuv.so*", FIXED("libuv"), .kind = "libuv pool", .waits = &uv_waits },
	{ .module = "loop.cpython-*", FIXED("libuv"), .kind = "libuv pool" },
	{ .name = "libuv-worker", FIXED("libuv"), .kind = "libuv pool" },
	{ .module = "node", .routine = "worker", FIXED("libuv"), .kind = "libuv pool", .waits = &uv_waits },

	/* Node.js: V8's platform workers compile and collect. Debian has it as libnode.so. */
	{ .routine = "node::*PlatformWorkerThread", FIXED("v8-platform"), .kind = "V8 platform workers", OWN },
	{ .name = "V8Worker", FIXED("v8-platform"), .kind = "V8 platform workers", OWN },
	{ .routine = "node::worker::Worker::StartThread*", FIXED("node-worker"), .kind = "Node.js worker_threads" },
	{ .routine = "node::*DelayedTaskScheduler*", NODE_INTERNAL },
	{ .routine = "node::inspector::*", NODE_INTERNAL },
	{ .name = "DelayedTaskSche", NODE_INTERNAL },
	{ .name = "SignalInspector", NODE_INTERNAL },

	/* HotSpot: a Java thread has its Java name, cut. ForkJoinPool-1-worker-3 has lost which worker it is, never which
	 * pool; pool-1-thread-12 may have. */
	{ .name = "GC Thread#*", JVM_GC },
	{ .name = "G1 *", JVM_GC },
	{ .name = "ParGC*", JVM_GC },
	{ .name = "Shenandoah*", JVM_GC },
	{ .name = "[XZ]Worker*", JVM_GC },
	{ .name = "[XZ]D*", JVM_GC },
	{ .name = "[XZ]Stat", JVM_GC },
	{ .name = "[XZ]Un*", JVM_GC },
	{ .name = "RuntimeWorker#*", JVM_GC },
	{ .name = "C[12] CompilerThre*", JVM_COMPILER },
	{ .name = "JVMCI*", JVM_COMPILER },
	{ .name = "Sweeper thread", JVM_COMPILER },
	{ .name = "VM Thread", JVM_INTERNAL },
	{ .name = "VM Periodic Tas", JVM_INTERNAL },
	{ .name = "Reference Handl", JVM_INTERNAL },
	{ .name = "Finalizer", JVM_INTERNAL },
	{ .name = "Signal Dispatch", JVM_INTERNAL },
	{ .name = "Service Thread", JVM_INTERNAL },
	{ .name = "Monitor Deflati", JVM_INTERNAL },
	{ .name = "Notification Th", JVM_INTERNAL },
	{ .name = "Common-Cleaner", JVM_INTERNAL },
	{ .name = "Attach Listener", JVM_INTERNAL },
	{ .name = "JFR *", JVM_INTERNAL },
	{ .name = "ForkJoinPool.co", JVM, FIXED("ForkJoinPool.commonPool"), .kind = "ForkJoinPool" },
	{ .name = "ForkJoinPool-*", JVM, LITERAL("ForkJoinPool"), .kind = "ForkJoinPool" },
	{ .name = "pool-*", JVM, FAMILY("pool"), .kind = "Java executor" },
	{ JVM, FAMILY("java-threads"), .kind = "Java threads" },
	{ .module = "libjli.so*", FIXED("java-main"), .kind = "Java main thread", .is_programs_main = true },

	/* .NET names its own threads; those of the program have none, or a name of their own. */
	{ .name = ".NET TP Worker", FIXED("dotnet-threadpool"), .kind = ".NET thread pool" },
	{ .name = ".NET TP Wait", FIXED("dotnet-threadpool"), .kind = ".NET thread pool" },
	{ .name = ".NET Long Runni", FIXED("dotnet-long-running"), .kind = ".NET long running tasks" },
	{ .name = ".NET *", FIXED("dotnet-internal"), .kind = ".NET internal", OWN },
	{ .module = "libcoreclr.so*", FAMILY("dotnet-threads"), .kind = ".NET threads" },

	/* Go's threads have neither name nor start routine; with cgo one that is in the program (threadentry), as those have that
	 * C code in the program makes. */
	{ .runtime = "go", .module = "", FIXED("go"), .kind = "Go threads", .has_parallelism = true },
	{ .runtime = "go", .is_programs_file = true, FIXED("go"), .kind = "Go threads", .has_parallelism = true },

	/* tokio gives its workers and its blocking threads one name and one start routine: no evidence tells them apart. */
	{ .name = "tokio-runtime-w", FIXED("tokio-runtime-w*"), .kind = "tokio workers and blocking" },
	{ .name = "tokio-rt-worker", FIXED("tokio-rt-worker"), .kind = "tokio workers and blocking" },

	/* Rust: one start routine for every std::thread::spawn(); of v0 symbols the type stands in angles. */
	{ .routine = "std::sys*::Thread::new::thread_start", NAME("rust-threads"), .kind = "Rust threads" },
	{ .routine = "<std::sys*::Thread>::new::thread_start", NAME("rust-threads"), .kind = "Rust threads" },

	/* gRPC's core, and the C++ server's own pool. The module may be the program itself. */
	{ .name = "grpc_global_tim", GRPC_INTERNAL },
	{ .name = "timer_manager", .module = "*grpc*", GRPC_INTERNAL },
	{ .name = "timer_manager", .module = "libgpr*", GRPC_INTERNAL },
	{ .name = "grpcpp_sync_ser", FIXED("grpcpp_sync_server"), .kind = "gRPC server pool" },
	{ .module = "*grpc*", FAMILY("grpc"), .kind = "gRPC threads" },
	{ .module = "libgpr*", FAMILY("grpc"), .kind = "gRPC threads" },

	/* Ruby names a thread after the line that made it; Puma names its own. */
	{ .name = "puma * tp *", FAMILY("puma"), .kind = "Puma pool" },
	{ .name = "puma *", FIXED("puma-internal"), .kind = "Puma internal", OWN },
	{ .name = "*.rb:*", .module = "libruby*", LITERAL("ruby-threads"), .kind = "Ruby threads" },
	{ .module = "libruby*", FAMILY("ruby-threads"), .kind = "Ruby threads" },

	/* Servers of processes: a child of its like is a worker. */
	{ .program = "nginx", .creator = "nginx", MAIN, .kind = "nginx child process" },
	{ .program = "nginx", MAIN, .kind = "nginx master process" },
	{ .program = "nginx", .module = "nginx", FIXED("nginx-pool"), .kind = "nginx thread pool" },
	{ .program = "postgres", .creator = "postgres", MAIN, .kind = "PostgreSQL child process" },
	{ .program = "postgres", MAIN, .kind = "PostgreSQL postmaster" },

	/* CPython: one start routine for all, too. Executors and names of threads, where they can be read, come before. */
	{ .name = "", .routine = FACT_PLACE "*", .module = "python3*", MODULE, .kind = "Python threads" },
	{ .name = "", .routine = FACT_PLACE "*", .module = "libpython3*.so*", MODULE, .kind = "Python threads" },

	/* C++: one start routine for every std::thread; this is where it cannot be told what that calls. Threads with a name of
	 * their own go by that. */
	{ .name = "", .module = "libstdc++.so*", FIXED("std::thread"), .kind = "std::thread" },
	{ .name = "", .routine = "execute_native_thread_routine", FIXED("std::thread"), .kind = "std::thread" },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(rules) <= RUNTIME_RULES_MAX, "a bit for each rule");

const struct runtime_rule *runtime_rules(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(rules);
	return rules;
}

/* Asked for each birth: what the first characters decide is not for fnmatch(), which takes 50 times as long. */
static bool matches(const char *glob, const char *text)
{
	size_t same = 0;

	if (!glob)
		return true;
	for (; glob[same] && !strchr("*?[", glob[same]); same++) {
		if (glob[same] != text[same])
			return false;
	}
	if (!glob[same])
		return !text[same];
	return fnmatch(glob + same, text + same, 0) == 0;
}

static bool matches_but_name(const struct runtime_rule *rule, const struct rule_evidence *evidence)
{
	return (rule->naming == RULE_MAIN) == evidence->is_leader && matches(rule->routine, evidence->routine) &&
	       matches(rule->module, evidence->module) && matches(rule->program, evidence->program) &&
	       matches(rule->runtime, evidence->runtime) && (!rule->is_programs_file || evidence->is_programs_file);
}

void runtime_rules_narrow(const struct rule_evidence *evidence, struct rule_set *ret_set)
{
	*ret_set = (struct rule_set){.bits = {0}};
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (matches_but_name(&rules[i], evidence))
			ret_set->bits[i / 64] |= 1ULL << (i % 64);
}

const struct runtime_rule *runtime_rule_among(const struct rule_set *set, const struct rule_evidence *evidence)
{
	for (size_t word = 0; word < ARRAY_SIZE(set->bits); word++) {
		for (uint64_t bits = set->bits[word]; bits; bits &= bits - 1) {
			const struct runtime_rule *rule = &rules[word * 64 + (size_t)__builtin_ctzll(bits)];

			if (matches(rule->name, evidence->name) && matches(rule->creator, evidence->creator))
				return rule;
		}
	}
	return NULL;
}

const struct worker_waits *runtime_rules_waits(const struct rule_evidence *evidence)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].waits && !rules[i].name && matches_but_name(&rules[i], evidence))
			return rules[i].waits;
	return NULL;
}
