/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring's reader: hands out its records in order, through a window that moves along. It must not know what is in
 * them. */
#include "probe_ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel makes pages of a ring resident as soon as they are mapped, and has the data twice in a row, so that no
 * record is torn where it wraps: mapped whole, as libbpf's reader has it, a ring of 4 MiB is 8 MiB resident. So a
 * window moves along; at rates at which its moves would cost more than they save it is the whole ring. */
#define WINDOW_BYTES (128UL << 10)
#define MOVES_MAX 16 /* a second; some 20,000 records */

struct probe_ring {
	int map;
	uint64_t mask;     /* size of the data - 1 */
	uint64_t page, window_bytes, narrow_bytes, whole_bytes;
	uint64_t *consumed;       /* ours to write; the kernel reads it */
	const uint64_t *produced; /* the kernel's */
	const uint8_t *window;    /* NULL: not mapped yet */
	uint64_t window_at;       /* the position that it begins with */
	uint64_t settled_at;      /* the position at the last probe_ring_settle() */
	unsigned int moves;       /* since then */
};

static void unmap(const void *address, size_t size)
{
	if (address)
		munmap((void *)address, size);
}

void probe_ring_close(struct probe_ring *ring)
{
	if (!ring)
		return;
	unmap(ring->consumed, ring->page);
	unmap(ring->produced, ring->page);
	unmap(ring->window, ring->window_bytes);
	free(ring);
}

/* The map's file: a page with the consumer's position, one with the producer's, the data, the data again. */
int probe_ring_open(int map, uint32_t bytes, struct probe_ring **ret_ring)
{
	_cleanup_(probe_ring_closep) struct probe_ring *ring = calloc(1, sizeof(*ring));
	void *page;

	if (!ring)
		return -ENOMEM;
	ring->map = map;
	ring->mask = (uint64_t)bytes - 1;
	ring->page = (uint64_t)sysconf(_SC_PAGESIZE);
	/* It begins with a whole page: the one more leaves room for a record at that page's end. */
	ring->narrow_bytes = (bytes < WINDOW_BYTES ? bytes : WINDOW_BYTES) + ring->page;
	ring->whole_bytes = 2 * (uint64_t)bytes;
	ring->window_bytes = ring->narrow_bytes;
	page = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (page == MAP_FAILED)
		return -errno;
	ring->consumed = page;
	page = mmap(NULL, ring->page, PROT_READ, MAP_SHARED, map, (off_t)ring->page);
	if (page == MAP_FAILED)
		return -errno;
	ring->produced = page;
	*ret_ring = TAKE_PTR(ring);
	return 0;
}

static void window_drop(struct probe_ring *ring)
{
	unmap(ring->window, ring->window_bytes);
	ring->window = NULL;
}

static int window_move(struct probe_ring *ring, uint64_t position)
{
	bool whole = ring->moves++ >= MOVES_MAX;
	uint64_t at = position & ~(whole ? ring->mask : ring->page - 1);
	uint64_t bytes = whole ? ring->whole_bytes : ring->narrow_bytes;
	void *window;

	if (bytes != ring->window_bytes)
		window_drop(ring);
	window = mmap((void *)ring->window, bytes, PROT_READ, MAP_SHARED | (ring->window ? MAP_FIXED : 0), ring->map,
		      (off_t)(2 * ring->page + (at & ring->mask)));
	if (window == MAP_FAILED)
		return -errno;
	ring->window = window;
	ring->window_bytes = bytes;
	ring->window_at = at;
	return 0;
}

void probe_ring_settle(struct probe_ring *ring)
{
	uint64_t position = *ring->consumed;

	/* What would have been moves of a narrow window decides, not those of the present one. */
	ring->moves = 0;
	if (ring->window_bytes > ring->narrow_bytes && position - ring->settled_at < MOVES_MAX * WINDOW_BYTES)
		window_drop(ring);
	ring->settled_at = position;
}

bool probe_ring_is_wide(const struct probe_ring *ring)
{
	return ring->window && ring->window_bytes > ring->narrow_bytes;
}

static bool window_has(const struct probe_ring *ring, uint64_t position, uint64_t size)
{
	return ring->window && (ring->window_bytes == ring->whole_bytes ||
				(position >= ring->window_at &&
				 position + size <= ring->window_at + ring->window_bytes));
}

/* Where `size` bytes at the position can be read. */
static int window_show(struct probe_ring *ring, uint64_t position, uint64_t size, const uint8_t **ret_bytes)
{
	bool whole;

	/* No record is that long. The rest of the page that the window begins with may lie before it. */
	if (size > ring->narrow_bytes - ring->page)
		return -EBADMSG;
	if (!window_has(ring, position, size)) {
		int r = window_move(ring, position);

		if (r < 0)
			return r;
	}
	whole = ring->window_bytes == ring->whole_bytes;
	*ret_bytes = ring->window + (whole ? position & ring->mask : position - ring->window_at);
	return 0;
}

static uint64_t record_space(uint32_t length)
{
	return ((uint64_t)length + BPF_RINGBUF_HDR_SZ + 7) & ~7ULL;
}

/* -EAGAIN: the record is still being written. */
static int record_read(struct probe_ring *ring, uint64_t *position,
		       int (*each)(void *context, const void *record, size_t size), void *context)
{
	const uint8_t *bytes;
	uint32_t word, length;
	int r = window_show(ring, *position, BPF_RINGBUF_HDR_SZ, &bytes);

	if (r < 0)
		return r;
	word = __atomic_load_n((const uint32_t *)(const void *)bytes, __ATOMIC_ACQUIRE);
	if (word & BPF_RINGBUF_BUSY_BIT)
		return -EAGAIN;
	length = word & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
	r = window_show(ring, *position, record_space(length), &bytes);
	if (r < 0)
		return r;
	*position += record_space(length);
	r = word & BPF_RINGBUF_DISCARD_BIT ? 0 : each(context, bytes + BPF_RINGBUF_HDR_SZ, length);
	__atomic_store_n(ring->consumed, *position, __ATOMIC_RELEASE);
	return r < 0 ? r : !(word & BPF_RINGBUF_DISCARD_BIT);
}

uint64_t probe_ring_produced(const struct probe_ring *ring)
{
	return __atomic_load_n(ring->produced, __ATOMIC_ACQUIRE);
}

bool probe_ring_is_read_to(const struct probe_ring *ring, uint64_t position)
{
	return *ring->consumed >= position;
}

int probe_ring_read(struct probe_ring *ring, int (*each)(void *context, const void *record, size_t size),
		    void *context)
{
	uint64_t position = *ring->consumed, end;
	int count = 0;

	while (position < (end = __atomic_load_n(ring->produced, __ATOMIC_ACQUIRE))) {
		while (position < end) {
			int r = record_read(ring, &position, each, context);

			if (r < 0)
				return r == -EAGAIN ? count : r;
			count += r;
		}
	}
	return count;
}
