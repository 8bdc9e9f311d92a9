// Semantic features of tracks. Twin: samotion.runtime.ops.reference.cells. N tracks over T frames, C channels.
#include "common.h"

// The cell along one axis, as NumPy on x86 converts float32 to int64: toward zero, and what does not fit (NaN and
// infinities with it) to the least integer, which is cut off to cell 0.
__device__ inline int cell(float at, float scale, int cells) {
    float scaled = at * scale;
    if (!(scaled >= 0.0f && scaled < 9223372036854775808.0f)) return 0;
    return scaled < static_cast<float>(cells) ? static_cast<int>(scaled) : cells - 1;
}

// out (N, C): of the tracks asked on `frame`, the grid's (rows, columns, C) features at their query points; the rows
// of other tracks stay as they are.
extern "C" __global__ void features_sample(const float* grid, const float* xy, const int64* query_frame, float* out,
                                           int frame, int tracks, int frames, int rows, int columns, int channels,
                                           float scale_x, float scale_y) {
    int i = thread_number();
    if (i >= tracks * channels) return;
    int n = i / channels, channel = i % channels;
    if (query_frame[n] != frame) return;
    const float* point = xy + 2 * (n * frames + frame);
    int row = cell(point[1], scale_y, rows), column = cell(point[0], scale_x, columns);
    out[i] = grid[(row * columns + column) * channels + channel];
}
