// The random numbers of masks: a counter-based hash, as in ops/random.py.
#pragma once

#include <cstdint>

namespace {

constexpr uint32_t GOLDEN = 0x9E3779B9;

// A 32-bit hash with low bias (Wellons 2018, "lowbias32"), of a number or of each lane of a vector.
template <class U> inline __attribute__((always_inline)) U mix(U v) {
  v = (v ^ (v >> 16)) * 0x7FEB352Du;
  v = (v ^ (v >> 15)) * 0x846CA68Bu;
  return v ^ (v >> 16);
}

}  // namespace
