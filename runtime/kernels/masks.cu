// From low-resolution logits to masks: small holes filled, enlarged, thresholded.
// Twins: samotion.runtime.ops.reference.fill_holes, tests.support.kernel_twins.enlarged_masks.
// K masks of h x w logits; an index goes through all of them.
#include "common.h"

#define HOLE_PIXELS 8  // as in samotion.runtime.ops.reference
#define FILLED 0.1f

// NaN counts as object, as in the twin.
__device__ inline bool background(float logit) { return logit <= 0.0f; }

// Every background pixel points to itself or to one before it of the same island, in the end to the island's first
// pixel; others hold -1. Islands join at corners too. Walking halves the way for the next who walk it: what is
// written there is always further on the same way, so threads may do it at once.
__device__ inline int root_of(int* parent, int i) {
    volatile int* at = parent;
    while (true) {
        int next = at[i];
        if (next == i) return i;
        int after = at[next];
        if (after != next) at[i] = after;
        i = next;
    }
}

__device__ inline void join(int* parent, int a, int b) {
    while (true) {
        a = root_of(parent, a);
        b = root_of(parent, b);
        if (a == b) return;
        int above = a > b ? a : b, below = a > b ? b : a;
        int was = atomicMin(parent + above, below);
        if (was == above) return;
        // It stopped being a root in between: what it pointed to has to be joined as well.
        a = was;
        b = below;
    }
}

extern "C" __global__ void holes_begin(const float* logits, int* parent, int* area, int pixels) {
    int i = thread_number();
    if (i >= pixels) return;
    parent[i] = background(logits[i]) ? i : -1;
    area[i] = 0;
}

extern "C" __global__ void holes_join(int* parent, int pixels, int height, int width) {
    int i = thread_number();
    if (i >= pixels || parent[i] < 0) return;
    int x = i % width, y = i / width % height;
    if (x > 0 && parent[i - 1] >= 0) join(parent, i, i - 1);
    if (y == 0) return;
    for (int dx = -1; dx <= 1; ++dx)
        if (x + dx >= 0 && x + dx < width && parent[i - width + dx] >= 0) join(parent, i, i - width + dx);
}

// Islands are counted no further than matters, so that a large background does not queue at one number.
extern "C" __global__ void holes_measure(int* parent, int* area, int pixels) {
    int i = thread_number();
    if (i >= pixels || parent[i] < 0) return;
    int root = root_of(parent, i);
    if (static_cast<volatile int*>(area)[root] <= HOLE_PIXELS) atomicAdd(area + root, 1);
}

extern "C" __global__ void holes_fill(const float* logits, int* parent, const int* area, float* filled,
                                      int pixels) {
    int i = thread_number();
    if (i >= pixels) return;
    bool hole = parent[i] >= 0 && area[root_of(parent, i)] <= HOLE_PIXELS;
    filled[i] = hole ? FILLED : logits[i];
}

// masks (K, H, W) bool: is the bilinearly enlarged logit above 0; NaN is not. Tables: see tables.py.
extern "C" __global__ void masks_enlarge(const float* logits, byte* masks, const int* across_index,
                                         const float* across_weight, const int* down_index, const float* down_weight,
                                         int pixels, int height, int width, int out_height, int out_width) {
    int i = thread_number();
    if (i >= pixels) return;
    int x = i % out_width, y = i / out_width % out_height, k = i / out_width / out_height;
    const int* columns = across_index + 2 * x;
    const float* across = across_weight + 2 * x;
    const float* above = logits + (k * height + down_index[2 * y]) * width;
    const float* below = logits + (k * height + down_index[2 * y + 1]) * width;
    float upper = above[columns[0]] * across[0] + above[columns[1]] * across[1];
    float lower = below[columns[0]] * across[0] + below[columns[1]] * across[1];
    masks[i] = upper * down_weight[2 * y] + lower * down_weight[2 * y + 1] > 0.0f;
}
