// Global variables: with a value, constant, zero; static and global; in sections of their own.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct settings {
  __u32 threshold;
  __u16 ports[3];
  char name[8];
};

struct settings current = {.threshold = 100, .ports = {53, 80, 443}, .name = "default"};
int offset_of_all = 7;
const volatile struct settings fixed = {.threshold = 5, .ports = {1, 2, 3}, .name = "fixed"};
const volatile long step = 3;
static volatile const int hidden_step = 4;
long packets;
static __u64 bytes;
__u8 table[16];
int special SEC(".data.special") = 11;
const volatile int special_constant SEC(".rodata.special") = 13;

SEC("xdp")
int sum_of_variables(struct xdp_md *context) {
  packets += step;
  bytes += context->data_end - context->data;
  table[packets & 15]++;
  special++;
  return current.threshold + current.ports[1] + current.ports[2] + current.name[2] + offset_of_all + fixed.ports[2] +
         fixed.name[4] + hidden_step + packets + bytes + table[3] + special + special_constant;
}

SEC("xdp")
int packets_so_far(struct xdp_md *context) {
  return packets;
}

char _license[] SEC("license") = "GPL";
