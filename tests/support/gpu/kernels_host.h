// A CPU in place of a GPU: what the sources of samotion/runtime/kernels need to be compiled by a C++ compiler.
// Threads run one after the other, forwards, backwards or in turns with others: no result may depend on it.
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __constant__

struct Triple {
    unsigned x = 0, y = 0, z = 0;
};
static Triple threadIdx, blockIdx, blockDim;

// Workers that take turns on threads from all over the grid: at every atomic operation the next one goes on, so that
// what was read before it is often out of date, as on a GPU, and yet in the same order in every run.
#define WORKERS 6u
#define STEP 7919u  // a prime: steps of it reach every block before one comes again

struct Worker {
    ucontext_t context;
    Triple thread, block;
    std::vector<char> stack = std::vector<char>(1 << 15);
    bool done = false;
};
static Worker *workers = nullptr, *working = nullptr;
static std::function<void(unsigned, unsigned)> work;

inline void enter() {
    work(static_cast<unsigned>(working - workers), WORKERS);
    working->done = true;
}

inline void give_way() {
    if (!workers) return;
    Worker* here = working;
    unsigned next = static_cast<unsigned>(here - workers);
    do next = (next + 1) % WORKERS;
    while (workers[next].done);
    Worker* other = workers + next;
    if (other == here) return;
    here->thread = threadIdx;
    here->block = blockIdx;
    working = other;
    swapcontext(&here->context, &other->context);
    threadIdx = here->thread;
    blockIdx = here->block;
}

inline void take_turns() {
    Worker all[WORKERS];
    ucontext_t back;
    workers = all;
    for (Worker& worker : all) {
        getcontext(&worker.context);
        worker.context.uc_stack.ss_sp = worker.stack.data();
        worker.context.uc_stack.ss_size = worker.stack.size();
        worker.context.uc_link = &back;
        makecontext(&worker.context, enter, 0);
    }
    for (Worker& worker : all)
        while (!worker.done) {
            working = &worker;
            swapcontext(&back, &worker.context);
        }
    workers = nullptr;
}

template <typename Number>
Number atomicMax(Number* at, Number value) {
    give_way();
    Number old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(at, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}

template <typename Number>
Number atomicMin(Number* at, Number value) {
    give_way();
    Number old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (old > value && !__atomic_compare_exchange_n(at, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}

inline int atomicAdd(int* at, int value) {
    give_way();
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

inline int __float_as_int(float value) {
    int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float __int_as_float(int bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename... P, size_t... I>
void start(void (*kernel)(P...), unsigned blocks, unsigned block, int order, void** arguments,
           std::index_sequence<I...>) {
    work = [=](unsigned first, unsigned step) {
        for (unsigned b = first; b < blocks; b += step)
            for (unsigned t = 0; t < block; ++t) {
                blockIdx.x = order == 1 ? blocks - 1 - b : order == 2 && blocks % STEP ? b * uint64_t(STEP) % blocks : b;
                threadIdx.x = order == 1 ? block - 1 - t : t;
                kernel(*static_cast<P*>(arguments[I])...);
            }
    };
    blockDim = {block, 1, 1};
    if (order == 2)
        take_turns();
    else
        work(0, 1);
}

// Like cuLaunchKernel: arguments are pointers to their values. order: 0 forwards, 1 backwards, 2 in turns.
template <typename... P>
void start(void (*kernel)(P...), unsigned blocks, unsigned block, int order, void** arguments) {
    start(kernel, blocks, block, order, arguments, std::index_sequence_for<P...>());
}
