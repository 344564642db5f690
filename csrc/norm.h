// Layer norm of one row of numbers (Ba 2016), forward and backward.
//
// A row may lie in slots: the vector of units j, slot s, begins at row + j * spread + s * LANES. What lies past the
// last unit is not looked at.
#pragma once

#include <cmath>

#include "kernels.h"
#include "simd.h"

namespace {

template <class T> struct Stats {
  T mean, scale;  // scale = 1 / sqrt(var + 1e-5)
};

// Its lanes added up, by halves.
template <class T> inline T total(Vec<T> v) {
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

// In two passes: a mean first, so that no large squares cancel.
template <class T, int SLOTS> Stats<T> statistics(const T* row, long spread, long hidden) {
  constexpr int L = LANES<T>;
  Vec<T> sums[2]{};
  by_vectors<T>(hidden, [&](long j, auto n) {
    for (int k = 0; k < SLOTS; ++k) sums[k % 2] += load(row + j * spread + k * L, n);
  });
  const T count = T(SLOTS * hidden), mean = total<T>(sums[0] + sums[1]) / count;
  Vec<T> squares[2]{};
  by_vectors<T>(hidden, [&](long j, auto n) {
    const Vec<T> middle = mean * ones<T>(n);
    for (int k = 0; k < SLOTS; ++k) {
      const Vec<T> d = load(row + j * spread + k * L, n) - middle;
      squares[k % 2] += d * d;
    }
  });
  return {mean, T(1) / std::sqrt(total<T>(squares[0] + squares[1]) / count + T(1e-5))};
}

// dv of a dense row v whose normed values are `hat`, from d = d LN(v), which is lost; d * hat is added to `gains`.
// `to` may be d or hat; `also` takes the same, or is null.
template <class T>
void norm_backward(long count, const T* hat, const T* gain, T scale, T* d, T* gains, T* to, T* also = nullptr) {
  Vec<T> along{}, across{};
  by_vectors<T>(count, [&](long j, auto n) {
    const Vec<T> h = load(hat + j, n), part = load(d + j, n);
    const Vec<T> g = part * load(gain + j, n);
    along += g, across += g * h;
    store(gains + j, load(gains + j, n) + part * h, n);
    store(d + j, g, n);
  });
  const T mean = total<T>(along) / T(count), slope = total<T>(across) / T(count);
  by_vectors<T>(count, [&](long j, auto n) {
    const Vec<T> v = scale * (load(d + j, n) - mean - load(hat + j, n) * slope);
    store(to + j, v, n);
    if (also) store(also + j, v, n);
  });
}

}  // namespace
