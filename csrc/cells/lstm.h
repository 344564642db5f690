// Long short-term memory: i, f, o = sigmoid, g = tanh of z; c' = f c + i g; h' = o tanh(c'). See cells/lstm.py.
#pragma once

#include "../spot.h"

namespace {

template <class T, bool WITH> struct Lstm {
  using V = Vec<T>;
  static constexpr bool OPTIONS = WITH;
  static constexpr int Z = 4, X_FIRST = 0, X_GATES = 4, H_FIRST = 0, H_GATES = 4;  // slots i f g o
  static constexpr int STATES = 2, SAVED = 5, DZ = 4;                             // saved: i f g o c'
  static constexpr int UNITS = 1;

  static int x_gate(int slot) { return slot; }
  static int h_gate(int slot) { return slot; }
  static constexpr int dz_of_x(int gate) { return gate; }
  static constexpr int dz_of_h(int gate) { return gate; }

  // Up to c' and o.
  template <bool PAST>
  static OST_INLINE Half<T> begin(const Scan<T>& s, const Spot<T, PAST>& at, const T* z, V, T* c, T* saved, int n) {
    constexpr int L = LANES<T>;
    const long H = s.hidden;
    const T* p = WITH && s.options.peephole ? s.options.peephole + at.j : nullptr;
    const V old = load(c);
    V to_i = load(z), to_f = load(z + L), to_o = load(z + 3 * L);
    if (p) to_i += load(p, n) * old, to_f += load(p + H, n) * old;
    const V f = sigmoid_of<T>(to_f), g = tanh_of<T>(load(z + 2 * L));
    const V i = WITH && s.options.coupled ? T(1) - f : sigmoid_of<T>(to_i);
    const V c1 = f * old + i * g;
    if (p) to_o += load(p + 2 * H, n) * c1;
    const V o = sigmoid_of<T>(to_o);
    const V c2 = WITH && s.options.zoned ? at.mix(old, c1) : c1;
    store(c, c2);
    if (saved) {
      at.keep(saved, i, n), at.keep(saved + H, f, n), at.keep(saved + 2 * H, g, n);
      at.keep(saved + 3 * H, o, n), at.keep(saved + 4 * H, c2, n);
      if (WITH && s.options.zoned) at.keep(saved + at.raw * H, c1, n);
    }
    return {c1, o};
  }
  template <bool PAST> static OST_INLINE V end(const Scan<T>&, const Spot<T, PAST>&, Half<T> half, V, T*, int) {
    return half.gate * tanh_of<T>(half.inner);
  }
  // h', or o alone where the norm of the whole row of c' has to come first.
  template <bool PAST>
  static OST_INLINE V forward(const Scan<T>& s, const Spot<T, PAST>& at, const T* z, V h, T* c, T* saved, int n) {
    const Half<T> half = begin(s, at, z, h, c, saved, n);
    if (!WITH || !s.options.normed()) return end(s, at, half, h, saved, n);
    store(at.row + at.j, half.inner);
    return half.gate;
  }

  struct Back { V dz[DZ], dh, dc; };  // dh, dc: what goes on to the step before, without R's part
  // With a norm of c', `at.row` has the gradient that comes by way of it.
  static OST_INLINE Back backward(const Scan<T>& s, const Spot<T>& at, const T* saved, int n, V, V, V c, V dh, V dc) {
    const long H = s.hidden;
    const V i = load(saved, n), f = load(saved + H, n), g = load(saved + 2 * H, n), o = load(saved + 3 * H, n);
    const bool zoned = WITH && s.options.zoned;
    const V c1 = load(saved + (zoned ? at.raw : 4) * H, n), passed = zoned ? at.kept * dc : V{};
    if (zoned) dc -= passed;
    V dz_o;
    if (WITH && s.options.normed()) {
      dz_o = dh * (T(1) - o);  // dh is that of h', times h'
      dc += load(at.row + at.j);
    } else {
      const V t = tanh_of<T>(c1);
      dz_o = dh * t * o * (T(1) - o);
      dc += dh * o * (T(1) - t * t);
    }
    const T* p = WITH && s.options.peephole ? s.options.peephole + at.j : nullptr;
    if (p) dc += load(p + 2 * H, n) * dz_o;
    const bool coupled = WITH && s.options.coupled;
    const V dz_i = coupled ? V{} : dc * g * i * (T(1) - i);
    const V dz_f = dc * (coupled ? c - g : c) * f * (T(1) - f);
    V before = dc * f;
    if (p) {
      before += load(p, n) * dz_i + load(p + H, n) * dz_f;
      at.add(at.peephole, dz_i * c, n), at.add(at.peephole + H, dz_f * c, n);
      at.add(at.peephole + 2 * H, dz_o * c1, n);
    }
    if (zoned) before += passed;
    return {{dz_i, dz_f, dc * i * (T(1) - g * g), dz_o}, V{}, before};
  }
};

}  // namespace
