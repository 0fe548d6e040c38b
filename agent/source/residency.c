/* SPDX-License-Identifier: GPL-2.0-only */
/* Residency: walks the page tables of a target along the spans it is given, within a budget, and tells what
 * each holds. It must not know whose the spans are. */
#include "../boottime.h"
#include "residency.h"
#include "procfs_internal.h"
#include "residency_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* So many small mappings, a page or two each, take a quarter of a millisecond: the budget is looked at then. */
#define STRETCH_SPANS 1024

struct method {
	const char *name;
	int (*prepare)(struct page_reader *reader);
	int (*read)(struct page_reader *reader, uint64_t start, uint64_t end, bool anonymous,
		    const struct run_sink *sink);
	uint64_t bridge;   /* holes between spans up to this size are read along: dearer than a call if larger */
	uint64_t stretch;  /* the budget is looked at after so many bytes of spans */
	uint64_t span_max; /* spans beyond this are left unread: reserved space that a file of entries cannot cover */
};

static const struct method methods[] = {
	/* 2 MiB dense are 512 pages at 5 ns, about a call; and an empty one is one step of the walk. */
	{"scan", page_scan_prepare, page_scan, 2ULL << 20, 1ULL << 30, UINT64_MAX},
	{"pagemap", page_read_prepare, page_read, 64ULL << 10, 64ULL << 20, 256ULL << 30},
};

struct residency {
	const struct method *method;
	struct page_reader reader;
	uint32_t target, pid;
	char *procfs;
	uint64_t cursor; /* the address after the last quiet span that was read */
};

/* An open pagemap belongs to one address space: after exec it reads nothing, and is opened anew. */
static int residency_open(struct residency *residency)
{
	_cleanup_(procfs_freep) struct procfs *procfs = NULL;
	struct proc_dir dir;
	int fd, r = procfs_open_files(residency->procfs, &procfs);

	if (r == 0)
		r = procfs_living(procfs, residency->pid, &dir);
	if (r < 0)
		return r;
	fd = procfs_openf(procfs, O_RDONLY, "%s/pagemap", dir.path);
	if (fd < 0)
		return fd;
	close_fd(&residency->reader.fd);
	residency->reader.fd = fd;
	return 0;
}

static int new_failed(struct explain *explain, uint32_t pid, const char *method, int error)
{
	bool rights = error == -EACCES || error == -EPERM;

	*explain = (struct explain){0};
	snprintf(explain->what, sizeof(explain->what), "cannot read the page tables of PID %u", pid);
	snprintf(explain->why, sizeof(explain->why), "%s",
		 error == -ESRCH  ? "the process is gone"
		 : error == -ENOTTY ? "this kernel has no PAGEMAP_SCAN (Linux 6.7 brought it)"
				    : strerror(-error));
	snprintf(explain->remedy, sizeof(explain->remedy), "%s",
		 rights ? "run poolscope as root, or with CAP_SYS_PTRACE"
		 : error == -ENOTTY ? "use the method pagemap" : "");
	return error;
}

int residency_new(uint32_t target, uint32_t pid, const char *procfs, const char *method,
		  struct residency **ret_residency, struct explain *explain)
{
	_cleanup_(residency_freep) struct residency *residency = calloc(1, sizeof(*residency));
	int r;

	if (!residency)
		return -ENOMEM;
	*residency = (struct residency){
		.target = target,
		.pid = pid,
		.procfs = strdup(procfs ? procfs : "/proc"),
		.reader = {.fd = -1, .page_size = (uint64_t)sysconf(_SC_PAGESIZE)},
	};
	if (!residency->procfs)
		return -ENOMEM;
	r = residency_open(residency);
	if (r < 0)
		return new_failed(explain, pid, method, r);
	r = -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(methods) && r < 0; i++) {
		if (method && strcmp(method, methods[i].name) != 0)
			continue;
		residency->method = &methods[i];
		r = methods[i].prepare(&residency->reader);
	}
	if (r < 0)
		return new_failed(explain, pid, method, r);
	*ret_residency = TAKE_PTR(residency);
	return 0;
}

void residency_free(struct residency *residency)
{
	if (!residency)
		return;
	close_fd(&residency->reader.fd);
	free(residency->reader.buffer);
	free(residency->procfs);
	free(residency);
}

const char *residency_method(const struct residency *residency)
{
	return residency->method->name;
}

/* ---- one stretch: consecutive spans, read by one walk ----------------------------------------------- */

struct tally {
	uint64_t resident, swapped;
};

struct stretch {
	const struct span *spans; /* of this stretch */
	size_t count, at;         /* at: the first span that later runs can still meet */
	struct tally *tallies;    /* one a span */
	bool anonymous;           /* all of the spans; what lies in the holes is then unsure */
	struct tally outside, outside_huge;
};

