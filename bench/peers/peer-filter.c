/*
 * libpcap's compiler and interpreter over the packets of a capture, for `tp4 bench filters`.
 *
 *     peer-filter CAPTURE SECONDS EXPRESSION...
 *
 * writes a line for each expression: nanoseconds of a packet, and how many packets are accepted.
 */
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct packet {
    u_char *bytes;
    u_int length;
    u_int wire_length;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **arguments)
{
    char error[PCAP_ERRBUF_SIZE];
    struct packet *packets = NULL;
    size_t length = 0, room = 0;
    struct pcap_pkthdr *header;
    const u_char *bytes;

    if (count < 4) {
        fprintf(stderr, "usage: peer-filter CAPTURE SECONDS EXPRESSION...\n");
        return 2;
    }
    pcap_t *capture = pcap_open_offline(arguments[1], error);
    if (capture == NULL) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    while (pcap_next_ex(capture, &header, &bytes) == 1) {
        if (length == room) {
            room = room == 0 ? 1024 : 2 * room;
            packets = realloc(packets, room * sizeof *packets);
            if (packets == NULL) return 1;
        }
        struct packet *packet = &packets[length++];
        packet->bytes = malloc(header->caplen);
        if (packet->bytes == NULL) return 1;
        memcpy(packet->bytes, bytes, header->caplen);
        packet->length = header->caplen;
        packet->wire_length = header->len;
    }
    for (int i = 3; i < count; i++) {
        struct bpf_program program;
        if (pcap_compile(capture, &program, arguments[i], 1, PCAP_NETMASK_UNKNOWN) < 0) {
            fprintf(stderr, "%s\n", pcap_geterr(capture));
            return 1;
        }
        double best = 1e18, end = now() + atof(arguments[2]) * 1e9;
        size_t accepted;
        do {
            accepted = 0;
            double start = now();
            for (size_t k = 0; k < length; k++) {
                struct packet *packet = &packets[k];
                if (bpf_filter(program.bf_insns, packet->bytes, packet->wire_length, packet->length) != 0) accepted++;
            }
            double passed = (now() - start) / length;
            if (passed < best) best = passed;
        } while (now() < end);
        printf("%f %zu\n", best, accepted);
        pcap_freecode(&program);
    }
    return 0;
}
