// Long short-term memory: i, f, o = sigmoid, g = tanh of z; c' = f c + i g; h' = o tanh(c'). See cells/lstm.py.
#pragma once

#include "../kernels.h"
#include "../simd.h"

namespace {

template <class T> struct Lstm {
  using V = Vec<T>;
  static constexpr int Z = 4, X_FIRST = 0, X_GATES = 4, H_FIRST = 0, H_GATES = 4;  // slots i f g o
  static constexpr int STATES = 2, SAVED = 5, DZ = 4;                             // saved: i f g o c'
  static constexpr int UNITS = 1;

  static int x_gate(int slot) { return slot; }
  static int h_gate(int slot) { return slot; }

  static inline __attribute__((always_inline)) V forward(const Scan<T>& s, const T* z, V, T* c, T* saved, int n) {
    constexpr int L = LANES<T>;
    const V i = sigmoid_of<T>(load(z)), f = sigmoid_of<T>(load(z + L));
    const V g = tanh_of<T>(load(z + 2 * L)), o = sigmoid_of<T>(load(z + 3 * L));
    const V c1 = f * load(c) + i * g;
    store(c, c1);
    if (saved) {
      const long H = s.hidden;
      store(saved, i, n), store(saved + H, f, n), store(saved + 2 * H, g, n);
      store(saved + 3 * H, o, n), store(saved + 4 * H, c1, n);
    }
    return o * tanh_of<T>(c1);
  }

  struct Back { V dz[DZ], dh, dc; };  // dh, dc: what goes on to the step before, without R's part
  static inline __attribute__((always_inline)) Back backward(const Scan<T>& s, const T* saved, int n, V, V, V c, V dh, V dc) {
    const long H = s.hidden;
    const V i = load(saved, n), f = load(saved + H, n), g = load(saved + 2 * H, n), o = load(saved + 3 * H, n);
    const V t = tanh_of<T>(load(saved + 4 * H, n));
    dc += dh * o * (T(1) - t * t);
    return {{dc * g * i * (T(1) - i), dc * c * f * (T(1) - f), dc * i * (T(1) - g * g), dh * t * o * (T(1) - o)},
            V{}, dc * f};
  }
};

}  // namespace
