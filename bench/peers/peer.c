/*
 * The C twin of `tp4 bench linux`: the talk's three programs and a round trip, over AF_XDP in copy and generic mode and AF_PACKET
 * V3 and V2, with the settings of src/bench/cell.ts and the same work per packet. `tp4 bench linux --peers` builds and runs it where
 * there is a gcc; it is not part of the package.
 *
 *     gcc -O2 -o packet-peer peer.c peer-xdp.c peer-packet.c
 *     packet-peer MODE rxdrop|txpush|l2fwd INTERFACE CPU SIZE BATCH RING FRAMES FRAME-SIZE BLOCK-SIZE SECONDS WARM-UP-SECONDS RUNS
 *     packet-peer MODE ping|echo INTERFACE CPU busy|poll COUNT
 *
 * MODE is xdp-copy, xdp-generic, v3 or v2; SIZE counts the FCS, as in the talk; a CPU of -1 leaves the place to the scheduler.
 * Prints, in lines:
 *
 *     ready                                                   the socket is open
 *     began                                                   the warm-up is over
 *     run PACKETS BYTES NANOSECONDS CPU-NANOSECONDS CALLS     one run: packets, their bytes, wall time, CPU time, system calls
 *     lost PLACE COUNT                                        packets lost during the runs
 *     trips LOST NANOSECONDS...                               of ping: the times of COUNT round trips, sorted
 *     refused SENTENCE                                        and nothing else: the kernel refuses the socket
 */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <time.h>

#define FCS_BYTES 4
#define HEADER_BYTES 14
/* Turns between looks at the clock. */
#define TURNS 32
#define MOST_PLACES 16
#define PING_BYTES 60
#define PING_RING 1024
#define PING_FRAMES 4096
/* A round trip that takes longer is lost. */
#define PING_PATIENCE_NANOSECONDS 200000000ull
#define PING_WARM_UP 2000

static struct peer_socket *the_socket;
static struct batch the_batch;
static uint64_t packets;
static uint64_t bytes;
/* Keeps the compiler from leaving the reading of headers out. */
static uint64_t headers;

static struct {
	const char *place;
	uint64_t count;
} lost[MOST_PLACES];
static int places;

void refuse(const char *what)
{
	printf("refused %s: %s\n", what, strerror(errno));
	exit(0);
}

void write_packet(uint8_t *data, int length, uint32_t number)
{
	static const uint8_t header[HEADER_BYTES] = {2, 0, 0, 0, 0, 0x0b, 2, 0, 0, 0, 0, 0x0a, 0x88, 0xb5};

	memcpy(data, header, sizeof(header));
	for (int i = HEADER_BYTES; i < length; i++)
		data[i] = (uint8_t)(number + i);
}

