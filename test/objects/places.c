// Programs for all places, under the names that sections for them have or had; and two that are not for XDP.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define PROGRAM(section, name) \
  SEC(section) int name(struct xdp_md *context) { return XDP_PASS; }

PROGRAM("xdp", plain)
PROGRAM("?xdp", on_demand)
PROGRAM("xdp/some_name", named)
PROGRAM("xdp_tutorial", old_name)
PROGRAM("xdp.frags", in_segments)
PROGRAM("xdp/devmap", behind_device)
PROGRAM("xdp.frags/devmap", behind_device_in_segments)
PROGRAM("xdp_devmap/egress", behind_device_old)
PROGRAM("xdp/cpumap", behind_cpu)
PROGRAM("xdp.frags/cpumap", behind_cpu_in_segments)
PROGRAM("prog", by_iproute2)

SEC("classifier")
int for_tc(struct __sk_buff *context) {
  return 0;
}

SEC("fentry/xdp_do_redirect")
int for_tracing(void *context) {
  return 0;
}

char _license[] SEC("license") = "GPL";
