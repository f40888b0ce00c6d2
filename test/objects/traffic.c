// A program as users write them: settings, counters by protocol, a queue of reports, and a second program behind a tail call.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u16 blocked_port = 53;
const volatile __u8 friend[6] = {2, 0, 0, 0, 0, 1};
__u64 reported = 0;
__u32 shortest = 0xffffffff;

struct counter {
  __u64 packets;
  __u64 bytes;
};

struct report {
  __u32 length;
  __u8 protocol;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, __u8);
  __type(value, struct counter);
} protocols SEC(".maps");

int verdict(struct xdp_md *context);

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __array(values, int(struct xdp_md *));
} stages SEC(".maps") = {.values = {[0] = (void *)&verdict}};

#ifdef REPORTS
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} reports SEC(".maps");

static __noinline void report(__u32 length, __u8 protocol) {
  struct report *record = bpf_ringbuf_reserve(&reports, sizeof(*record), 0);
  if (!record) return;
  record->length = length;
  record->protocol = protocol;
  bpf_ringbuf_submit(record, 0);
  __sync_fetch_and_add(&reported, 1);
}
#else
static __noinline void report(__u32 length, __u8 protocol) {
  if (length < shortest) shortest = length;
  __sync_fetch_and_add(&reported, 1);
}
#endif

// Global: verified by itself, for any arguments.
__noinline int count(__u32 protocol, __u32 length) {
  __u8 key = protocol;
  struct counter first = {.packets = 1, .bytes = length};
  struct counter *found = bpf_map_lookup_elem(&protocols, &key);
  if (!found) return bpf_map_update_elem(&protocols, &key, &first, BPF_ANY);
  __sync_fetch_and_add(&found->packets, 1);
  __sync_fetch_and_add(&found->bytes, length);
  return 0;
}

SEC("xdp")
int traffic(struct xdp_md *context) {
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = (void *)(long)context->data;
  __u32 length = context->data_end - context->data;
  __u32 protocol = IPPROTO_RAW;
  if ((void *)(ethernet + 1) > end) return XDP_DROP;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = (void *)(ethernet + 1);
    if ((void *)(ip + 1) > end) return XDP_DROP;
    protocol = ip->protocol;
  } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = (void *)(ethernet + 1);
    if ((void *)(ip + 1) > end) return XDP_DROP;
    protocol = ip->nexthdr;
  }
  count(protocol, length);
  report(length, protocol);
  bpf_tail_call(context, &stages, 0);
  return XDP_ABORTED;
}

SEC("xdp")
int verdict(struct xdp_md *context) {
  __u8 *end = (void *)(long)context->data_end;
  __u8 *data = (void *)(long)context->data;
  if (data + 38 > end) return XDP_PASS;
  int same = 1;
  for (int i = 0; i < 6; i++) same &= data[i] == friend[i];
  if (same) return XDP_TX;
  int is_udp = data[12] == 8 && data[13] == 0 && data[23] == IPPROTO_UDP;
  return is_udp && data[36] * 256 + data[37] == blocked_port ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
