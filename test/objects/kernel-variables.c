// Refused: a variable of the kernel.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const int bpf_prog_active __ksym;

SEC("xdp")
int by_variable(struct xdp_md *context) {
  return bpf_prog_active;
}

char _license[] SEC("license") = "GPL";
