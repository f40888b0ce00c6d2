// Maps in all ways of defining them, some with entries at the start.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct flow {
  __u32 source;
  __u32 destination;
  __u16 ports[2];
  __u8 protocol;
};

struct counters {
  __u64 packets;
  __u64 bytes;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
  __uint(max_entries, 1024);
  __type(key, struct flow);
  __type(value, struct counters);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 10000);
  __uint(key_size, 8);
  __uint(value_size, sizeof(__u32));
  __uint(map_flags, BPF_F_NO_PREALLOC);
} prefixes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 8);
  __type(key, __u32);
  __type(value, __u64[4]);
} matrix SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 16);
} records SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 32);
  __type(value, __u32);
} waiting SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(key_size, sizeof(int));
  __uint(value_size, sizeof(int));
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, 16);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} devices SEC(".maps");

int pass_all(struct xdp_md *context);
int drop_all(struct xdp_md *context);

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 4);
  __uint(key_size, sizeof(__u32));
  __array(values, int(struct xdp_md *));
} stages SEC(".maps") = {.values = {[1] = (void *)&pass_all, [3] = (void *)&drop_all}};

struct inner {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 5);
  __type(key, __u16);
  __type(value, __u64);
} inner_one SEC(".maps"), inner_two SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 3);
  __type(key, __u32);
  __array(values, struct inner);
} ports SEC(".maps") = {.values = {[0] = &inner_one, [2] = &inner_two}};

struct {
  __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
  __uint(max_entries, 9);
  __type(key, __u64);
  __array(values, struct inner);
} ports_of_tenants SEC(".maps");

SEC("xdp")
int pass_all(struct xdp_md *context) {
  return XDP_PASS;
}

SEC("xdp")
int drop_all(struct xdp_md *context) {
  return XDP_DROP;
}

SEC("xdp")
int dispatch(struct xdp_md *context) {
  __u32 length = context->data_end - context->data;
  __u32 key = 2;
  __u64 *row = bpf_map_lookup_elem(&matrix, &key);
  if (row) row[1] += length;
  bpf_tail_call(context, &stages, length & 3);
  return XDP_ABORTED;
}

SEC("xdp")
int count_flow(struct xdp_md *context) {
  struct flow flow = {.source = 1, .protocol = 17};
  struct counters first = {.packets = 1};
  struct counters *found = bpf_map_lookup_elem(&flows, &flow);
  if (found) found->packets++;
  else bpf_map_update_elem(&flows, &flow, &first, BPF_ANY);
  __u64 length = context->data_end - context->data;
  bpf_map_push_elem(&waiting, &length, BPF_EXIST);
  return bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "GPL";
