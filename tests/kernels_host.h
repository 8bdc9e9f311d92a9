// A CPU in place of a GPU: what the sources of samotion/runtime/kernels need to be compiled by a C++ compiler.
// Threads run one after the other, forwards or backwards, or on two workers at once: no result may depend on it.
#include <math.h>
#include <string.h>

#include <thread>
#include <utility>

#define __global__
#define __device__
#define __constant__

struct Triple {
    unsigned x = 0, y = 0, z = 0;
};
static thread_local Triple threadIdx, blockIdx;
static Triple blockDim;

template <typename Number>
Number atomicMax(Number* at, Number value) {
    Number old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(at, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}

template <typename Number>
Number atomicMin(Number* at, Number value) {
    Number old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (old > value && !__atomic_compare_exchange_n(at, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}

inline int atomicAdd(int* at, int value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }

inline int __float_as_int(float value) {
    int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

template <typename... P, size_t... I>
void start(void (*kernel)(P...), unsigned blocks, unsigned block, int order, void** arguments,
           std::index_sequence<I...>) {
    auto work = [&](unsigned first, unsigned step) {
        for (unsigned b = first; b < blocks; b += step)
            for (unsigned t = 0; t < block; ++t) {
                blockIdx.x = order == 1 ? blocks - 1 - b : b;
                threadIdx.x = order == 1 ? block - 1 - t : t;
                kernel(*static_cast<P*>(arguments[I])...);
            }
    };
    blockDim = {block, 1, 1};
    if (order < 2) return work(0, 1);
    std::thread other(work, 1, 2);
    work(0, 2);
    other.join();
}

// Like cuLaunchKernel: arguments are pointers to their values. order: 0 forwards, 1 backwards, 2 two workers.
template <typename... P>
void start(void (*kernel)(P...), unsigned blocks, unsigned block, int order, void** arguments) {
    start(kernel, blocks, block, order, arguments, std::index_sequence_for<P...>());
}
