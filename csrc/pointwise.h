// From a panel's sums to the state: what a step does with every unit by itself, all rows of the batch.
#pragma once

#include <type_traits>

#include "chance.h"
#include "course.h"
#include "factor.h"
#include "spot.h"

namespace {

template <class T, class Cell> struct Pointwise : Course<T, Cell> {
  static constexpr int L = LANES<T>;
  using Order = Course<T, Cell>;
  using Order::s, Order::panels, Order::hidden_stride, Order::kept, Order::saved_width;
  enum Part { ALL, BEGIN, END };  // of a cell's step
  template <Part P> using Step = std::integral_constant<Part, P>;
  const long stride;  // of h

  // One thread's scratch.
  struct Own {
    long* rows;
    T *h[2], *c, *seen, *x, *z;
    typename Left<T>::Room x_room[BLOCK_AHEAD], h_room;
    T **y, **saved;  // of each row, where a step's output goes, and what is kept of it
    TileShapes* shapes;
    T *zh, *m, *row, *reset;  // with options: R h for its own norm, h before projection, a row beside, r h
  };

  explicit Pointwise(const Scan<T>& s)
      : Order(s), stride(Cell::OPTIONS ? spread<T>(s.output) : hidden_stride) {}

  // Where a step's rows go, once for all panels.
  void find_places(const Walk<T>& rows, const Own& o, long t, long live) const {
    for (long r = 0; r < live; ++r) {
      const long b = rows.rows[r], p = rows.place(r, t);
      o.y[r] = s.y + b * s.y_row + p * s.y_step;
      o.saved[r] = s.saved ? s.saved + (b * s.time + p) * saved_width() : nullptr;
    }
  }

  // Of panel u, all rows of the plain RNN: h' = f(z). Which f is asked once: asked for each vector, they wait for each other.
  void activated(const Own& o, long live, long u, const T* z, long z_row) const {
    const long first = panels.first(u), count = panels.width(u);
    const long onward = s.reverse ? -s.y_step : s.y_step;
    const bool calls_y = this->calls_y;
    Cell::by_activation(s.activation, [&](auto f) {
      for (long r = 0; r < live; ++r) {
        const T* sums = z + r * z_row;
        T *h = o.h[1] + r * stride + first, *y = o.y[r] + first;
        by_vectors<T>(count, [&](long j, auto n) {
          const Vec<T> v = Cell::activate(f, load(sums + j));
          store(h + j, v);
          store(y + j, v, n);
          if (calls_y) own_line(y + onward + j);
        });
      }
    });
  }

  // Of panel u, all rows. Where a cell has two activations one after the other, one vector's wait for each other longer than
  // a processor looks ahead: of several rows it is begun for all and then ended for all (with AVX-512 that gains nothing).
  template <bool PAST>
  __attribute__((noinline)) void pointwise(const Walk<T>& rows, const Own& o, long t, long live, long u, T* z,
                                           long z_row) const {
    const long first = panels.first(u), count = panels.width(u);
    const bool zoned = Cell::OPTIONS && s.options.zoned;
    const long onward = s.reverse ? -saved_width() : saved_width(), hidden = s.hidden;
    const bool calls = !PAST && this->calls;
    const auto row = [&](long r, auto by_units, auto whole_or_part) {
      constexpr Part part = decltype(whole_or_part)::value;
      T *y = o.y[r], *saved = o.saved[r], *c = o.c + (Cell::STATES > 1 ? r * hidden_stride : 0);
      Keep<T> keep_h, keep_c;
      if (zoned) {
        const long b = rows.rows[r], p = rows.place(r, t);
        keep_h = {s.options.zoneout[0], b, p}, keep_c = {s.options.zoneout[1], b, p};
      }
      by_units([&](long v, auto n) {
        const long j = first + v, i = r * stride + j;
        Spot<T, PAST> at{};
        if (Cell::OPTIONS) at.j = j, at.raw = kept.raw;
        if (zoned && Cell::STATES > 1 && part != END) at.kept = keep_c(j);
        const Vec<T> old = load(o.h[0] + i);
        T *sums = z + r * z_row + v * Cell::Z, *to = saved ? saved + j : nullptr;
        Vec<T> h;
        if constexpr (part == ALL) {
          h = Cell::forward(this->s, at, sums, old, c + j, to, n);
        } else if constexpr (part == BEGIN) {
          const Half<T> half = Cell::begin(this->s, at, sums, old, c + j, to, n);
          store(sums, half.inner), store(sums + L, half.gate);
        } else {
          h = Cell::end(this->s, at, Half<T>{load(sums), load(sums + L)}, old, to, n);
        }
        if (part != END && calls) {
#pragma GCC unroll 8
          for (int k = 0; k < Cell::SAVED; ++k) own_line(saved + onward + k * hidden + j);
        }
        if (part == BEGIN) return;
        if (zoned) {
          const Vec<T> k = keep_h(j);
          h = k * old + (T(1) - k) * h;
        }
        store(o.h[1] + i, h);
        store(y + j, h, n);
      });
    };
    if constexpr (Cell::UNITS > 1) {
      for (long r = 0; r < live; ++r) row(r, [&](const auto& f) { by_vectors<T>(count, f); }, Step<ALL>{});
    } else {  // one vector: its width is asked once, and the activations' constants stay in registers
      by_vectors<T>(count, [&](long, auto n) {
        const auto all_rows = [&](auto part) {
          for (long r = 0; r < live; ++r) row(r, [&](const auto& f) { f(0, n); }, part);
        };
        if (MANY_REGISTERS || live == 1) return all_rows(Step<ALL>{});
        if constexpr (!MANY_REGISTERS) all_rows(Step<BEGIN>{}), all_rows(Step<END>{});
      });
    }
  }
};

}  // namespace
