// Accesses that depend on where members are in the types of the running kernel (CO-RE).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct device {
  int index;
  char name[16];
  unsigned short flags : 3;
  unsigned short kind : 5;
  union {
    long long wide;
    struct {
      int low;
      int high;
    };
  };
  int queues[4];
} __attribute__((preserve_access_index));

struct queue___old {
  int length;
} __attribute__((preserve_access_index));

enum state { DOWN = 3, UP = 8 };

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct device);
} devices SEC(".maps");

SEC("xdp")
int read_fields(struct xdp_md *context) {
  __u32 key = 0;
  struct device *device = bpf_map_lookup_elem(&devices, &key);
  if (!device) return -1;
  int sum = device->index + device->high + device->queues[2];
  sum += bpf_core_field_size(device->name);
  if (bpf_core_field_exists(device->wide)) sum += device->wide;
  sum += BPF_CORE_READ_BITFIELD(device, kind);
  if (bpf_core_type_exists(struct queue___old)) sum += bpf_core_type_size(struct queue___old);
  if (bpf_core_enum_value_exists(enum state, UP)) sum += bpf_core_enum_value(enum state, UP);
  return sum;
}

char _license[] SEC("license") = "GPL";
