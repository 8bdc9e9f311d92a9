// One uploaded frame (height, width, 3) uint8 RGB into the planes (3, out_height, out_width) float32 that a network
// wants. Twins: samotion.runtime.ops.resize and samotion.runtime.ops.preprocess; tests.support.kernel_twins.planes.
// Each output pixel is made of across_taps x down_taps pixels, by the tables of tables.py; in what order and with what
// roundings, the rules below say.
#include "common.h"

#define PILLOW_BITS 22  // as in tables.py

struct Taps {
    const byte* frame;  // at the channel
    int width;
    const int *columns, *rows;
    int across, down;

    __device__ int pixel(int row, int column) const { return frame[(rows[row] * width + columns[column]) * 3]; }
};

__device__ inline int level(float value) { return static_cast<int>(clamped(rintf(value), 0.0f, 255.0f)); }

// OpenCV's INTER_LINEAR, and INTER_AREA where an axis grows: 11 bits of weight, some cut off on the way.
__device__ inline int linear(const Taps& taps, const int* across, const int* down) {
    int rows[2];
    for (int r = 0; r < 2; ++r) rows[r] = taps.pixel(r, 0) * across[0] + taps.pixel(r, 1) * across[1];
    return ((down[0] * (rows[0] >> 4) >> 16) + (down[1] * (rows[1] >> 4) >> 16) + 2) >> 2;
}

// OpenCV's INTER_CUBIC: 11 bits of weight along rows, float32 along columns.
__device__ inline int cubic(const Taps& taps, const int* across, const int* down) {
    float parts[4];
    for (int r = 0; r < 4; ++r) {
        int sum = 0;
        for (int c = 0; c < 4; ++c) sum += taps.pixel(r, c) * across[c];
        parts[r] = static_cast<float>(sum) * (static_cast<float>(down[r]) * (1.0f / 4194304.0f));
    }
    return level(parts[0] + (parts[1] + (parts[2] + parts[3])));
}

// OpenCV's INTER_AREA where no axis grows, and its INTER_LINEAR of float32.
__device__ inline float weighted(const Taps& taps, const float* across, const float* down) {
    float sum = 0.0f;
    for (int r = 0; r < taps.down; ++r) {
        float row = 0.0f;
        for (int c = 0; c < taps.across; ++c) row += static_cast<float>(taps.pixel(r, c)) * across[c];
        sum += row * down[r];
    }
    return sum;
}

// OpenCV's INTER_AREA where both axes shrink by whole numbers; 2 x 2 rounds halves up, others to even.
__device__ inline int mean(const Taps& taps) {
    int sum = 0;
    for (int r = 0; r < taps.down; ++r)
        for (int c = 0; c < taps.across; ++c) sum += taps.pixel(r, c);
    if (taps.down == 2 && taps.across == 2) return (sum + 2) >> 2;
    return level(static_cast<float>(sum) * (1.0f / static_cast<float>(taps.down * taps.across)));
}

// Pillow's kernels: 22 bits of weight, cut off to 0 ... 255 between rows and columns.
__device__ inline int pillow(const Taps& taps, const int* across, const int* down) {
    int sum = 1 << (PILLOW_BITS - 1);
    for (int r = 0; r < taps.down; ++r) {
        int row = 1 << (PILLOW_BITS - 1);
        for (int c = 0; c < taps.across; ++c) row += taps.pixel(r, c) * across[c];
        sum += clamped(row >> PILLOW_BITS, 0, 255) * down[r];
    }
    return clamped(sum >> PILLOW_BITS, 0, 255);
}

enum Rule { LINEAR, CUBIC, AREA, MEAN, PILLOW, UNROUNDED };  // as in resizing.py

__device__ inline int made(int rule, const Taps& taps, const void* across, const void* down) {
    const int *fixed_across = static_cast<const int*>(across), *fixed_down = static_cast<const int*>(down);
    switch (rule) {
        case LINEAR: return linear(taps, fixed_across, fixed_down);
        case CUBIC: return cubic(taps, fixed_across, fixed_down);
        case AREA: return level(weighted(taps, static_cast<const float*>(across), static_cast<const float*>(down)));
        case MEAN: return mean(taps);
        default: return pillow(taps, fixed_across, fixed_down);
    }
}

// levels (3, 256): what each level becomes; (3, 2) for UNROUNDED: what is taken away and what is divided by.
// columns, rows: the tables' indices; across, down: their weights, int32 or float32 as the rule has them.
extern "C" __global__ void resize(const byte* frame, const float* levels, float* planes, const int* columns,
                                  const int* across, const int* rows, const int* down, int across_taps, int down_taps,
                                  int rule, int width, int out_height, int out_width) {
    int i = thread_number(), size = out_height * out_width;
    if (i >= size) return;
    int x = i % out_width * across_taps, y = i / out_width * down_taps;
    const void *across_here = across + x, *down_here = down + y;
    for (int channel = 0; channel < 3; ++channel) {
        Taps taps = {frame + channel, width, columns + x, rows + y, across_taps, down_taps};
        float value;
        if (rule == UNROUNDED) {
            value = weighted(taps, static_cast<const float*>(across_here), static_cast<const float*>(down_here));
            value = (value - levels[channel * 2]) / levels[channel * 2 + 1];
        } else {
            value = levels[channel * 256 + made(rule, taps, across_here, down_here)];
        }
        planes[channel * size + i] = value;
    }
}
