/*
 * An AF_XDP socket in copy or generic mode with need-wakeup, fed by an XDP program of six instructions that is loaded with bpf(2).
 * Facts from linux/if_xdp.h and linux/bpf.h.
 */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9 /* since Linux 6.17 */
#endif
#define KERNEL_HEADROOM 256
#define MOST_SENDS_PER_KICK 64
/* How often a queue that a closed socket has not let go of yet is tried again. */
#define BIND_ATTEMPTS 30
#define BIND_PAUSE_MICROSECONDS 10000

/* One ring. `index` is our own side's, `other` the kernel's as last read. */
struct ring {
	uint32_t *producer;
	uint32_t *consumer;
	uint32_t *flags;
	void *entries;
	uint32_t size;
	uint32_t mask;
	uint32_t index;
	uint32_t other;
};

static struct peer_socket self;
static struct ring receive_ring, transmit_ring, fill_ring, completion_ring;
static uint8_t *memory;
static uint64_t frame_mask;
static int batch_size;
static int packet_length;
/* Free frames for receiving and for sending. */
static uint64_t *receive_frames, *send_frames;
static uint32_t receive_free, send_free;
static uint64_t first_send_frame;
static uint64_t refused;

static uint32_t acquire(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void publish(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static int least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static void free_frame(uint64_t address)
{
	address &= frame_mask;
	if (address >= first_send_frame)
		send_frames[send_free++] = address;
	else
		receive_frames[receive_free++] = address;
}

/* Posts free frames for receiving, as many as there is room for. */
static void fill(void)
{
	uint64_t *entries = fill_ring.entries;
	uint32_t room = fill_ring.size - (fill_ring.index - fill_ring.other);

	if (room < (uint32_t)batch_size) {
		fill_ring.other = acquire(fill_ring.consumer);
		room = fill_ring.size - (fill_ring.index - fill_ring.other);
	}
	int count = least(room, receive_free);

	for (int i = 0; i < count; i++)
		entries[fill_ring.index++ & fill_ring.mask] = receive_frames[--receive_free];
	if (count > 0)
		publish(fill_ring.producer, fill_ring.index);
}

static int receive(struct batch *batch)
{
	const struct xdp_desc *entries = receive_ring.entries;

	if (receive_ring.other - receive_ring.index < (uint32_t)batch_size)
		receive_ring.other = acquire(receive_ring.producer);
	int count = least(receive_ring.other - receive_ring.index, batch_size);

	if (count == 0) {
		if (acquire(fill_ring.flags) & XDP_RING_NEED_WAKEUP) {
			self.system_calls++;
			recvfrom(self.descriptor, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		}
		return 0;
	}
	for (int i = 0; i < count; i++) {
		const struct xdp_desc *descriptor = &entries[receive_ring.index++ & receive_ring.mask];

		batch->packets[i] =
			(struct packet){memory + descriptor->addr, descriptor->len, descriptor->addr};
	}
	publish(receive_ring.consumer, receive_ring.index);
	batch->length = count;
	if (receive_free >= (uint32_t)batch_size)
		fill();
	return count;
}

static void release(struct batch *batch)
{
	for (int i = 0; i < batch->length; i++)
		free_frame(batch->packets[i].place);
	batch->length = 0;
	fill();
}

static void take_completed(void)
{
	const uint64_t *entries = completion_ring.entries;

	completion_ring.other = acquire(completion_ring.producer);
	if (completion_ring.other == completion_ring.index)
		return;
	while (completion_ring.index != completion_ring.other)
		free_frame(entries[completion_ring.index++ & completion_ring.mask]);
	publish(completion_ring.consumer, completion_ring.index);
}

static int allocate(struct batch *batch)
{
	if (send_free < (uint32_t)batch_size)
		take_completed();
	int count = least(send_free, batch_size);

	for (int i = 0; i < count; i++) {
		uint64_t address = send_frames[--send_free] + KERNEL_HEADROOM;

		batch->packets[i] = (struct packet){memory + address, packet_length, address};
	}
	batch->length = count;
	return count;
}

/* One call sends all, or, before Linux 6.17, 32 packets; EBUSY is a packet that the device refused. */
static void kick(void)
{
	uint32_t consumed = acquire(transmit_ring.consumer);

	for (int i = 0; i < MOST_SENDS_PER_KICK; i++) {
		self.system_calls++;
		if (sendto(self.descriptor, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return;
		if (errno == EBUSY)
			refused++;
		else if (errno != EAGAIN)
			return;
		uint32_t progress = acquire(transmit_ring.consumer);

		if (progress == consumed)
			return;
		consumed = progress;
	}
}

static int send_batch(struct batch *batch)
{
	struct xdp_desc *entries = transmit_ring.entries;

	take_completed();
	transmit_ring.other = acquire(transmit_ring.consumer);
	int count = least(transmit_ring.size - (transmit_ring.index - transmit_ring.other), batch->length);

	for (int i = 0; i < count; i++) {
		struct xdp_desc *descriptor = &entries[transmit_ring.index++ & transmit_ring.mask];

		descriptor->addr = batch->packets[i].place;
		descriptor->len = batch->packets[i].length;
		descriptor->options = 0;
	}
	if (count > 0)
		publish(transmit_ring.producer, transmit_ring.index);
	drop_first(batch, count);
	if (acquire(transmit_ring.flags) & XDP_RING_NEED_WAKEUP)
		kick();
	return count;
}

static void losses(void (*tell)(const char *place, uint64_t count))
{
	struct xdp_statistics statistics = {0};
	socklen_t length = sizeof(statistics);

	getsockopt(self.descriptor, SOL_XDP, XDP_STATISTICS, &statistics, &length);
	tell("receive-ring-full", statistics.rx_ring_full);
	tell("fill-ring-empty", statistics.rx_fill_ring_empty_descs);
	tell("invalid-descriptor", statistics.rx_invalid_descs + statistics.tx_invalid_descs);
	tell("transmit-error", refused);
}

static void make_ring(struct ring *ring, int option, const struct xdp_ring_offset *offset, uint64_t page, uint32_t size,
		      size_t entry_bytes)
{
	if (setsockopt(self.descriptor, SOL_XDP, option, &size, sizeof(size)) < 0)
		refuse("setsockopt of a ring");
	ring->size = size;
	ring->mask = size - 1;
	/* The offsets are known before the rings are made. */
	uint8_t *map = mmap(NULL, offset->desc + size * entry_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			    self.descriptor, page);

	if (map == MAP_FAILED)
		refuse("mmap of a ring");
	ring->producer = (uint32_t *)(map + offset->producer);
	ring->consumer = (uint32_t *)(map + offset->consumer);
	ring->flags = (uint32_t *)(map + offset->flags);
	ring->entries = map + offset->desc;
}

/* return bpf_redirect_map(&map, context->rx_queue_index, XDP_PASS); */
static int load_program(int map)
{
	struct bpf_insn instructions[] = {
		{.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 2, .src_reg = 1, .off = offsetof(struct xdp_md, rx_queue_index)},
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)instructions,
		.insn_cnt = sizeof(instructions) / sizeof(instructions[0]),
		.license = (uintptr_t)"Dual MIT/GPL",
	};

	return bpf(BPF_PROG_LOAD, &load);
}

static void attach(int index, int generic)
{
	union bpf_attr create = {
		.map_type = BPF_MAP_TYPE_XSKMAP,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 1,
	};
	int map = bpf(BPF_MAP_CREATE, &create);

	if (map < 0)
		refuse("bpf BPF_MAP_CREATE");
	int program = load_program(map);

	if (program < 0)
		refuse("bpf BPF_PROG_LOAD");
	uint32_t queue = 0;
	union bpf_attr update = {
		.map_fd = map,
		.key = (uintptr_t)&queue,
		.value = (uintptr_t)&self.descriptor,
	};

	if (bpf(BPF_MAP_UPDATE_ELEM, &update) < 0)
		refuse("bpf BPF_MAP_UPDATE_ELEM");
	/* The link's descriptor stays open: the kernel detaches the program when the process ends. */
	union bpf_attr link = {.link_create = {
				       .prog_fd = program,
				       .target_ifindex = index,
				       .attach_type = BPF_XDP,
				       .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
			       }};

	if (bpf(BPF_LINK_CREATE, &link) < 0)
		refuse("bpf BPF_LINK_CREATE");
}

static void bind_queue(int index)
{
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = index,
	};

	for (int i = 0; bind(self.descriptor, (struct sockaddr *)&address, sizeof(address)) < 0; i++) {
		if (errno != EBUSY || i == BIND_ATTEMPTS)
			refuse("bind");
		usleep(BIND_PAUSE_MICROSECONDS);
	}
}

static void make_frames(const struct settings *settings)
{
	uint64_t frame_size = settings->frame_size;
	uint64_t length = settings->frames * frame_size;

	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	receive_frames = calloc(settings->frames, sizeof(uint64_t));
	send_frames = calloc(settings->frames, sizeof(uint64_t));
	if (memory == MAP_FAILED || receive_frames == NULL || send_frames == NULL)
		refuse("memory for the frames");
	struct xdp_umem_reg registration = {
		.addr = (uintptr_t)memory,
		.len = length,
		.chunk_size = frame_size,
	};

	if (setsockopt(self.descriptor, SOL_XDP, XDP_UMEM_REG, &registration, sizeof(registration)) < 0)
		refuse("setsockopt XDP_UMEM_REG");
	first_send_frame = length / 2;
	frame_mask = ~(frame_size - 1);
	for (int i = 0; i < settings->frames; i++) {
		if (i >= settings->frames / 2)
			write_packet(memory + i * frame_size + KERNEL_HEADROOM, settings->length, i);
		free_frame(i * frame_size);
	}
}

struct peer_socket *open_xdp_socket(const struct settings *settings)
{
	uint32_t index = if_nametoindex(settings->interface);
	struct xdp_mmap_offsets offsets;
	socklen_t length = sizeof(offsets);

	if (index == 0)
		refuse("if_nametoindex");
	self = (struct peer_socket){
		.descriptor = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0),
		.receive = receive,
		.release = release,
		.allocate = allocate,
		.send = send_batch,
		.losses = losses,
	};
	if (self.descriptor < 0)
		refuse("socket AF_XDP");
	batch_size = settings->batch;
	packet_length = settings->length;
	make_frames(settings);
	if (getsockopt(self.descriptor, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) < 0)
		refuse("getsockopt XDP_MMAP_OFFSETS");
	make_ring(&fill_ring, XDP_UMEM_FILL_RING, &offsets.fr, XDP_UMEM_PGOFF_FILL_RING, settings->ring, sizeof(uint64_t));
	make_ring(&completion_ring, XDP_UMEM_COMPLETION_RING, &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, settings->ring,
		  sizeof(uint64_t));
	if (settings->receives)
		make_ring(&receive_ring, XDP_RX_RING, &offsets.rx, XDP_PGOFF_RX_RING, settings->ring, sizeof(struct xdp_desc));
	if (settings->transmits) {
		make_ring(&transmit_ring, XDP_TX_RING, &offsets.tx, XDP_PGOFF_TX_RING, settings->ring, sizeof(struct xdp_desc));
		/* Older kernels do not know it. */
		setsockopt(self.descriptor, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &settings->ring, sizeof(settings->ring));
	}
	if (settings->receives)
		fill();
	bind_queue(index);
	if (settings->receives)
		attach(index, strcmp(settings->mode, "xdp-generic") == 0);
	return &self;
}
