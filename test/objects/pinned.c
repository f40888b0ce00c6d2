// A map that other loaders share.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} shared SEC(".maps");

SEC("xdp")
int by_shared(struct xdp_md *context) {
  __u32 key = context->rx_queue_index;
  return bpf_map_lookup_elem(&shared, &key) ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
