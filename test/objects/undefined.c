// Refused: a function that is in another object.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int elsewhere(int number);

SEC("xdp")
int by_other_object(struct xdp_md *context) {
  return elsewhere(3);
}

char _license[] SEC("license") = "GPL";
