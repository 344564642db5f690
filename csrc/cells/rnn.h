// The simple recurrent cell: h' = f(a), a = W x + R h + b. See cells/rnn.py.
#pragma once

#include <type_traits>

#include "../spot.h"

namespace {

template <class T, bool WITH> struct Rnn {
  using V = Vec<T>;
  static constexpr bool OPTIONS = WITH;
  // Pre-activations of one step: which of the z slots the input's and the state's products fill.
  static constexpr int Z = 1, X_FIRST = 0, X_GATES = 1, H_FIRST = 0, H_GATES = 1;
  static constexpr int STATES = 1, SAVED = 0, DZ = 1;
  static constexpr int UNITS = WIDEST;  // vectors of hidden units in one panel

  static int x_gate(int slot) { return slot; }
  static int h_gate(int slot) { return slot; }
  static constexpr int dz_of_x(int gate) { return gate; }
  static constexpr int dz_of_h(int gate) { return gate; }

  template <Activation A> using Known = std::integral_constant<Activation, A>;
  // f(the activation), known when the code is made.
  template <class F> static void by_activation(Activation a, const F& f) {
    switch (a) {
      case TANH: return f(Known<TANH>());
      case RELU: return f(Known<RELU>());
      case SIGMOID: return f(Known<SIGMOID>());
      default: return f(Known<IDENTITY>());
    }
  }
  static OST_INLINE V activate(Activation f, V a) {
    switch (f) {
      case TANH: return tanh_of<T>(a);
      case RELU: return a < V{} ? V{} : a;
      case SIGMOID: return sigmoid_of<T>(a);
      default: return a;
    }
  }
  // f'(a), from h = f(a).
  static V slope(Activation f, V h) {
    switch (f) {
      case TANH: return T(1) - h * h;
      case RELU: return h <= V{} ? V{} : splat<T>(1);  // NaN is no reason to stop a gradient
      case SIGMOID: return h * (T(1) - h);
      default: return splat<T>(1);
    }
  }

  template <bool PAST>
  static OST_INLINE V forward(const Scan<T>& s, const Spot<T, PAST>& at, const T* z, V, T*, T* saved, int n) {
    const V h = activate(s.activation, load(z));
    if (WITH && saved && s.options.zoned) store(saved + at.raw * s.hidden, h, n);
    return h;
  }

  struct Back { V dz[DZ], dh, dc; };
  static OST_INLINE Back backward(const Scan<T>& s, const Spot<T>& at, const T* saved, int n, V h, V, V, V dh, V) {
    if (WITH && s.options.zoned) h = load(saved + at.raw * s.hidden, n);
    return {{dh * slope(s.activation, h)}, V{}, V{}};
  }
};

}  // namespace