static void tally_add(struct tally *tally, uint64_t categories, uint64_t bytes)
{
	if (categories & SCAN_PAGE_IS_PRESENT)
		tally->resident += bytes;
	else
		tally->swapped += bytes;
}

/* Runs and spans both ascend: one merge-walk. */
static int stretch_run(void *context, const struct page_run *run)
{
	struct stretch *stretch = context;
	struct tally *outside = run->categories & SCAN_PAGE_IS_HUGE ? &stretch->outside_huge : &stretch->outside;
	uint64_t from = run->start;

	while (stretch->at < stretch->count && from < run->end) {
		const struct span *span = &stretch->spans[stretch->at];
		uint64_t span_end = span->start + span->length, to;

		if (from < span->start) {
			to = span->start < run->end ? span->start : run->end;
			tally_add(outside, run->categories, to - from);
			from = to;
			continue;
		}
		if (from >= span_end) {
			stretch->at++;
			continue;
		}
		to = span_end < run->end ? span_end : run->end;
		tally_add(&stretch->tallies[stretch->at], run->categories, to - from);
		from = to;
	}
	if (from < run->end)
		tally_add(outside, run->categories, run->end - from);
	return 0;
}

struct pass {
	struct residency *residency;
	const struct span *spans;
	bool *done;
	size_t n_spans, n_read;
	struct tally *tallies;
	const struct fact_sink *sink;
	uint64_t started, budget;
	struct tally outside, outside_huge;
	uint64_t outside_start, outside_end; /* frame of what was read */
};

static bool pass_over(const struct pass *pass)
{
	return pass->budget && pass->n_read && thread_cputime() - pass->started >= pass->budget;
}

static int read_stretch(struct residency *residency, uint64_t start, uint64_t end, struct stretch *stretch)
{
	struct run_sink runs = {stretch_run, stretch};

	memset(stretch->tallies, 0, stretch->count * sizeof(*stretch->tallies));
	stretch->outside = stretch->outside_huge = (struct tally){0};
	stretch->at = 0;
	return residency->method->read(&residency->reader, start, end, stretch->anonymous, &runs);
}

/* Pages that lie in holes may be of files: these stretches, which are rare, are read once more with care. */
static int read_stretch_surely(struct residency *residency, uint64_t start, uint64_t end, struct stretch *stretch)
{
	int r = read_stretch(residency, start, end, stretch);

	if (r < 0 || !stretch->anonymous || (!stretch->outside.resident && !stretch->outside_huge.resident))
		return r;
	stretch->anonymous = false;
	return read_stretch(residency, start, end, stretch);
}

/* Reads the spans [from, from + count) by one walk and emits a fact for each. */
static int pass_read(struct pass *pass, size_t from, size_t count)
{
	struct residency *residency = pass->residency;
	const struct span *first = &pass->spans[from], *last = &pass->spans[from + count - 1];
	struct stretch stretch = {.spans = first, .count = count, .tallies = pass->tallies, .anonymous = true};
	uint64_t end = last->start + last->length, time_ns = boottime();
	int r;

	for (size_t i = 0; i < count; i++)
		stretch.anonymous = stretch.anonymous && first[i].anonymous;
	r = read_stretch_surely(residency, first->start, end, &stretch);

	if (r == -ESRCH) {
		r = residency_open(residency);
		if (r == 0)
			r = read_stretch_surely(residency, first->start, end, &stretch);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		struct fact fact = {
			.kind = FACT_RESIDENT,
			.target = residency->target,
			.time_ns = time_ns,
			.resident = {
				.start = first[i].start,
				.length = first[i].length,
				.resident = stretch.tallies[i].resident,
				.swapped = stretch.tallies[i].swapped,
			},
		};

		pass->done[from + i] = true;
		r = pass->sink->emit(pass->sink->context, &fact);
		if (r)
			return r;
	}
	pass->n_read += count;
	pass->outside.resident += stretch.outside.resident;
	pass->outside.swapped += stretch.outside.swapped;
	pass->outside_huge.resident += stretch.outside_huge.resident;
	pass->outside_huge.swapped += stretch.outside_huge.swapped;
	pass->outside_start = first->start < pass->outside_start ? first->start : pass->outside_start;
	pass->outside_end = end > pass->outside_end ? end : pass->outside_end;
	return 0;
}

static bool span_is_due(const struct pass *pass, size_t i, bool changed)
{
	return !pass->done[i] && (!changed || pass->spans[i].changed) &&
	       pass->spans[i].length <= pass->residency->method->span_max;
}

