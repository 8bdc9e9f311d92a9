// The motion network's 88 channels of a track and frame. Twins: samotion.runtime.ops.reference.normalised_xy,
// samotion.runtime.kernels.twins.augmented. N tracks over T frames.
#include "common.h"

#define OCTAVES 10  // as the network was trained
#define ENCODED (2 + 4 * OCTAVES)
#define CHANNELS (2 * ENCODED + 4)

// Pixels into [-1, 1]; NaN stays.
extern "C" __global__ void augment_normalise(const float* xy, float* normalised, int numbers, float scale_x,
                                             float scale_y) {
    int i = thread_number();
    if (i >= numbers) return;
    normalised[i] = clamped(xy[i] * (i % 2 ? scale_y : scale_x) - 1.0f, -1.0f, 1.0f);
}

// The place that a track's depth is read at, in [-1, 1] whatever it was.
__device__ inline float inside(float at) { return at >= -1.0f ? (at <= 1.0f ? at : 1.0f) : -1.0f; }

__device__ inline float disparity_at(const float* map, const float* point, int height, int width, bool as_trained) {
    float x = inside(point[0]), y = inside(point[1]);
    if (as_trained) {
        // The published weights were trained with [-1, 1] taken for [0, 1], truncated and flattened before the clamp.
        int cell = static_cast<int>(y * static_cast<float>(height)) * width +
                   static_cast<int>(x * static_cast<float>(width));
        return map[clamped(cell, 0, height * width - 1)];
    }
    int column = static_cast<int>((x + 1.0f) * (static_cast<float>(width) / 2.0f));
    int row = static_cast<int>((y + 1.0f) * (static_cast<float>(height) / 2.0f));
    return map[clamped(row, 0, height - 1) * width + clamped(column, 0, width - 1)];
}

// depth (N, T): each track's disparity, from maps (T, height, width).
extern "C" __global__ void augment_look_up(const float* xy, const float* disparity, float* depth, int tracks,
                                           int frames, int height, int width, int as_trained) {
    int i = thread_number();
    if (i >= tracks * frames) return;
    const float* map = disparity + static_cast<int64>(i % frames) * height * width;
    depth[i] = disparity_at(map, xy + 2 * i, height, width, as_trained != 0);
}

// Next minus current, nothing in the last frame; as trained nothing where the next is hidden (a product: what is not
// finite becomes NaN).
__device__ inline float step(const float* values, const byte* visible, int i, int size, bool last) {
    return last ? 0.0f : (values[size] - values[0]) * (visible[i + 1] ? 1.0f : 0.0f);
}

// Channel c of a pair and its waves: x, y, then for 1, 2, 4, ... times their size sin x, sin y, cos x, cos y.
__device__ inline float encoded(float x, float y, int c) {
    float value = c % 2 ? y : x;
    if (c < 2) return value;
    float scaled = value * static_cast<float>(1 << ((c - 2) / 4));
    return (c - 2) % 4 < 2 ? sinf(scaled) : cosf(scaled);
}

// channels (N, T, 88): xy and (du, dv), both with their waves, d, dd, visibility, confidence.
extern "C" __global__ void augment_channels(const float* xy, const byte* visible, const float* visibility,
                                            const float* confidence, const float* depth, float* channels, int tracks,
                                            int frames) {
    int number = thread_number();
    if (number >= tracks * frames * CHANNELS) return;
    int i = number / CHANNELS, c = number % CHANNELS;
    bool last = i % frames == frames - 1;
    const float* at = xy + 2 * i;
    float value;
    if (c < ENCODED) {
        value = encoded(at[0], at[1], c);
    } else if (c < 2 * ENCODED) {
        value = encoded(step(at, visible, i, 2, last), step(at + 1, visible, i, 2, last), c - ENCODED);
    } else if (c == 2 * ENCODED) {
        value = depth[i];
    } else if (c == 2 * ENCODED + 1) {
        value = step(depth + i, visible, i, 1, last);
    } else {
        value = c == 2 * ENCODED + 2 ? visibility[i] : confidence[i];
    }
    channels[number] = value;
}
