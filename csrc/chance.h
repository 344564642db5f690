// Zoneout's random numbers: a hash of (key, stream, sequence, step, unit), the same as ops/random.py's.
#pragma once

#include "hash.h"
#include "kernels.h"
#include "simd.h"

namespace {

// How much of its old value each unit of one state keeps, at one place of one sequence.
template <class T> class Keep {
  using Bits = typename Simd<T>::Bits;
  bool drawn;
  uint32_t place, below;
  Vec<T> rate;

  static Bits lanes() {
    Bits v{};
    for (int i = 0; i < LANES<T>; ++i) v[i] = uint32_t(i);
    return v;
  }

 public:
  Keep() : drawn(false), place(0), below(0), rate{} {}
  Keep(const Zoneout& z, long b, long step) : drawn(z.drawn && z.rate < 1), rate(splat<T>(T(z.rate))) {
    place = drawn ? mix(mix(z.seed + GOLDEN * uint32_t(b + 1)) + GOLDEN * (z.first + uint32_t(step + 1))) : 0;
    below = uint32_t(uint64_t(z.rate * 4294967296.0));
  }
  // Of one of the states; nothing where there is no zoneout: then it is not asked.
  OST_INLINE static Keep of(const Options<T>& options, int state, long b, long step) {
    return options.zoned ? Keep(options.zoneout[state], b, step) : Keep();
  }

  // Of the units from j on.
  OST_INLINE Vec<T> operator()(long j) const {
    if (!drawn) return rate;
    const Bits number = mix(place + GOLDEN * (lanes() + uint32_t(j + 1)));
    const typename Simd<T>::Flags kept = number < below;
    const Vec<T> one = splat<T>(1);
    return (Vec<T>)(__builtin_convertvector(kept, typename Simd<T>::Int) & (typename Simd<T>::Int)one);
  }
};

}  // namespace
