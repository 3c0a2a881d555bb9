// What a load client asks of the target: the first 32 bytes of every connection.
#ifndef BENCHMARK_PROTOCOL_H
#define BENCHMARK_PROTOCOL_H

#include <stdint.h>

enum {
    MODE_SINK = 'U',    // read until EOF, answer with the number of bytes (uint64_t), close
    MODE_SOURCE = 'D',  // send for `duration` microseconds at `rate` bytes per second (0: unlimited), close
    MODE_ECHO = 'E',    // echo until EOF
    MODE_ONCE = 'O',    // echo `length` bytes, close
};

// Host byte order: both ends run on one machine.
struct request {
    uint8_t mode;
    uint8_t zero[7];
    uint64_t duration;
    uint64_t rate;
    uint64_t length;
};

// Totals of a target, in a file it shares with whoever watches.
struct totals {
    uint64_t received;
    uint64_t sent;
    uint64_t accepted;
};

#define ECHO_SIZE 64

#endif
