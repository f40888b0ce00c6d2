// Several programs in one section, and functions of all kinds that they call: static and global, in .text and beside the programs,
// functions of functions, and one whose address a helper is given.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static __attribute__((noinline)) int twice(int number) {
  return number + number;
}

__attribute__((noinline)) int four_times(int number) {
  return twice(twice(number));
}

__attribute__((noinline, visibility("hidden"))) int ten_times(int number) {
  return four_times(number) + four_times(number) + twice(number);
}

static __attribute__((noinline)) int length_of(struct xdp_md *context) {
  return context->data_end - context->data;
}

static long count(__u32 index, void *sum) {
  *(int *)sum += index;
  return 0;
}

SEC("xdp")
int length_times_ten(struct xdp_md *context) {
  return ten_times(length_of(context));
}

SEC("xdp")
int length_times_two(struct xdp_md *context) {
  return twice(length_of(context));
}

SEC("xdp")
int sum_to_length(struct xdp_md *context) {
  int sum = 0;
  bpf_loop(length_of(context), count, &sum, 0);
  return sum;
}

SEC("xdp")
int alone(struct xdp_md *context) {
  return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
