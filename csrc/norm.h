// Layer norm of one row of numbers (Ba 2016), forward and backward.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "simd.h"

namespace {

// How many gates' normed values a step of a cell has: the RNN's one norm is over the sum of both products.
template <class Cell> constexpr int hats() { return Cell::X_GATES + (Cell::SAVED > 0 ? Cell::H_GATES : 0); }

template <class T> struct Stats {
  T mean, scale;  // scale = 1 / sqrt(var + 1e-5)
};

// Its lanes added up, by halves.
template <class T> inline T total(Vec<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return _mm512_reduce_add_ps((__m512)v);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }
#endif
  alignas(VECTOR_BYTES) T lanes[LANES<T>];
  store(lanes, v);
  for (int half = LANES<T> / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

// 1 in the first n lanes.
template <class T> OST_INLINE Vec<T> ones(int n) {
  if (n == LANES<T>) return splat<T>(1);
  Vec<T> v{};
  for (int i = 0; i < LANES<T>; ++i) v[i] = T(i < n);
  return v;
}

// Mean and variance of a row, gathered piece by piece, of what is left when a number near the mean is taken away: so no
// large squares cancel. That number is the mean of the first vector, or of what there is of it.
template <class T> struct Moments {
  Vec<T> near, sum, squares;

  // A vector with n lanes that count.
  OST_INLINE void begin(Vec<T> v, int n) {
    near = splat<T>(total<T>(v * ones<T>(n)) / T(n));
    sum = squares = Vec<T>{};
  }
  OST_INLINE void add(Vec<T> v, int n) {
    const Vec<T> d = n == LANES<T> ? v - near : (v - near) * ones<T>(n);
    sum += d, squares += d * d;
  }
  // What another took that began with the same vector.
  void join(const Moments& other) { sum += other.sum, squares += other.squares; }
  Stats<T> of(long count) const {
    const T off = total<T>(sum) / T(count), variance = total<T>(squares) / T(count) - off * off;
    return {near[0] + off, T(1) / std::sqrt((variance > 0 ? variance : T(0)) + T(1e-5))};
  }
};

// Of the first SLOTS slots of a row whose vectors of units have EACH side by side.
template <int SLOTS, int EACH, class T> Stats<T> stats_of(const T* z, long units) {
  constexpr int SUMS = MANY_REGISTERS ? 2 : std::min(SLOTS, 4);  // which do not wait for each other; a narrow vector's are longer
  Moments<T> moments[SUMS];
  by_vectors<T>(units, [&](long j, auto n) {
    if (j == 0) {
      moments[0].begin(load(z), n);
      for (int i = 1; i < SUMS; ++i) moments[i] = moments[0];
    }
#pragma GCC unroll 4
    for (int k = 0; k < SLOTS; ++k) moments[k % SUMS].add(load(z + j * EACH + k * LANES<T>), n);
  });
  for (int i = 1; i < SUMS; ++i) moments[0].join(moments[i]);
  return moments[0].of(SLOTS * units);
}

// From d LN(v) to dv, of a dense row whose normed values are `hat`: first all its vectors are taken, then comes the rest.
template <class T> class NormBackward {
  Vec<T> along_{}, across_{};

 public:
  // part = d LN(v) of a vector; part * gain goes into `inner`, part * hat on top of `gains`.
  OST_INLINE void take(Vec<T> part, const T* hat, const T* gain, T* gains, T* inner, int n) {
    const Vec<T> h = load(hat, n), g = part * load(gain, n);
    along_ += g, across_ += g * h;
    store(gains, load(gains, n) + part * h, n);
    store(inner, g, n);
  }
  // dv into `to`, which may be hat or inner; `also` takes the same, or is null.
  void finish(long count, const T* hat, const T* inner, T scale, T* to, T* also = nullptr) const {
    const T mean = scale * (total<T>(along_) / T(count)), slope = scale * (total<T>(across_) / T(count));
    by_vectors<T>(count, [&](long j, auto n) {
      const Vec<T> v = load(inner + j, n) * scale - mean - load(hat + j, n) * slope;
      store(to + j, v, n);
      if (also) store(also + j, v, n);
    });
  }
};

}  // namespace