void drop_first(struct batch *batch, int count)
{
	batch->length -= count;
	if (count > 0 && batch->length > 0)
		memmove(batch->packets, batch->packets + count, batch->length * sizeof(struct packet));
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static uint64_t cpu_time(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ull +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ull;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Reads destination, source and type of a packet, wherever it is aligned to. */
static uint64_t read_header(const uint8_t *data)
{
	uint64_t first;
	uint32_t second;
	uint16_t third;

	memcpy(&first, data, 8);
	memcpy(&second, data + 8, 4);
	memcpy(&third, data + 12, 2);
	return first ^ second ^ third;
}

static void swap_addresses(uint8_t *data)
{
	uint8_t destination[6];

	memcpy(destination, data, 6);
	memcpy(data, data + 6, 6);
	memcpy(data + 6, destination, 6);
}

static void rxdrop(struct batch *batch)
{
	uint64_t seen = 0;
	uint64_t sum = 0;

	for (int turn = 0; turn < TURNS; turn++) {
		int count = the_socket->receive(batch);

		if (count == 0)
			continue;
		for (int i = 0; i < count; i++) {
			seen ^= read_header(batch->packets[i].data);
			sum += batch->packets[i].length;
		}
		packets += count;
		the_socket->release(batch);
	}
	bytes += sum;
	headers ^= seen;
}

static void txpush(struct batch *batch)
{
	for (int turn = 0; turn < TURNS; turn++) {
		if (batch->length == 0) {
			int count = the_socket->allocate(batch);

			if (count == 0)
				the_socket->send(batch); /* takes back what was sent */
			for (int i = 0; i < count; i++)
				bytes += batch->packets[i].length;
			if (count == 0)
				continue;
		}
		packets += the_socket->send(batch);
	}
}

static void l2fwd(struct batch *batch)
{
	for (int turn = 0; turn < TURNS; turn++) {
		if (batch->length == 0) {
			int count = the_socket->receive(batch);

			if (count == 0)
				continue;
			for (int i = 0; i < count; i++) {
				swap_addresses(batch->packets[i].data);
				bytes += batch->packets[i].length;
			}
		}
		packets += the_socket->send(batch);
	}
}

static void note_loss(const char *place, uint64_t count)
{
	for (int i = 0; i < places; i++)
		if (strcmp(lost[i].place, place) == 0) {
			lost[i].count = count - lost[i].count;
			return;
		}
	lost[places].place = place;
	lost[places++].count = count;
}

static void measure(void (*program)(struct batch *), double seconds, double warm_up, int runs)
{
	for (int run = -1; run < runs; run++) {
		uint64_t start = now();
		uint64_t end = start + (uint64_t)((run < 0 ? warm_up : seconds) * 1e9);
		uint64_t cpu = cpu_time();
		uint64_t calls = the_socket->system_calls;
		uint64_t packets_before = packets;
		uint64_t bytes_before = bytes;
		uint64_t time = start;

		while (time < end) {
			program(&the_batch);
			time = now();
		}
		if (run < 0) {
			the_socket->losses(note_loss);
			printf("began\n");
		} else {
			printf("run %llu %llu %llu %llu %llu\n", (unsigned long long)(packets - packets_before),
			       (unsigned long long)(bytes - bytes_before), (unsigned long long)(time - start),
			       (unsigned long long)(cpu_time() - cpu),
			       (unsigned long long)(the_socket->system_calls - calls));
		}
		fflush(stdout);
	}
	the_socket->losses(note_loss);
	for (int i = 0; i < places; i++)
		if (lost[i].count > 0)
			printf("lost %s %llu\n", lost[i].place, (unsigned long long)lost[i].count);
}

/* Waits for a packet until `until`. Returns whether there is one in the batch. */
static int await_packet(struct batch *batch, int busy, uint64_t until)
{
	while (the_socket->receive(batch) == 0) {
		if (now() >= until)
			return 0;
		if (!busy) {
			struct pollfd wanted = {.fd = the_socket->descriptor, .events = POLLIN};

			poll(&wanted, 1, 100);
		}
	}
	return 1;
}

static void send_all(struct batch *batch)
{
	while (batch->length > 0)
		the_socket->send(batch);
}

_Noreturn static void echo(int busy)
{
	for (;;) {
		if (!await_packet(&the_batch, busy, UINT64_MAX))
			continue;
		for (int i = 0; i < the_batch.length; i++)
			swap_addresses(the_batch.packets[i].data);
		send_all(&the_batch);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a;
	uint64_t second = *(const uint64_t *)b;

	return (first > second) - (first < second);
}

static void ping(int busy, int count)
{
	uint64_t *times = calloc(count, sizeof(*times));
	int missed = 0;

	if (times == NULL)
		refuse("calloc");
	for (int i = -PING_WARM_UP; i < count && missed < 100;) {
		uint64_t start = now();

		if (the_socket->allocate(&the_batch) == 0) {
			the_socket->send(&the_batch);
			continue;
		}
		send_all(&the_batch);
		if (!await_packet(&the_batch, busy, start + PING_PATIENCE_NANOSECONDS)) {
			missed++;
			continue;
		}
		if (i >= 0)
			times[i] = now() - start;
		i++;
		the_socket->release(&the_batch);
	}
	qsort(times, count, sizeof(*times), compare);
	printf("trips %d", missed);
	for (int i = 0; i < count; i++)
		printf(" %llu", (unsigned long long)times[i]);
	printf("\n");
	free(times);
}

int main(int argc, char **argv)
{
	const char *program = argc > 2 ? argv[2] : "";
	int trip = strcmp(program, "ping") == 0 || strcmp(program, "echo") == 0;

	if (argc < (trip ? 7 : 14)) {
		fprintf(stderr, "packet-peer MODE rxdrop|txpush|l2fwd INTERFACE CPU SIZE BATCH RING FRAMES FRAME-SIZE "
				"BLOCK-SIZE SECONDS WARM-UP-SECONDS RUNS\n"
				"packet-peer MODE ping|echo INTERFACE CPU busy|poll COUNT\n");
		return 2;
	}
	struct settings settings = {.mode = argv[1], .interface = argv[3]};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	settings.receives = strcmp(program, "txpush") != 0;
	settings.transmits = strcmp(program, "rxdrop") != 0;
	if (trip) {
		settings.length = PING_BYTES;
		settings.batch = 1;
		settings.ring = PING_RING;
		settings.frames = PING_FRAMES;
		settings.frame_size = 2048;
		settings.block_size = 4096;
	} else {
		settings.length = atoi(argv[5]) - FCS_BYTES;
		settings.batch = atoi(argv[6]);
		settings.ring = atoi(argv[7]);
		settings.frames = atoi(argv[8]);
		settings.frame_size = atoi(argv[9]);
		settings.block_size = atoi(argv[10]);
	}
	if (settings.batch < 1 || settings.batch > MOST_BATCH)
		return 2;
	pin(atoi(argv[4]));
	the_socket = settings.mode[0] == 'x' ? open_xdp_socket(&settings) : open_packet_socket(&settings);
	printf("ready\n");
	fflush(stdout);
	if (trip) {
		int busy = strcmp(argv[5], "busy") == 0;

		if (strcmp(program, "echo") == 0)
			echo(busy);
		ping(busy, atoi(argv[6]));
	} else {
		void (*work)(struct batch *) = strcmp(program, "rxdrop") == 0 ? rxdrop
					       : strcmp(program, "txpush") == 0 ? txpush
										: l2fwd;

		measure(work, atof(argv[11]), atof(argv[12]), atoi(argv[13]));
	}
	if (headers == 42)
		fprintf(stderr, " ");
	return 0;
}
