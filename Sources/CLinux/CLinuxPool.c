#include "CLinux.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Powers of two from 32 bytes to 64 KiB: above the largest SSH packet, 35,000 bytes. */
#define SMALLEST 5
#define CLASSES 12
/* What a thread keeps of each size: enough for the packets of one turn of its loop, 64 small ones or 256 KiB. */
#define KEPT 64
#define KEPT_BYTES (256u << 10)

/* Before each block, and as large as malloc aligns. */
union header {
    struct {
        union header *next;
        size_t size; /* of the block */
    };
    max_align_t alignment;
};

struct list {
    union header *first;
    unsigned count;
};

static _Thread_local struct list lists[CLASSES];

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIN 1 /* a sanitizer has to see every block */
#endif
#endif

static int class_of(size_t size) {
    if (size <= (size_t)1 << SMALLEST) return 0;
    return 64 - __builtin_clzl(size - 1) - SMALLEST;
}

void *clinux_pool_allocate(size_t size) {
    int class = class_of(size);
    size_t room = class < CLASSES ? (size_t)1 << (class + SMALLEST) : size;
    union header *block;
#ifndef PLAIN
    if (class < CLASSES && lists[class].first) {
        block = lists[class].first;
        lists[class].first = block->next;
        lists[class].count--;
        return block + 1;
    }
#endif
    if (room > SIZE_MAX - sizeof *block) return NULL;
    block = malloc(sizeof *block + room);
    if (!block) return NULL;
    block->size = room;
    return block + 1;
}

void clinux_pool_free(void *memory) {
    if (!memory) return;
    union header *block = (union header *)memory - 1;
#ifndef PLAIN
    int class = class_of(block->size);
    if (class < CLASSES && lists[class].count < KEPT && (lists[class].count + 1) * block->size <= KEPT_BYTES) {
        block->next = lists[class].first;
        lists[class].first = block;
        lists[class].count++;
        return;
    }
#endif
    free(block);
}

void *clinux_pool_reallocate(void *memory, size_t size) {
    if (!memory) return clinux_pool_allocate(size);
    if (size == 0) {
        clinux_pool_free(memory);
        return NULL;
    }
    union header *block = (union header *)memory - 1;
    if (size <= block->size) return memory;
    void *larger = clinux_pool_allocate(size);
    if (!larger) return NULL;
    memcpy(larger, memory, block->size);
    clinux_pool_free(memory);
    return larger;
}
