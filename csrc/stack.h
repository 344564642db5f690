// A stack of layers in one direction or two, forward and backward: what lies between the layers stays in C++.
//
// Row r = layer x directions + direction numbers the scans. Both directions of a layer write their halves of one
// y (batch, time, directions x output); the second reads the other way round than the first.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "choice.h"
#include "kernels.h"
#include "pool.h"
#include "simd.h"
#include "threads.h"

namespace {

// The tensors of one row and, in a backward, where their gradients go; null where absent or not asked for.
template <class T> struct Part {
  const T *W, *R, *b_ih, *b_hh, *mask;
  Options<T> options;
  Gradient<T> to;  // of its weights alone
};

inline long on_lines(long numbers) { return (numbers + 15) & ~15L; }

// How the memory that a backward needs is cut up, in numbers: what each row saved, then each lower layer's y.
struct Kept {
  long saved, between, rows, layers;  // each piece begins on a line of memory
  // From what a step of a row keeps, and the width of a layer's y.
  Kept(long steps, long width, long layers, long directions, long above)
      : saved(on_lines(steps * width)), between(on_lines(steps * above)), rows(layers * directions), layers(layers),
        last(layers > 1 ? steps * above - between : steps * width - saved) {}
  long numbers() const { return rows * saved + (layers - 1) * between + last; }

 private:
  long last;  // the last piece needs no filling
};

// As many threads as there is work for: starting one costs what about half a million multiplications do.
template <class T> int workers_for(const Scan<T>& s, int asked) {
  double steps = double(s.batch) * s.time;
  if (s.lengths) steps = double(std::accumulate(s.lengths, s.lengths + s.batch, int64_t(0)));
  const double work = steps * gates_of(s.kind) * s.hidden * (s.input + s.hidden);
  const double most = std::min({double(asked), double(MOST_THREADS), work / 4e5 + 1});
  return std::max(1, int(most));
}

template <class T> struct Stack {
  Scan<T> all;  // what the rows share: sizes, lengths, resets, the stack's own x and y; its states are row 0's
  long layers, directions;
  std::vector<Part<T>> parts;
  T* kept;  // Kept's numbers; null: no backward will follow

  long rows() const { return layers * directions; }
  long width() const { return directions * all.output; }
  Kept plan() const { return {all.batch * all.time, Saved::of(all).width(all.hidden), layers, directions, width()}; }

  void forward() const {
    const auto run = of_type<T>(chosen()).forward;
    const Block between(kept || layers == 1 ? 0 : 2 * plan().between * sizeof(T));
    for (long r = 0; r < rows(); ++r) {
      const Scan<T> s = scan(r, reinterpret_cast<T*>(between.data()));
      const Block scratch(run(s, nullptr));
      run(s, scratch.data());
    }
  }

  // `g` holds the stack's own gradients: dx below it, dy above it, row 0's of the states. Where what was kept may be
  // lost, the gates' gradients take its place: half the memory, and no fresh lines to fetch.
  void backward(const Gradient<T>& g, bool may_lose) const {
    const auto run = of_type<T>(chosen()).backward;
    const long steps = all.batch * all.time, lowest = lowest_wanted(g);
    const bool over = may_lose && may_lose_all();
    const Block dz(over ? 0 : steps * Slots::of(all).width * sizeof(T));
    const Block between(layers == 1 ? 0 : 2 * plan().between * sizeof(T));
    const Block second(directions == 1 ? 0 : steps * std::max(all.input, width()) * sizeof(T));
    for (long k = layers - 1; k >= lowest; --k) {
      T* below = k == 0 ? g.dx : k > lowest ? half(between, k - 1) : nullptr;
      for (long d = directions - 1; d >= 0; --d) {
        const Scan<T> s = scan(k * directions + d, nullptr);
        Gradient<T> own = gradient(g, k * directions + d);
        if (k + 1 < layers) own.dy = half(between, k), own.dy_step = width(), own.dy_row = all.time * width();
        if (own.dy) own.dy += d * all.output;
        own.dz = over ? nullptr : reinterpret_cast<T*>(dz.data());
        own.dx = !below || d == 0 ? below : reinterpret_cast<T*>(second.data());
        const Block scratch(run(s, own, nullptr));
        run(s, own, scratch.data());
      }
      if (below && directions == 2) add(below, reinterpret_cast<T*>(second.data()), steps * (k ? width() : all.input));
    }
  }

 private:
  T* half(const Block& block, long k) const { return reinterpret_cast<T*>(block.data()) + k % 2 * plan().between; }
  bool may_lose_all() const {
    return std::all_of(parts.begin(), parts.end(), [&](const Part<T>& part) {
      Scan<T> s = all;
      s.options = part.options;
      return Saved::may_lose(s);
    });
  }
  // h (state 0) or c of row r.
  template <class U> U* row(U* const* states, int state, long r) const {
    return states[state] ? states[state] + r * all.batch * (state == 0 ? all.output : all.hidden) : nullptr;
  }

  // Output of lower layer k: kept for the backward, or in one of two halves of scratch in turn.
  T* output(long k, T* scratch) const {
    return kept ? kept + rows() * plan().saved + k * plan().between : scratch + k % 2 * plan().between;
  }

  Scan<T> scan(long r, T* scratch) const {
    const long k = r / directions, d = r % directions;
    Scan<T> s = all;
    const Part<T>& part = parts[r];
    s.W = part.W, s.R = part.R, s.b_ih = part.b_ih, s.b_hh = part.b_hh, s.mask = part.mask, s.options = part.options;
    if (k) s.x = output(k - 1, scratch), s.input = s.x_step = width(), s.x_row = s.time * width();
    if (k + 1 < layers) s.y = output(k, scratch), s.y_step = width(), s.y_row = s.time * width();
    if (s.y) s.y += d * s.output;  // null where there are no steps
    s.reverse = all.reverse != (d == 1);
    for (int i = 0; i < 2; ++i)
      s.begin[i] = row(all.begin, i, r), s.restart[i] = row(all.restart, i, r), s.end[i] = row(all.end, i, r);
    s.saved = kept && plan().saved ? kept + r * plan().saved : nullptr;
    const int workers = workers_for(s, all.threads);
    s.threads = int(std::min<long>(workers, std::max(1L, s.batch))), s.team = workers;
    return s;
  }

  Gradient<T> gradient(const Gradient<T>& g, long r) const {
    Gradient<T> own = parts[r].to;
    own.dy = g.dy, own.dy_row = g.dy_row, own.dy_step = g.dy_step;
    for (int i = 0; i < 2; ++i)
      own.dend[i] = row(g.dend, i, r), own.dbegin[i] = row(g.dbegin, i, r), own.drestart[i] = row(g.drestart, i, r);
    return own;
  }

  // The lowest layer that a gradient is asked of: those under it are left alone.
  long lowest_wanted(const Gradient<T>& g) const {
    if (g.dx || g.dbegin[0] || g.dbegin[1] || g.drestart[0] || g.drestart[1]) return 0;
    for (long r = 0; r < rows(); ++r)
      if (parts[r].to.of_weights()) return r / directions;
    return layers;
  }
};

}  // namespace
