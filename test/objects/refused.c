// What no verifier lets run: a byte is read that the packet may not have.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static __noinline int first_byte(struct xdp_md *context) {
  __u8 *data = (void *)(long)context->data;
  return data[0];
}

SEC("xdp")
int hasty(struct xdp_md *context) {
  return first_byte(context) == 1 ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
