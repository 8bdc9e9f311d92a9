// From a tracker's logits to tracks that later stages may trust. Twin: samotion.runtime.ops.visibility.filter_tracks.
// N tracks over T frames. Kernels in order: filter_begin, filter_judge, filter_count, filter_place, filter_gather,
// filter_fill.
#include "common.h"

#define CHUNK 64  // tracks that one thread of filter_count counts; as in filtering.py

struct Judged {
    bool sound, visible;
    float visibility, confidence;
};

// e^x for x <= 0 with the roundings of NumPy's float32 exp on x86: Cody and Waite's reduction to |r| <= ln 2 / 2,
// then a quotient of polynomials. Any other expf differs in the last bit and with it now and then in a boolean.
__device__ inline float numpy_exp(float x) {
    if (x <= -103.97208f) return 0.0f;
    const float magic = 12582912.0f;  // 1.5 * 2^23: added and taken away, it rounds to a whole number
    float whole = (x * 1.442695041f + magic) - magic;
    float r = fmaf(whole, -6.93145752e-1f, x);
    r = fmaf(whole, -1.42860677e-6f, r);
    float above = fmaf(5.082762527590693718096e-04f, r, 6.757896990527504603057e-03f);
    above = fmaf(above, r, 5.114512081637298353406e-02f);
    above = fmaf(above, r, 2.473615434895520810817e-01f);
    above = fmaf(above, r, 7.257664613233124478488e-01f);
    above = fmaf(above, r, 9.999999999980870924916e-01f);
    float below = fmaf(2.159509375685829852307e-02f, r, -2.742335390411667452936e-01f);
    below = fmaf(below, r, 1.0f);
    return ldexpf(above / below, static_cast<int>(whole));
}

__device__ inline float complement_of_sigmoid(float logit) {
    float decayed = numpy_exp(-fabsf(logit));
    return (logit >= 0.0f ? decayed : 1.0f) / (1.0f + decayed);
}

__device__ inline bool finite(const float* pair) { return isfinite(pair[0]) && isfinite(pair[1]); }

__device__ inline Judged judged(const float* xy, float occlusion, float distance) {
    Judged out = {finite(xy) && !isnan(occlusion) && !isnan(distance), false, 0.0f, 0.0f};
    if (!out.sound) return out;
    float certainty = complement_of_sigmoid(distance);
    out.visibility = complement_of_sigmoid(occlusion);
    out.visible = out.visibility * certainty > 0.5f;
    if (out.visible || (1.0f - out.visibility) * certainty > 0.5f) out.confidence = certainty;
    return out;
}

// kept (N) int32, seen (T) int32, best (T) uint64: all 0.
extern "C" __global__ void filter_begin(int* kept, int* seen, uint64* best, int tracks, int frames) {
    int i = thread_number();
    if (i < tracks) kept[i] = 0;
    if (i < frames) {
        seen[i] = 0;
        best[i] = 0;
    }
}

// kept: is the track ever visible; seen: is any track visible in the frame.
extern "C" __global__ void filter_judge(const float* xy, const float* occlusion, const float* distance, int* kept,
                                        int* seen, int tracks, int frames) {
    int i = thread_number();
    if (i >= tracks * frames || !judged(xy + 2 * i, occlusion[i], distance[i]).visible) return;
    atomicMax(kept + i / frames, 1);
    atomicMax(seen + i % frames, 1);
}

// sums (ceil(N / CHUNK)) int32: how many tracks of a chunk are kept.
extern "C" __global__ void filter_count(const int* kept, int* sums, int tracks) {
    int chunk = thread_number();
    if (chunk * CHUNK >= tracks) return;
    int sum = 0;
    for (int n = chunk * CHUNK; n < (chunk + 1) * CHUNK && n < tracks; ++n) sum += kept[n];
    sums[chunk] = sum;
}

// rank (N + 1) int32: how many kept tracks come before; the last is how many there are.
extern "C" __global__ void filter_place(const int* kept, const int* sums, int* rank, int tracks) {
    int n = thread_number();
    if (n > tracks) return;
    int before = 0;
    for (int chunk = 0; chunk < n / CHUNK; ++chunk) before += sums[chunk];
    for (int other = n / CHUNK * CHUNK; other < n; ++other) before += kept[other];
    rank[n] = before;
}

// Kept tracks to the front. best: of a frame that nobody is visible in, the most confident track, the first of
// several; an unsound point ranks below confidence 0.
extern "C" __global__ void filter_gather(const float* xy, const float* occlusion, const float* distance,
                                         const int64* query_frame, const int* kept, const int* seen, const int* rank,
                                         uint64* best, float* out_xy, byte* out_visible, float* out_visibility,
                                         float* out_confidence, int64* out_query_frame, int tracks, int frames) {
    int i = thread_number();
    if (i >= tracks * frames) return;
    int n = i / frames, t = i % frames;
    if (!kept[n]) return;
    Judged found = judged(xy + 2 * i, occlusion[i], distance[i]);
    int o = rank[n] * frames + t;
    bool fit = finite(xy + 2 * i);
    out_xy[2 * o] = fit ? xy[2 * i] : 0.0f;
    out_xy[2 * o + 1] = fit ? xy[2 * i + 1] : 0.0f;
    out_visible[o] = found.visible;
    out_visibility[o] = found.visibility;
    out_confidence[o] = found.confidence;
    if (t == 0) out_query_frame[rank[n]] = query_frame[n];
    if (seen[t]) return;
    // Confidences are in [0, 1], where more is also more as bits.
    uint64 order = found.sound ? 1u + static_cast<unsigned>(__float_as_int(found.confidence)) : 0u;
    atomicMax(best + t, order << 32 | (0xffffffffu - static_cast<unsigned>(rank[n])));
}

// In frames that no kept track is visible in the best one becomes visible.
extern "C" __global__ void filter_fill(const int* seen, const int* rank, const uint64* best, byte* out_visible,
                                       int tracks, int frames) {
    int t = thread_number();
    if (t >= frames || seen[t] || rank[tracks] == 0) return;
    int chosen = static_cast<int>(0xffffffffu - static_cast<unsigned>(best[t] & 0xffffffffu));
    out_visible[chosen * frames + t] = 1;
}

// xy (N, T, 2) from pixels of the tracker's input to those of the frame, exact at the query itself; queries (N, 3) as
// (t, y, x). Twin: samotion.runtime.ops.reference.in_frame.
extern "C" __global__ void filter_in_frame(float* xy, const float* queries, int numbers, int frames, float scale_x,
                                           float scale_y) {
    int i = thread_number();
    if (i >= numbers) return;
    const float* query = queries + i / (2 * frames) * 3;
    bool asked = i / 2 % frames == static_cast<int>(query[0]);
    xy[i] = asked ? query[2 - i % 2] : xy[i] / (i % 2 ? scale_y : scale_x);
}

// xy (N, T, 2) from pixels into [-1, 1]; NaN stays. Twin: samotion.runtime.ops.reference.normalised_xy.
extern "C" __global__ void filter_normalise(const float* xy, float* normalised, int numbers, float scale_x,
                                            float scale_y) {
    int i = thread_number();
    if (i >= numbers) return;
    normalised[i] = clamped(xy[i] * (i % 2 ? scale_y : scale_x) - 1.0f, -1.0f, 1.0f);
}
