// The gated recurrent unit: r, z = sigmoid; n = tanh(W_n x + b_n + r (R_n h + b'_n)), or R_n (r h) + b'_n in place of
// the product's r (R_n h + b'_n); h' = (1 - z) n + z h. See cells/gru.py.
#pragma once

#include "../spot.h"

namespace {

template <class T, bool WITH> struct Gru {
  using V = Vec<T>;
  static constexpr bool OPTIONS = WITH;
  // Slots: n of the input, r, z, n of the state. Both products fill three slots that lie together.
  static constexpr int Z = 4, X_FIRST = 0, X_GATES = 3, H_FIRST = 1, H_GATES = 3;
  static constexpr int STATES = 1, SAVED = 4, DZ = 4;  // saved: r z n q, q = R_n h + b'_n; dz: r z q n
  static constexpr int UNITS = 1;

  static int x_gate(int slot) { return slot == 0 ? 2 : slot - 1; }  // weights' rows are r z n
  static int h_gate(int slot) { return slot - 1; }
  static constexpr int dz_of_x(int gate) { return gate < 2 ? gate : 3; }
  static constexpr int dz_of_h(int gate) { return gate; }

  // With the reset before the product slot r is that gate itself, and n's product lies in `at.row`.
  template <bool PAST>
  static OST_INLINE Half<T> begin(const Scan<T>& s, const Spot<T, PAST>& at, const T* z, V, T*, T* saved, int lanes) {
    constexpr int L = LANES<T>;
    const bool before = WITH && s.options.reset_before;
    const V r = before ? load(z + L) : sigmoid_of<T>(load(z + L)), u = sigmoid_of<T>(load(z + 2 * L));
    const V q = before ? load(at.row + at.j) : load(z + 3 * L);
    if (saved) {
      const long H = s.hidden;
      at.keep(saved, r, lanes), at.keep(saved + H, u, lanes);
      if (!before) at.keep(saved + 3 * H, q, lanes);
    }
    return {load(z) + (before ? q : r * q), u};
  }
  template <bool PAST>
  static OST_INLINE V end(const Scan<T>& s, const Spot<T, PAST>& at, Half<T> half, V h, T* saved, int lanes) {
    const V n = tanh_of<T>(half.inner);
    if (saved) at.keep(saved + 2 * s.hidden, n, lanes);
    return n + half.gate * (h - n);
  }
  template <bool PAST>
  static OST_INLINE V forward(const Scan<T>& s, const Spot<T, PAST>& at, const T* z, V h, T* c, T* saved, int lanes) {
    return end(s, at, begin(s, at, z, h, c, saved, lanes), h, saved, lanes);
  }

  struct Back { V dz[DZ], dh, dc; };
  // With the reset before the product dz of r is not yet known here.
  static OST_INLINE Back backward(const Scan<T>& s, const Spot<T>&, const T* saved, int lanes, V, V h, V, V dh, V) {
    const long H = s.hidden;
    const V r = load(saved, lanes), u = load(saved + H, lanes), n = load(saved + 2 * H, lanes);
    const V dn = dh * (T(1) - u) * (T(1) - n * n), dz_u = dh * (h - n) * u * (T(1) - u);
    if (WITH && s.options.reset_before) return {{V{}, dz_u, V{}, dn}, dh * u, V{}};
    const V q = load(saved + 3 * H, lanes);
    return {{dn * q * r * (T(1) - r), dz_u, dn * r, dn}, dh * u, V{}};
  }
};

}  // namespace
