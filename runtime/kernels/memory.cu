// What objects remember, brought together for the network. Twin: samotion.runtime.ops.reference.padded.
#include "common.h"

// out (rows, length): copies of the rows that lie at ``addresses``, zeros where that is 0.
extern "C" __global__ void memory_gather(const uint64* addresses, float* out, int numbers, int length) {
    int i = thread_number();
    if (i >= numbers) return;
    const float* row = reinterpret_cast<const float*>(addresses[i / length]);
    out[i] = row ? row[i % length] : 0.0f;
}

// out (N, kept, size) bytes: of what lies in tracks (N, frames, size) every ``pace``-th frame from ``first`` on.
extern "C" __global__ void memory_every(const byte* source, byte* out, int numbers, int kept, int frames, int size,
                                        int first, int pace) {
    int i = thread_number();
    if (i >= numbers) return;
    int n = i / size / kept, frame = first + i / size % kept * pace;
    out[i] = source[(n * frames + frame) * size + i % size];
}
