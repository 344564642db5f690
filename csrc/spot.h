// Where a cell stands when it works on one vector of units: what its options need beside its own numbers.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace {

template <class T, bool PAST = false> struct Spot {
  long j;         // the first of its units
  Vec<T> kept;    // zoneout of c: how much stays
  int raw;        // the slot that keeps c~ or h~
  T* row;         // a whole row beside the cell's: c' before its norm, or a second product
  T* peephole;    // where this row of the batch gathers the gradient of p, at j

  OST_INLINE Vec<T> mix(Vec<T> old, Vec<T> made) const {
    return kept * old + (T(1) - kept) * made;
  }
  // What the backward needs: past the caches, or not.
  static OST_INLINE void keep(T* to, Vec<T> v, int n) { PAST && n == LANES<T> ? store_past(to, v) : store(to, v, n); }
  static OST_INLINE void add(T* sum, Vec<T> v, int n) { store(sum, load(sum, n) + v, n); }
};

// A step of a cell half made: what its last tanh is of, and the gate that waits for it.
template <class T> struct Half {
  Vec<T> inner, gate;
};

}  // namespace
