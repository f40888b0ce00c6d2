/*
 * What the programs of peer.c need of a packet socket. peer-xdp.c and peer-packet.c give one each.
 */
#ifndef PEER_H
#define PEER_H

#include <stdint.h>

#define MOST_BATCH 4096

/* How a socket is to be set up; the same things as `BenchSettings` of src/bench/cell.ts. */
struct settings {
	const char *mode;
	const char *interface;
	int receives;
	int transmits;
	/* Bytes in memory of the packets that `allocate` gives. */
	int length;
	int ring;
	int batch;
	int frames;
	int frame_size;
	int block_size;
};

/* A packet where it lies. `place` is the socket's own note: a frame's address, or where the status of a received packet's slot is. */
struct packet {
	uint8_t *data;
	uint32_t length;
	uint64_t place;
};

struct batch {
	int length;
	struct packet packets[MOST_BATCH];
};

/* One call a batch, none of them blocks. */
struct peer_socket {
	int descriptor;
	/* Calls of the data path so far. */
	uint64_t system_calls;
	/* Fills an empty batch; returns its length. */
	int (*receive)(struct batch *batch);
	/* Gives back what was received, and empties the batch. */
	void (*release)(struct batch *batch);
	/* Fills an empty batch with packets to send, which were written beforehand; returns its length. */
	int (*allocate)(struct batch *batch);
	/* Sends the first packets of a batch that was received or allocated, moves the rest to the front; returns how many. */
	int (*send)(struct batch *batch);
	/* Adds up everything lost so far and tells each place. */
	void (*losses)(void (*tell)(const char *place, uint64_t count));
};

/* Each opens the one socket of this process, or ends the process with `refuse`. */
struct peer_socket *open_xdp_socket(const struct settings *settings);
struct peer_socket *open_packet_socket(const struct settings *settings);

/* Ends the process: the kernel refuses what was asked for. */
_Noreturn void refuse(const char *what);

/* Writes what is sent: an Ethernet frame for experiments (0x88b5), to 02:00:00:00:00:0b from 02:00:00:00:00:0a. */
void write_packet(uint8_t *data, int length, uint32_t number);

/* Drops the first `count` packets of a batch. */
void drop_first(struct batch *batch, int count);

#endif
