// Refused: a setting of the kernel.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int CONFIG_HZ __kconfig;

SEC("xdp")
int by_setting(struct xdp_md *context) {
  return CONFIG_HZ;
}

char _license[] SEC("license") = "GPL";
