// Maps as they were before BTF.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_map_def_of_old {
  unsigned int type;
  unsigned int key_size;
  unsigned int value_size;
  unsigned int max_entries;
  unsigned int map_flags;
};

struct bpf_map_def_of_old SEC("maps") first = {BPF_MAP_TYPE_ARRAY, 4, 8, 2, 0};
struct bpf_map_def_of_old SEC("maps") second = {BPF_MAP_TYPE_HASH, 4, 16, 100, BPF_F_NO_PREALLOC};

SEC("xdp")
int counted(struct xdp_md *context) {
  __u32 key = 1;
  __u64 *count = bpf_map_lookup_elem(&first, &key);
  if (count) *count += 1;
  return bpf_map_lookup_elem(&second, &key) ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
