// What every kernel file here needs. One thread does one piece of work and threads never wait for one another:
// what must come after something else is a kernel of its own. So the same source runs on a CPU, thread by thread.
#pragma once

typedef long long int64;  // NumPy's int64 on every platform
typedef unsigned long long uint64;
typedef unsigned char byte;  // uint8, and bool as 0 or 1

// Number of this thread; the caller starts at least as many as there is work.
__device__ inline int thread_number() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

template <typename Number>
__device__ inline Number clamped(Number value, Number low, Number high) {
    return value < low ? low : value > high ? high : value;
}
