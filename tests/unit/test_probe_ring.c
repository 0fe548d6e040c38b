/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests the ring's reader on a file that is laid out as the kernel lays out a ring.
 * It must not know what records mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/probe_ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct ring_file {
	int fd;
	uint64_t bytes, page;
	uint8_t *all; /* consumer's page, producer's page, data, data again */
	struct probe_ring *ring;
	uint64_t sequence_in, sequence_out;
	unsigned int seed;
	int answer; /* of the callback */
};

static void ring_make(struct ring_file *file, uint32_t bytes)
{
	*file = (struct ring_file){.bytes = bytes, .page = (uint64_t)sysconf(_SC_PAGESIZE), .seed = 11};
	file->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_true(file->fd >= 0);
	assert_int_equal(ftruncate(file->fd, (off_t)(2 * file->page + 2 * bytes)), 0);
	file->all = mmap(NULL, 2 * file->page + 2 * bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	assert_ptr_not_equal(file->all, MAP_FAILED);
	assert_int_equal(probe_ring_open(file->fd, bytes, &file->ring), 0);
}

static void ring_end(struct ring_file *file)
{
	probe_ring_close(file->ring);
	munmap(file->all, 2 * file->page + 2 * file->bytes);
	close(file->fd);
}

static uint64_t *consumed(const struct ring_file *file)
{
	return (uint64_t *)(void *)file->all;
}

static uint64_t *produced(const struct ring_file *file)
{
	return (uint64_t *)(void *)(file->all + file->page);
}

/* In the kernel both copies are the same pages. */
static void put_byte(const struct ring_file *file, uint64_t position, uint8_t byte)
{
	uint64_t at = position & (file->bytes - 1);

	file->all[2 * file->page + at] = file->all[2 * file->page + file->bytes + at] = byte;
}

static void put_word(const struct ring_file *file, uint64_t position, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		put_byte(file, position + (uint64_t)i, (uint8_t)(word >> (8 * i)));
}

/* Every byte of a record tells its number and its place. */
static uint8_t byte_of(uint64_t sequence, uint64_t place)
{
	return (uint8_t)(sequence * 31 + place * 7);
}

static bool put(struct ring_file *file, uint32_t length, uint32_t flags)
{
	uint64_t space = (length + 8 + 7) / 8 * 8;

	if (*produced(file) + space - *consumed(file) > file->bytes)
		return false;
	put_word(file, *produced(file), length | flags);
	for (uint32_t i = 0; i < length; i++)
		put_byte(file, *produced(file) + 8 + i, byte_of(file->sequence_in, i));
	if (!(flags & BPF_RINGBUF_DISCARD_BIT))
		file->sequence_in++;
	*produced(file) += space;
	return true;
}

static int check(void *context, const void *record, size_t size)
{
	struct ring_file *file = context;
	const uint8_t *bytes = record;

	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], byte_of(file->sequence_out, i));
	file->sequence_out++;
	return file->answer;
}

static int read_all(struct ring_file *file)
{
	return probe_ring_read(file->ring, check, file);
}

static void storm(struct ring_file *file, int rounds, bool settles)
{
	for (int round = 0; round < rounds; round++) {
		uint64_t before = file->sequence_out, waiting;
		int records = rand_r(&file->seed) % 4000;

		for (int i = 0; i < records; i++) {
			uint32_t length = (uint32_t)rand_r(&file->seed) % 200;

			if (!put(file, length, rand_r(&file->seed) % 8 ? 0 : BPF_RINGBUF_DISCARD_BIT))
				break;
		}
		waiting = file->sequence_in - file->sequence_out;
		assert_int_equal(read_all(file), waiting);
		assert_int_equal(file->sequence_out - before, waiting);
		assert_int_equal(*consumed(file), *produced(file));
		if (settles && rand_r(&file->seed) % 4 == 0)
			probe_ring_settle(file->ring);
	}
}