/* How many spans from `from` on one walk takes: near neighbours, up to the size of a stretch. */
static size_t stretch_length(const struct pass *pass, size_t from, size_t to, bool changed)
{
	const struct method *method = pass->residency->method;
	uint64_t bytes = pass->spans[from].length;
	size_t i = from + 1;

	for (; i < to && i - from < STRETCH_SPANS && span_is_due(pass, i, changed); i++) {
		uint64_t end = pass->spans[i - 1].start + pass->spans[i - 1].length;

		/* A large anonymous neighbour is cheaper to read apart, a small one along. */
		if (pass->spans[i].anonymous != pass->spans[from].anonymous &&
		    (bytes > method->bridge || pass->spans[i].length > method->bridge))
			break;
		bytes += pass->spans[i].length;
		if (bytes > method->stretch || pass->spans[i].start - end > method->bridge)
			break;
	}
	return i - from;
}

static int pass_over_spans(struct pass *pass, size_t from, size_t to, bool changed)
{
	while (from < to) {
		size_t count;
		int r;

		if (!span_is_due(pass, from, changed)) {
			from++;
			continue;
		}
		/* asked late: the clock is a system call, and most spans are not due */
		if (pass_over(pass))
			return 0;
		count = stretch_length(pass, from, to, changed);
		r = pass_read(pass, from, count);
		if (r)
			return r;
		from += count;
		if (!changed)
			pass->residency->cursor = pass->spans[from - 1].start + pass->spans[from - 1].length;
	}
	return 0;
}

/* hugetlb pages look like huge anonymous ones. In a span the model knows better (it does not ask for
 * hugetlb mappings), but in a hole nobody says what they are: they count only if the process has none. */
static bool has_hugetlb(const struct residency *residency)
{
	_cleanup_(procfs_freep) struct procfs *procfs = NULL;
	struct proc_status status;
	struct proc_dir dir;
	ssize_t n = -1;

	if (procfs_open_files(residency->procfs, &procfs) == 0 &&
	    procfs_living(procfs, residency->pid, &dir) == 0)
		n = procfs_read(procfs, "%s/status", dir.path);
	return n < 0 || proc_parse_status(procfs->buffer, (size_t)n, &status) < 0 || status.hugetlb != 0;
}

static int emit_outside(struct pass *pass, uint64_t time_ns)
{
	struct fact fact = {.kind = FACT_RESIDENT, .target = pass->residency->target, .time_ns = time_ns};

	if (pass->outside_huge.resident && !has_hugetlb(pass->residency))
		pass->outside.resident += pass->outside_huge.resident;
	if (!pass->outside.resident && !pass->outside.swapped)
		return 0;
	fact.resident = (struct fact_resident){
		.start = pass->outside_start,
		.length = pass->outside_end - pass->outside_start,
		.resident = pass->outside.resident,
		.swapped = pass->outside.swapped,
		.outside = true,
	};
	return pass->sink->emit(pass->sink->context, &fact);
}

static bool spans_are_sound(const struct span *spans, size_t n_spans, uint64_t page_size)
{
	uint64_t end = 0;

	for (size_t i = 0; i < n_spans; i++) {
		if (spans[i].start < end || !spans[i].length || (spans[i].start | spans[i].length) % page_size ||
		    __builtin_add_overflow(spans[i].start, spans[i].length, &end))
			return false;
	}
	return true;
}

int residency_pass(struct residency *residency, const struct span *spans, size_t n_spans,
		   uint64_t cpu_budget_ns, const struct fact_sink *sink, bool *ret_whole)
{
	_cleanup_(freep) bool *done = calloc(n_spans + 1, sizeof(*done));
	_cleanup_(freep) struct tally *tallies = calloc(n_spans + 1, sizeof(*tallies));
	struct pass pass = {
		.residency = residency, .spans = spans, .n_spans = n_spans, .done = done, .tallies = tallies,
		.sink = sink, .started = thread_cputime(), .budget = cpu_budget_ns, .outside_start = UINT64_MAX,
	};
	uint64_t time_ns = boottime();
	size_t middle;
	int r;

	if (!done || !tallies)
		return -ENOMEM;
	if (!spans_are_sound(spans, n_spans, residency->reader.page_size))
		return -EINVAL;
	middle = TABLE_PLACE(spans, n_spans, start, residency->cursor);
	r = pass_over_spans(&pass, 0, n_spans, true);
	if (r == 0)
		r = pass_over_spans(&pass, middle, n_spans, false);
	if (r == 0)
		r = pass_over_spans(&pass, 0, middle, false);
	if (r == 0)
		r = emit_outside(&pass, time_ns);
	if (r)
		return r;
	*ret_whole = pass.n_read == n_spans;
	return 0;
}
