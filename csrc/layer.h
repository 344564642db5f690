// What both rounds of a backward know of a layer: its sizes, what was saved where, and what a step began from.
#pragma once

#include "gemm.h"
#include "walk.h"

namespace {

template <class T, class Cell> struct Layer {
  const Scan<T>& s;
  const Gradient<T>& g;
  const long H, O, D;  // hidden, output, input
  const Saved kept;
  const Slots slots;
  T* const dz_of_all;
  const long across, dz_h;  // numbers of dz in a step, and where those of R h begin, if apart
  T* zero = nullptr;        // a row of units, and a panel's

  Layer(const Scan<T>& s, const Gradient<T>& g)
      : s(s), g(g), H(s.hidden), O(Cell::OPTIONS ? s.output : s.hidden), D(s.input), kept(Saved::of(s)), slots(Slots::of(s)),
        dz_of_all(g.dz ? g.dz : s.saved + kept.dz(normed(), H)),
        across(g.dz ? (Cell::OPTIONS ? slots.width : Cell::DZ * H) : saved_width()),
        dz_h(g.dz ? slots.h : (kept.hat_h - kept.hat_x) * H) {}

  bool projected() const { return Cell::OPTIONS && s.projected(); }
  bool normed() const { return Cell::OPTIONS && s.options.normed(); }
  bool apart() const { return normed() && s.kind != RNN; }
  bool reset_before() const { return Cell::OPTIONS && s.options.reset_before; }
  long saved_width() const { return Cell::OPTIONS ? kept.width(H) : Cell::SAVED * H; }

  // h or c that row b's step at `place` began from: another step's, the first state's, or a restart's.
  const T* before(int state, long b, long t, long place, bool restarted) const {
    const T* from = restarted ? s.restart[state] : s.begin[state];
    if (restarted || t == 0) return from ? from + b * (state == 0 ? O : H) : zero;
    const long p = s.reverse ? place + 1 : place - 1;
    return state == 0 ? s.y + b * s.y_row + p * s.y_step : s.saved + (b * s.time + p) * saved_width() + kept.c * H;
  }

  // The i-th row in the order of memory or, with lengths, as two threads have them in round one: first all those of the one.
  long row(long i) const {
    const long first = ceil_div(s.batch, 2);
    return !s.lengths ? i : i < first ? s.order[2 * i] : s.order[2 * (i - first) + 1];
  }

  static T* from(T* array, long first) { return array ? array + first : nullptr; }
};

// In a class made from Layer: its names, which a template must be told of.
#define OST_OF_LAYER                                                                                                 \
  using Base = Layer<T, Cell>;                                                                                       \
  using Base::s, Base::g, Base::H, Base::O, Base::D, Base::kept, Base::slots, Base::dz_of_all, Base::across, Base::dz_h; \
  using Base::zero, Base::projected, Base::normed, Base::apart, Base::reset_before, Base::saved_width, Base::before, \
      Base::from, Base::row

}  // namespace
