// The random numbers of zoneout and of dropout's masks: a hash of (key, stream, sequence, step, unit), the same as
// ops/random.py's.
#pragma once

#include "hash.h"
#include "kernels.h"
#include "simd.h"
#include "threads.h"

namespace {

// Of the units from j on: 1 with the probability below / 2^32, else 0. `place` is the hash of all but the unit.
template <class T> OST_INLINE Vec<T> drawn(uint32_t place, long j, uint32_t below) {
  typename Simd<T>::Bits lanes{};
  for (int i = 0; i < LANES<T>; ++i) lanes[i] = uint32_t(i);
  const typename Simd<T>::Flags drawn = mix(place + GOLDEN * (lanes + uint32_t(j + 1))) < below;
  const Vec<T> one = splat<T>(1);
  return (Vec<T>)(__builtin_convertvector(drawn, typename Simd<T>::Int) & (typename Simd<T>::Int)one);
}
inline uint32_t chance_of(double rate) { return uint32_t(uint64_t(rate * 4294967296.0)); }

// How much of its old value each unit of one state keeps, at one place of one sequence.
template <class T> class Keep {
  bool random;
  uint32_t place, below;
  Vec<T> rate;

 public:
  Keep() : random(false), place(0), below(0), rate{} {}
  Keep(const Zoneout& z, long b, long step) : random(z.drawn && z.rate < 1), rate(splat<T>(T(z.rate))) {
    place = random ? mix(mix(z.seed + GOLDEN * uint32_t(b + 1)) + GOLDEN * (z.first + uint32_t(step + 1))) : 0;
    below = chance_of(z.rate);
  }
  // Of one of the states; nothing where there is no zoneout: then it is not asked.
  OST_INLINE static Keep of(const Options<T>& options, int state, long b, long step) {
    return options.zoned ? Keep(options.zoneout[state], b, step) : Keep();
  }

  // Of the units from j on.
  OST_INLINE Vec<T> operator()(long j) const { return random ? drawn<T>(place, j, below) : rate; }
};

template <class T> void fill(const Mask<T>& m) {
  const long rows = m.sequences * std::max(m.steps, 1L);
  if (m.rate >= 1) return void(std::memset(m.to, 0, rows * m.units * sizeof(T)));
  const Vec<T> kept = splat(T(1) / T(1 - m.rate));
  const uint32_t below = chance_of(m.rate);
  parallel_for(m.threads, [&](int i) {
    for (long r = rows * i / m.threads; r < rows * (i + 1) / m.threads; ++r) {
      uint32_t place = mix(m.seed + GOLDEN * uint32_t((m.steps ? r / m.steps : r) + 1));
      if (m.steps) place = mix(place + GOLDEN * uint32_t(r % m.steps + 1));
      by_vectors<T>(m.units, [&](long j, auto n) {
        store(m.to + r * m.units + j, kept - kept * drawn<T>(place, j, below), n);
      });
    }
  });
}

}  // namespace
