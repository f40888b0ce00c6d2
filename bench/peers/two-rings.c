/*
 * The C twin of src/bench/rings/minimal-loops.ts: one ring between two threads, in both formats, with the same words, the
 * same batches and the same order of accesses. `tp4 bench rings` builds and runs it where there is a gcc; it is not part of the
 * package.
 *
 *     gcc -O2 -pthread -o two-rings two-rings.c
 *     two-rings owner|index ENTRIES BATCH SECONDS WARM-UP-SECONDS RUNS [CONSUMER-CPU PRODUCER-CPU]
 *
 * Prints one line a run: nanoseconds per descriptor, and the share of their CPUs that the two threads got. Runs that other
 * processes disturbed are done again, up to four times as many in all.
 *
 * A descriptor has four words: index, length, flags and offset, count of a batch (owner ring) or nothing (index ring). Ownership
 * words and indices are read with acquire and written with release, as C programs do; JavaScript's atomics are stronger.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define KERNEL_OWNED INT32_MIN
#define LOOK_AWAY_STEPS 700
#define UNDISTURBED 0.95
#define MOST_ATTEMPTS 4

/* On cache lines of their own, as in AF_XDP's rings. */
static struct {
	_Alignas(64) int32_t producer;
	_Alignas(64) int32_t consumer;
	_Alignas(64) int32_t stop;
	/* Keeps the compiler from leaving the producer's looking away out. */
	int32_t idle;
} shared;

static int32_t *ring;
static uint32_t mask;
static int32_t entries;
static int32_t batch;
static int producer_cpu = -1;

