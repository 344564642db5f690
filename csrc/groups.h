// Gradients of what works on single units: peepholes, and the gains and shifts of norms.
//
// They are gathered for groups of rows of the batch, by the thread that owns a group, and added up over the groups in
// their order: the same bits on any number of threads.
#pragma once

#include <algorithm>

#include "layer.h"

namespace {

template <class T, class Cell> class GroupSums : Layer<T, Cell> {
  OST_OF_LAYER;
  static constexpr int L = LANES<T>;
  static constexpr long MOST = 16;  // groups: few, so that what they gather stays in the caches
  T* all = nullptr;

 public:
  // Where a group has what: dz itself first, then dz * hat for both norms, both for the norm of c', and p.
  long gain_x, gain_h, gain_c, shift_c, peephole;

  explicit GroupSums(const Base& layer) : Base(layer) {
    const long row = gates_of(s.kind) * H;
    gain_x = normed() ? Cell::DZ * H : 0;
    gain_h = gain_x + (normed() ? row : 0);
    gain_c = gain_h + (apart() ? row : 0);
    const long of_c = normed() && s.kind == LSTM ? H : 0;
    shift_c = gain_c + of_c, peephole = shift_c + of_c;
    width = peephole + (Cell::OPTIONS && s.options.peephole ? 3 * H : 0);
  }

  // Whether the rows of a group lie side by side in a thread, so that their groups can be told apart by a border.
  bool side_by_side() const { return !width || !s.lengths; }
  // Groups; where nothing is gathered, each row is one.
  long groups() const { return width ? std::min(s.batch, MOST) : s.batch; }
  void take_room(Arena& arena) { all = arena.take<T>(width ? groups() * width : 0); }
  T* of(long group) const { return all + group * width; }
  void clear(long group) const { std::memset(of(group), 0, width * sizeof(T)); }

  // A thread's share of adding up.
  void add_up(int thread) const {
    for (int gate = 0; normed() && gate < Cell::X_GATES; ++gate) {
      const long x = Cell::dz_of_x(gate) * H, h = Cell::dz_of_h(gate) * H, at = gate * H;
      add_up(thread, x, H, {from(g.db_ih, at), from(g.dshift[0], at), s.kind == RNN ? g.db_hh : nullptr});
      if (apart()) add_up(thread, h, H, {from(g.db_hh, at), from(g.dshift[1], at)});
    }
    add_up(thread, gain_x, gain_h - gain_x, {g.dgain[0]});
    add_up(thread, gain_h, gain_c - gain_h, {g.dgain[1]});
    add_up(thread, gain_c, shift_c - gain_c, {g.dgain[2]});
    add_up(thread, shift_c, peephole - shift_c, {g.dshift[2]});
    add_up(thread, peephole, width - peephole, {g.dpeephole});
  }

 private:
  long width;  // of what a group gathers

  struct Sinks {
    T* all[3];
  };
  void add_up(int thread, long first, long count, Sinks to) const {
    const long each = ceil_div(ceil_div(count, L), s.team) * L, begin = each * thread;
    if (begin >= count) return;
    by_vectors<T>(begin + each < count ? each : count - begin, [&](long v, auto n) {
      const long j = begin + v;
      Vec<T> sum{};
      for (long i = 0; i < groups(); ++i) sum += load(of(i) + first + j, n);
      for (T* sink : to.all)
        if (sink) store(sink + j, sum, n);
    });
  }
};

}  // namespace
