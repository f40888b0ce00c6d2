// Functions of the kernel that XDP programs may call.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *, __u64 *) __ksym;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *, __u32 *hash, __u32 *type) __ksym;

SEC("xdp")
int hinted(struct xdp_md *context) {
  __u64 time = 0;
  __u32 hash = 0, type = 0;
  if (bpf_xdp_metadata_rx_hash(context, &hash, &type)) return XDP_DROP;
  if (bpf_xdp_metadata_rx_timestamp(context, &time)) return XDP_DROP;
  if (bpf_xdp_metadata_rx_hash(context, &hash, &type)) return XDP_DROP;
  return time + hash + type;
}

char _license[] SEC("license") = "GPL";