static int32_t acquire(const int32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void release(int32_t *word, int32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static int32_t least(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

/* Whoever finds nothing looks away for about a microsecond: a chain of multiplications. Returns the last product. */
static int32_t look_away(int32_t value)
{
	for (int32_t i = 0; i < LOOK_AWAY_STEPS; i++)
		value = (int32_t)((uint32_t)value * 1103515245u + 12345u);
	return value;
}

/* Descriptors that do not cross the ring's end. */
static void write_run(int32_t *d, int32_t count, uint32_t position)
{
	for (int32_t *end = d + 4 * count; d < end; d += 4) {
		d[0] = position++;
		d[1] = 60;
		d[2] = 256;
	}
}

static int32_t read_run(const int32_t *d, int32_t count)
{
	int32_t sum = 0;

	for (const int32_t *end = d + 4 * count; d < end; d += 4)
		sum += d[0] + d[1] + d[2];
	return sum;
}

static int32_t take_run(int32_t *d, int32_t count)
{
	int32_t sum = 0;

	for (int32_t *end = d + 4 * count; d < end; d += 4) {
		sum += d[0] + d[1] + d[2];
		d[2] = KERNEL_OWNED;
	}
	return sum;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *produce_owner(void *unused)
{
	uint32_t position = 0;
	int32_t owned = 0;
	int32_t idle = 1;

	(void)unused;
	pin(producer_cpu);
	while (!__atomic_load_n(&shared.stop, __ATOMIC_RELAXED)) {
		int32_t at = position & mask;
		int32_t *gate = ring + 4 * at;

		if (owned == 0) {
			if (acquire(gate + 2) >= 0) {
				idle = look_away(idle);
				continue;
			}
			owned = gate[3];
		}
		int32_t count = least(owned, batch);
		int32_t run = least(count, entries - at);

		write_run(gate + 4, run - 1, position + 1);
		write_run(ring, count - run, position + run);
		gate[0] = position;
		gate[1] = 60;
		gate[3] = count;
		release(gate + 2, 256);
		position += count;
		owned -= count;
	}
	shared.idle = idle;
	return NULL;
}

/* Takes up to `turns` batches; returns descriptors taken. */
static uint64_t consume_owner(int turns, uint32_t *position, int32_t *owned, int32_t *sum)
{
	uint64_t taken = 0;
	uint32_t place = *position;
	int32_t left = *owned;
	int32_t total = *sum;

	for (int turn = 0; turn < turns; turn++) {
		int32_t at = place & mask;
		int32_t *gate = ring + 4 * at;

		if (left == 0) {
			if (acquire(gate + 2) < 0) {
				total = look_away(total);
				continue;
			}
			left = gate[3];
		}
		int32_t count = least(left, batch);
		int32_t run = least(count, entries - at);

		total += take_run(gate + 4, run - 1) + take_run(ring, count - run);
		total += gate[0] + gate[1] + gate[2];
		gate[3] = count;
		release(gate + 2, KERNEL_OWNED);
		place += count;
		left -= count;
		taken += count;
	}
	*position = place;
	*owned = left;
	*sum = total;
	return taken;
}

static void *produce_index(void *unused)
{
	uint32_t position = 0;
	uint32_t consumed = 0;
	int32_t idle = 1;

	(void)unused;
	pin(producer_cpu);
	while (!__atomic_load_n(&shared.stop, __ATOMIC_RELAXED)) {
		if (entries - (int32_t)(position - consumed) < batch) {
			consumed = acquire(&shared.consumer);
			if (entries - (int32_t)(position - consumed) < batch) {
				idle = look_away(idle);
				continue;
			}
		}
		int32_t at = position & mask;
		int32_t run = least(batch, entries - at);

		write_run(ring + 4 * at, run, position);
		write_run(ring, batch - run, position + run);
		position += batch;
		release(&shared.producer, position);
	}
	shared.idle = idle;
	return NULL;
}

static uint64_t consume_index(int turns, uint32_t *position, uint32_t *produced, int32_t *sum)
{
	uint64_t taken = 0;
	uint32_t place = *position;
	uint32_t until = *produced;
	int32_t total = *sum;

	for (int turn = 0; turn < turns; turn++) {
		if (until == place) {
			until = acquire(&shared.producer);
			if (until == place) {
				total = look_away(total);
				continue;
			}
		}
		int32_t at = place & mask;
		int32_t count = least(until - place, batch);
		int32_t run = least(count, entries - at);

		total += read_run(ring + 4 * at, run) + read_run(ring, count - run);
		place += count;
		release(&shared.consumer, place);
		taken += count;
	}
	*position = place;
	*produced = until;
	*sum = total;
	return taken;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

/* CPU time of all threads, in seconds. */
static double cpu_time(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

int main(int argc, char **argv)
{
	pthread_t producer;
	uint32_t position = 0;
	int32_t owned = 0;
	uint32_t produced = 0;
	int32_t sum = 0;

	if (argc < 7) {
		fprintf(stderr, "two-rings owner|index ENTRIES BATCH SECONDS WARM-UP-SECONDS RUNS [CONSUMER-CPU PRODUCER-CPU]\n");
		return 2;
	}
	int owner = strcmp(argv[1], "owner") == 0;

	entries = atoi(argv[2]);
	mask = entries - 1;
	batch = atoi(argv[3]);
	double seconds = atof(argv[4]);
	double warm_up = atof(argv[5]);
	int runs = atoi(argv[6]);

	if (argc > 8)
		producer_cpu = atoi(argv[8]);
	ring = aligned_alloc(4096, ((size_t)entries * 16 + 4095) & ~(size_t)4095);
	if (ring == NULL)
		return 1;
	memset(ring, 0, (size_t)entries * 16);
	if (owner) {
		for (int32_t i = 0; i < entries; i++)
			ring[4 * i + 2] = KERNEL_OWNED;
		ring[3] = entries;
	}
	if (pthread_create(&producer, NULL, owner ? produce_owner : produce_index, NULL) != 0)
		return 1;
	if (argc > 7)
		pin(atoi(argv[7]));
	int undisturbed = 0;

	for (int run = -1; run < runs * MOST_ATTEMPTS && undisturbed < runs; run++) {
		double cpu = cpu_time();
		double start = now();
		double end = start + (run < 0 ? warm_up : seconds);
		double time = start;
		uint64_t taken = 0;

		while (time < end) {
			taken += owner ? consume_owner(256, &position, &owned, &sum)
				       : consume_index(256, &position, &produced, &sum);
			time = now();
		}
		double share = (cpu_time() - cpu) / (2 * (time - start));

		if (run < 0)
			continue;
		undisturbed += share >= UNDISTURBED;
		printf("%.4f %.3f\n", (time - start) * 1e9 / taken, share);
	}
	__atomic_store_n(&shared.stop, 1, __ATOMIC_RELAXED);
	pthread_join(producer, NULL);
	/* The sum keeps the compiler from leaving the reads out. */
	if (sum == 42)
		fprintf(stderr, " ");
	return 0;
}