static void test_every_record_once_and_in_order(void **state)
{
	static const uint32_t sizes[] = {1, 2, 32, 1024};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ring_file file;

		ring_make(&file, sizes[i] * (uint32_t)sysconf(_SC_PAGESIZE));
		storm(&file, 200, i % 2);
		/* long after: a window that was whole is narrow again, and the other way round */
		probe_ring_settle(file.ring);
		probe_ring_settle(file.ring);
		storm(&file, 50, false);
		assert_true(file.sequence_out > 1000);
		ring_end(&file);
	}
}

/* Pages of the ring that are mapped into this process, beside the test's own mapping of all. */
static uint64_t mapped_bytes(const struct ring_file *file)
{
	char line[512];
	uint64_t sum = 0;
	FILE *maps = fopen("/proc/self/maps", "re");

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		if (strstr(line, "memfd:ring") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			sum += end - start;
	}
	fclose(maps);
	return sum - (2 * file->page + 2 * file->bytes);
}

static void test_a_quiet_reader_maps_little(void **state)
{
	struct ring_file file;

	ring_make(&file, 4U << 20);
	for (int i = 0; i < 3000; i++) {
		assert_true(put(&file, 88, 0));
		assert_int_equal(read_all(&file), 1);
	}
	assert_true(mapped_bytes(&file) < 256U << 10);
	storm(&file, 400, false); /* a storm has it all */
	assert_true(mapped_bytes(&file) >= 8U << 20);
	probe_ring_settle(file.ring); /* it was one until now */
	assert_true(mapped_bytes(&file) >= 8U << 20);
	probe_ring_settle(file.ring);
	assert_true(mapped_bytes(&file) < 256U << 10);
	assert_true(put(&file, 88, 0));
	assert_int_equal(read_all(&file), 1);
	assert_true(mapped_bytes(&file) < 256U << 10);
	ring_end(&file);
}

static void test_a_record_that_is_being_written_waits(void **state)
{
	struct ring_file file;
	uint64_t second;

	ring_make(&file, 4096U);
	put(&file, 40, 0);
	second = *produced(&file);
	put(&file, 40, BPF_RINGBUF_BUSY_BIT);
	put(&file, 40, 0);
	assert_int_equal(read_all(&file), 1);
	assert_int_equal(*consumed(&file), second);
	assert_int_equal(read_all(&file), 0);
	put_word(&file, second, 40);
	assert_int_equal(read_all(&file), 2);
	assert_int_equal(file.sequence_out, 3);
	ring_end(&file);
}

static void test_who_stops_has_read_that_record(void **state)
{
	struct ring_file file;

	ring_make(&file, 4096U);
	put(&file, 40, 0);
	put(&file, 40, 0);
	file.answer = -ECANCELED;
	assert_int_equal(read_all(&file), -ECANCELED);
	assert_int_equal(file.sequence_out, 1);
	file.answer = 0;
	assert_int_equal(read_all(&file), 1);
	assert_int_equal(file.sequence_out, 2);
	ring_end(&file);
}

static void test_a_length_beyond_the_ring_is_refused(void **state)
{
	struct ring_file file;

	ring_make(&file, 4U << 20);
	put(&file, 40, 0);
	put_word(&file, 0, 0x3fffffff);
	assert_int_equal(read_all(&file), -EBADMSG);
	assert_int_equal(file.sequence_out, 0);
	ring_end(&file);
}

static void test_what_is_no_ring_cannot_be_opened(void **state)
{
	struct probe_ring *ring = NULL;

	assert_int_equal(probe_ring_open(-1, 4096, &ring), -EBADF);
	assert_null(ring);
	probe_ring_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_record_once_and_in_order),
		cmocka_unit_test(test_a_quiet_reader_maps_little),
		cmocka_unit_test(test_a_record_that_is_being_written_waits),
		cmocka_unit_test(test_who_stops_has_read_that_record),
		cmocka_unit_test(test_a_length_beyond_the_ring_is_refused),
		cmocka_unit_test(test_what_is_no_ring_cannot_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
