// A network's disparity at the frame's size, scaled to [0, 1] in each frame.
// Twin: samotion.runtime.ops.reference.unit_disparity.
// Kernels in order: depth_begin, depth_enlarge, depth_scale.
#include "common.h"

#define NAN_KEY 0xffffffffu
#define FLAT 1.1920928955078125e-07  // float32's epsilon
#define LANES 4                      // columns that OpenCV works on together

// Floats as integers in the same order; NaN is beyond all, in both directions, as it is for NumPy.
__device__ inline unsigned key_of(float value) {
    if (isnan(value)) return NAN_KEY;
    unsigned bits = static_cast<unsigned>(__float_as_int(value));
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float value_of(unsigned key) {
    unsigned bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    return key == NAN_KEY ? __int_as_float(0x7fffffff) : __int_as_float(static_cast<int>(bits));
}

__device__ inline void widen(unsigned* extreme, unsigned key) {
    // Few pixels get past the question: all of a frame's would otherwise queue at one number.
    if (key > *static_cast<volatile unsigned*>(extreme)) atomicMax(extreme, key);
}

// extremes (B, 2): greatest of the keys counted from above, and of the keys.
extern "C" __global__ void depth_begin(unsigned* extremes, int count) {
    int i = thread_number();
    if (i < count) extremes[i] = 0;
}

// values (B, out_height, out_width): OpenCV's INTER_CUBIC of maps (B, height, width); tables: see tables.py.
extern "C" __global__ void depth_enlarge(const float* maps, float* values, unsigned* extremes, const int* across_index,
                                         const float* across_weight, const int* down_index, const float* down_weight,
                                         int pixels, int height, int width, int out_height, int out_width) {
    int i = thread_number();
    if (i >= pixels) return;
    int x = i % out_width, y = i / out_width % out_height, b = i / out_width / out_height;
    const int *columns = across_index + 4 * x, *rows = down_index + 4 * y;
    const float *across = across_weight + 4 * x, *down = down_weight + 4 * y;
    float parts[4];
    for (int r = 0; r < 4; ++r) {
        const float* row = maps + (b * height + rows[r]) * width;
        float sum = row[columns[0]] * across[0];
        for (int c = 1; c < 4; ++c) sum += row[columns[c]] * across[c];
        parts[r] = sum * down[r];
    }
    // The columns that are left over are added in another order there.
    float value = x < out_width - out_width % LANES ? parts[0] + (parts[1] + (parts[2] + parts[3]))
                                                    : ((parts[0] + parts[1]) + parts[2]) + parts[3];
    values[i] = value;
    unsigned key = key_of(value);
    widen(extremes + 2 * b, key == NAN_KEY ? NAN_KEY : ~key);
    widen(extremes + 2 * b + 1, key);
}

extern "C" __global__ void depth_scale(float* values, const unsigned* extremes, int pixels, int frame) {
    int i = thread_number();
    if (i >= pixels) return;
    const unsigned* own = extremes + i / frame * 2;
    float low = value_of(own[0] == NAN_KEY ? NAN_KEY : ~own[0]), high = value_of(own[1]);
    double span = static_cast<double>(high) - static_cast<double>(low);
    values[i] = span <= FLAT ? 0.0f : (values[i] - low) / static_cast<float>(span);
}
