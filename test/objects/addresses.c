// Refused: addresses among global variables.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static int numbers[2] = {1, 2};
int *chosen = &numbers[1];

SEC("xdp")
int by_address(struct xdp_md *context) {
  return *chosen;
}

char _license[] SEC("license") = "GPL";
