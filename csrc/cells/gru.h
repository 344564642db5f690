// The gated recurrent unit, reset after the product: n = tanh(W_n x + b_n + r (R_n h + b'_n));
// h' = (1 - z) n + z h. See cells/gru.py.
#pragma once

#include "../kernels.h"
#include "../simd.h"

namespace {

template <class T> struct Gru {
  using V = Vec<T>;
  // Slots: n of the input, r, z, n of the state. Both products fill three slots that lie together.
  static constexpr int Z = 4, X_FIRST = 0, X_GATES = 3, H_FIRST = 1, H_GATES = 3;
  static constexpr int STATES = 1, SAVED = 4, DZ = 4;  // saved: r z n q, q = R_n h + b'_n; dz: r z q n
  static constexpr int UNITS = 1;

  static int x_gate(int slot) { return slot == 0 ? 2 : slot - 1; }  // weights' rows are r z n
  static int h_gate(int slot) { return slot - 1; }

  static inline __attribute__((always_inline)) V forward(const Scan<T>& s, const T* z, V h, T*, T* saved, int lanes) {
    constexpr int L = LANES<T>;
    const V r = sigmoid_of<T>(load(z + L)), u = sigmoid_of<T>(load(z + 2 * L)), q = load(z + 3 * L);
    const V n = tanh_of<T>(load(z) + r * q);
    if (saved) {
      const long H = s.hidden;
      store(saved, r, lanes), store(saved + H, u, lanes), store(saved + 2 * H, n, lanes);
      store(saved + 3 * H, q, lanes);
    }
    return n + u * (h - n);
  }

  struct Back { V dz[DZ], dh, dc; };
  static inline __attribute__((always_inline)) Back backward(const Scan<T>& s, const T* saved, int lanes, V, V h, V, V dh, V) {
    const long H = s.hidden;
    const V r = load(saved, lanes), u = load(saved + H, lanes), n = load(saved + 2 * H, lanes);
    const V q = load(saved + 3 * H, lanes);
    const V dn = dh * (T(1) - u) * (T(1) - n * n);
    return {{dn * q * r * (T(1) - r), dh * (h - n) * u * (T(1) - u), dn * r, dn}, dh * u, V{}};
  }
};

}  // namespace
