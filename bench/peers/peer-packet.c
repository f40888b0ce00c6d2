/*
 * A packet socket with mapped rings, TPACKET_V3 or TPACKET_V2, that sends past the queueing discipline. Facts from
 * linux/if_packet.h and packet(7).
 */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define RETIRE_MILLISECONDS 1
/* Where data of a TX slot begins: behind the header, where the kernel looks for it. */
#define V2_DATA (TPACKET2_HDRLEN - sizeof(struct sockaddr_ll))
#define V3_DATA (TPACKET3_HDRLEN - sizeof(struct sockaddr_ll))

static struct peer_socket self;
static int version3;
static int batch_size;
static int packet_length;
static uint32_t slot_size;
/* Receiving: slots (V2) or blocks (V3). */
static uint8_t *receive_base;
static uint32_t receive_count, receive_bytes;
static uint32_t position;
/* V3: the block that is being read. */
static struct tpacket_block_desc *block;
static uint32_t block_left;
static uint8_t *block_next;
/* V3: the block was read to its end and goes back with the batch. */
static int block_done;
/* Sending: slots, and the next one to use. */
static uint8_t *transmit_base;
static uint32_t transmit_count, transmit_position;
static uint64_t dropped, refused;

static uint32_t acquire(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void publish(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* The status is the first word of a V2 slot (whose header calls it 32 bits wide) and at offset 8 of a V3 slot's header. */
static uint32_t *transmit_status(uint32_t slot)
{
	uint8_t *base = transmit_base + (size_t)slot * slot_size;

	return version3 ? &((struct tpacket3_hdr *)base)->tp_status : &((struct tpacket2_hdr *)base)->tp_status;
}

static uint8_t *transmit_data(uint32_t slot)
{
	return transmit_base + (size_t)slot * slot_size + (version3 ? V3_DATA : V2_DATA);
}

static void set_transmit_length(uint32_t slot, uint32_t length)
{
	uint8_t *base = transmit_base + (size_t)slot * slot_size;

	if (version3)
		((struct tpacket3_hdr *)base)->tp_len = length;
	else
		((struct tpacket2_hdr *)base)->tp_len = length;
}

static int receive_v2(struct batch *batch)
{
	int count = 0;

	for (; count < batch_size; count++) {
		uint32_t slot = position + count;

		if (slot >= receive_count)
			slot -= receive_count;
		struct tpacket2_hdr *header = (struct tpacket2_hdr *)(receive_base + (size_t)slot * slot_size);

		if (!(acquire(&header->tp_status) & TP_STATUS_USER))
			break;
		batch->packets[count] =
			(struct packet){(uint8_t *)header + header->tp_mac, header->tp_snaplen, (uintptr_t)&header->tp_status};
	}
	position = (position + count) % receive_count;
	batch->length = count;
	return count;
}

/* A received packet's slot, or block, goes back when its batch is done with. */
static void give_back(struct batch *batch, int count)
{
	if (!version3)
		for (int i = 0; i < count; i++)
			if (batch->packets[i].place != 0)
				publish((uint32_t *)(uintptr_t)batch->packets[i].place, TP_STATUS_KERNEL);
	if (block_done && count == batch->length) {
		publish(&block->hdr.bh1.block_status, TP_STATUS_KERNEL);
		position = (position + 1) % receive_count;
		block = NULL;
		block_done = 0;
	}
}

static int receive_v3(struct batch *batch)
{
	if (block == NULL) {
		struct tpacket_block_desc *next = (void *)(receive_base + (size_t)position * receive_bytes);

		if (!(acquire(&next->hdr.bh1.block_status) & TP_STATUS_USER))
			return 0;
		block = next;
		block_left = block->hdr.bh1.num_pkts;
		block_next = (uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
	}
	int count = block_left < (uint32_t)batch_size ? (int)block_left : batch_size;

	for (int i = 0; i < count; i++) {
		struct tpacket3_hdr *header = (struct tpacket3_hdr *)block_next;

		batch->packets[i] = (struct packet){block_next + header->tp_mac, header->tp_snaplen, 0};
		block_next += header->tp_next_offset;
	}
	block_left -= count;
	block_done = block_left == 0;
	batch->length = count;
	if (count == 0)
		give_back(batch, 0);
	return count;
}

static int receive(struct batch *batch)
{
	return version3 ? receive_v3(batch) : receive_v2(batch);
}

static void release(struct batch *batch)
{
	give_back(batch, batch->length);
	batch->length = 0;
}

static int slot_is_free(uint32_t slot)
{
	return acquire(transmit_status(slot)) == TP_STATUS_AVAILABLE;
}

static int allocate(struct batch *batch)
{
	int count = 0;
	uint32_t slot = transmit_position;

	for (; count < batch_size && slot_is_free(slot); count++) {
		batch->packets[count] = (struct packet){transmit_data(slot), packet_length, 0};
		if (++slot == transmit_count)
			slot = 0;
	}
	batch->length = count;
	return count;
}

static void kick(void)
{
	self.system_calls++;
	if (sendto(self.descriptor, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno == ENOBUFS)
		refused++;
}

/* Packets that were received lie elsewhere and are copied; those that were allocated are in their slots. */
static int send_batch(struct batch *batch)
{
	int count = 0;

	for (; count < batch->length && slot_is_free(transmit_position); count++) {
		struct packet *packet = &batch->packets[count];
		uint8_t *data = transmit_data(transmit_position);

		if (packet->data != data)
			memcpy(data, packet->data, packet->length);
		set_transmit_length(transmit_position, packet->length);
		publish(transmit_status(transmit_position), TP_STATUS_SEND_REQUEST);
		if (++transmit_position == transmit_count)
			transmit_position = 0;
	}
	if (receive_base != NULL)
		give_back(batch, count);
	drop_first(batch, count);
	kick();
	return count;
}

static void losses(void (*tell)(const char *place, uint64_t count))
{
	struct tpacket_stats_v3 statistics = {0};
	socklen_t length = sizeof(statistics);

	/* Reading resets. */
	getsockopt(self.descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &length);
	dropped += statistics.tp_drops;
	tell("receive-ring-full", dropped);
	tell("transmit-error", refused);
}

static void set(int option, int value, const char *what)
{
	if (setsockopt(self.descriptor, SOL_PACKET, option, &value, sizeof(value)) < 0)
		refuse(what);
}

static void make_ring(int option, uint32_t block_size, uint32_t blocks)
{
	struct tpacket_req3 request = {
		.tp_block_size = block_size,
		.tp_block_nr = blocks,
		.tp_frame_size = slot_size,
		.tp_frame_nr = block_size / slot_size * blocks,
		.tp_retire_blk_tov = version3 && option == PACKET_RX_RING ? RETIRE_MILLISECONDS : 0,
	};
	socklen_t length = version3 ? sizeof(request) : sizeof(struct tpacket_req);

	if (setsockopt(self.descriptor, SOL_PACKET, option, &request, length) < 0)
		refuse("setsockopt of a ring");
}

struct peer_socket *open_packet_socket(const struct settings *settings)
{
	uint32_t index = if_nametoindex(settings->interface);
	size_t receive_length = 0;
	size_t transmit_length = 0;

	if (index == 0)
		refuse("if_nametoindex");
	self = (struct peer_socket){
		.descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0),
		.receive = receive,
		.release = release,
		.allocate = allocate,
		.send = send_batch,
		.losses = losses,
	};
	if (self.descriptor < 0)
		refuse("socket AF_PACKET");
	version3 = strcmp(settings->mode, "v3") == 0;
	batch_size = settings->batch;
	packet_length = settings->length;
	slot_size = settings->frame_size;
	set(PACKET_VERSION, version3 ? TPACKET_V3 : TPACKET_V2, "setsockopt PACKET_VERSION");
	set(PACKET_LOSS, 1, "setsockopt PACKET_LOSS");
	set(PACKET_QDISC_BYPASS, 1, "setsockopt PACKET_QDISC_BYPASS");
	set(PACKET_IGNORE_OUTGOING, 1, "setsockopt PACKET_IGNORE_OUTGOING");
	uint32_t page = slot_size > 4096 ? slot_size : 4096;

	if (settings->receives) {
		uint32_t needed = (uint32_t)settings->ring * slot_size;

		receive_bytes = version3 ? (uint32_t)settings->block_size : page;
		receive_count = (needed + receive_bytes - 1) / receive_bytes;
		if (version3 && receive_count < 4)
			receive_count = 4;
		make_ring(PACKET_RX_RING, receive_bytes, receive_count);
		receive_length = (size_t)receive_bytes * receive_count;
		if (!version3)
			receive_count = settings->ring;
	}
	if (settings->transmits) {
		make_ring(PACKET_TX_RING, page, (uint32_t)settings->ring * slot_size / page);
		transmit_count = settings->ring;
		transmit_length = (size_t)settings->ring * slot_size;
	}
	uint8_t *map = mmap(NULL, receive_length + transmit_length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			    self.descriptor, 0);

	if (map == MAP_FAILED)
		refuse("mmap of the rings");
	receive_base = settings->receives ? map : NULL;
	transmit_base = map + receive_length;
	for (uint32_t slot = 0; slot < transmit_count; slot++)
		write_packet(transmit_data(slot), settings->length, slot);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = settings->receives ? htons(ETH_P_ALL) : 0,
		.sll_ifindex = (int)index,
	};

	if (bind(self.descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
		refuse("bind");
	return &self;
}
