// A whole sequence forward: gather x, scale the state -> products into z -> pointwise, step by step.
//
// Each thread has rows of its own and meets no other inside the time loop. A panel is a few hidden units with all
// their gates: its z stays in the first cache between the two products and the activation. A thread with few rows
// would load every weight for one row alone; there the input's product is done for many steps at once, beforehand.
#pragma once

#include "gemm.h"
#include "threads.h"
#include "walk.h"

namespace {

// The weights of one product, packed by panels of units: for each step of k, the units' gates side by side.
template <class T, class Cell> struct UnitPanels {
  static constexpr int L = LANES<T>;
  long hidden;
  long vectors() const { return ceil_div(hidden, L); }
  long count() const { return ceil_div(vectors(), Cell::UNITS); }
  int units(long u) const {
    const long left = vectors() - u * Cell::UNITS;
    return int(left < Cell::UNITS ? left : Cell::UNITS);
  }
  long first(long u) const { return u * Cell::UNITS * L; }      // hidden unit
  long z_offset(long u) const { return first(u) * Cell::Z; }     // of panel u in a whole row of z
  long z_width() const { return vectors() * L * Cell::Z; }       // a whole row of z

  // Gates x hidden rows of K numbers -> panels; slot s of the panel is row block gate(s) of the weights.
  template <class Gate> void pack(const T* weights, long K, int slots, int first_slot, Gate gate, T* to) const {
    for (long u = 0; u < count(); ++u) {
      const int Q = slots * units(u);
      for (int q = 0; q < Q; ++q) {
        const long unit = first(u) + q / slots * L, left = hidden - unit;
        const T* from = weights + (gate(first_slot + q % slots) * hidden + unit) * K;
        pack_lanes(from, K, int(left < L ? left : L), to + q * L, Q * L);
      }
      to += K * Q * L;
    }
  }
  // `n` rows of K numbers become lanes: to[k * step + lane] = from[lane * K + k].
  static void pack_lanes(const T* from, long K, int n, T* to, long step) {
    for (long k = 0; k < K; k += L) {
      const int wide = int(K - k < L ? K - k : L);
      Vec<T> square[L];
      for (int lane = 0; lane < L; ++lane) square[lane] = lane < n ? load(from + lane * K + k, wide) : Vec<T>{};
      transpose<T>(square);
      for (int i = 0; i < wide; ++i) store(to + (k + i) * step, square[i]);
    }
  }
  // Both biases, summed where a slot is filled by both products, in the layout of a row of z.
  void pack_bias(const Scan<T>& s, T* to) const {
    for (long u = 0; u < count(); ++u)
      for (int v = 0; v < units(u); ++v)
        for (int slot = 0; slot < Cell::Z; ++slot)
          for (int lane = 0; lane < L; ++lane, ++to) *to = bias(s, slot, first(u) + v * L + lane);
  }
  T bias(const Scan<T>& s, int slot, long unit) const {
    T sum = 0;
    if (unit >= hidden) return sum;
    const bool by_x = slot >= Cell::X_FIRST && slot < Cell::X_FIRST + Cell::X_GATES;
    const bool by_h = slot >= Cell::H_FIRST && slot < Cell::H_FIRST + Cell::H_GATES;
    if (by_x && s.b_ih) sum += s.b_ih[Cell::x_gate(slot) * hidden + unit];
    if (by_h && s.b_hh) sum += s.b_hh[Cell::h_gate(slot) * hidden + unit];
    return sum;
  }
};

constexpr long FEW_ROWS = 5;      // up to here the input's product is done ahead of the time loop
constexpr long STEPS_AHEAD = 32;  // that many steps at a time

template <class T, class Cell> class Forward {
  static constexpr int L = LANES<T>;
  const Scan<T>& s;
  const UnitPanels<T, Cell> panels;
  const long stride;  // of a row of h, padded to whole vectors
  const T *W, *R, *bias;

  // One thread's scratch.
  struct Own {
    long* rows;
    T *h[2], *c, *seen, *x, *z;
  };

 public:
  explicit Forward(const Scan<T>& s) : s(s), panels{s.hidden}, stride(padded<T>(s.hidden)) {}

  // The weights as the products want them; `run` does it for itself where they are not packed before.
  size_t pack(char* to) {
    Arena arena{to};
    T* w = arena.take<T>(stride * Cell::X_GATES * s.input);
    T* r = arena.take<T>(stride * Cell::H_GATES * s.hidden);
    T* b = arena.take<T>(panels.z_width());
    W = w, R = r, bias = b;
    if (to && to != s.packed) {
      panels.pack(s.W, s.input, Cell::X_GATES, Cell::X_FIRST, Cell::x_gate, w);
      panels.pack(s.R, s.hidden, Cell::H_GATES, Cell::H_FIRST, Cell::h_gate, r);
      panels.pack_bias(s, b);
    }
    return arena.used;
  }

  size_t run(char* scratch) {
    Arena arena{scratch};
    char* weights = s.packed ? const_cast<char*>(s.packed) : arena.take<char>(pack(nullptr));
    Own own[MOST_THREADS];
    for (int i = 0; i < s.threads; ++i) own[i] = carve(arena);
    if (!scratch) return arena.used;
    pack(weights);
    parallel_for(s.threads, [&](int i) { walk(Walk<T>(s, i, own[i].rows), own[i]); });
    return arena.used;
  }

 private:
  long most_rows() const { return ceil_div(s.batch, s.threads); }
  long ahead() const { return s.time < STEPS_AHEAD ? s.time : STEPS_AHEAD; }
  bool few() const { return most_rows() <= FEW_ROWS; }

  Own carve(Arena& arena) const {
    const long n = most_rows(), all = n * stride;
    Own o;
    o.rows = arena.take<long>(n);
    o.h[0] = arena.take<T>(all), o.h[1] = arena.take<T>(all);
    o.c = arena.take<T>(Cell::STATES > 1 ? all : 0);
    o.seen = arena.take<T>(s.mask ? all : 0);
    o.x = arena.take<T>(s.lengths ? n * s.input : 0);
    o.z = arena.take<T>(few() ? n * ahead() * panels.z_width() : n * Cell::Z * Cell::UNITS * L);
    return o;
  }

  void walk(Walk<T> rows, Own& o) const {
    const long H = s.hidden, longest = rows.longest();
    for (long r = 0; r < rows.count; ++r) {
      const long b = rows.rows[r];
      copy_padded(o.h[0] + r * stride, at(s.begin[0], b), H, stride);
      if (Cell::STATES > 1) copy_padded(o.c + r * stride, at(s.begin[1], b), H, stride);
      if (s.steps(b) == 0) leave(rows, o, r);
      for (long p = s.steps(b); p < s.time; ++p) std::memset(s.y + b * s.y_row + p * s.y_step, 0, H * sizeof(T));
    }
    long live = rows.count;
    for (long t = 0; t < longest; ++t) {
      live = rows.live(t, live);
      if (few() && t % ahead() == 0) input_ahead(rows, o, t, live);
      step(rows, o, t, live);
    }
  }

  const T* at(const T* state, long b) const { return state ? state + b * s.hidden : nullptr; }

  // The input's product of the steps to come, one row of the batch at a time: its steps are the tile's rows.
  void input_ahead(const Walk<T>& rows, const Own& o, long t, long live) const {
    const long width = panels.z_width();
    for (long r = 0; r < live; ++r) {
      const long b = rows.rows[r], left = s.steps(b) - t, n = left < ahead() ? left : ahead();
      const T* x = s.x + b * s.x_row + rows.place(r, t) * s.x_step;
      T* z = o.z + r * ahead() * width;
      for (long i = 0; i < n; ++i) std::memcpy(z + i * width, bias, width * sizeof(T));
      const T* w = W;
      for (long u = 0; u < panels.count(); ++u) {
        const int Q = Cell::X_GATES * panels.units(u);
        T* to = z + panels.z_offset(u) + Cell::X_FIRST * L;
        product(n, s.input, x, s.reverse ? -s.x_step : s.x_step, 1L, w, Q, to, width, to, width);
        w += s.input * Q * L;
      }
    }
  }

  void step(const Walk<T>& rows, Own& o, long t, long live) const {
    const long width = panels.z_width(), full = Cell::Z * Cell::UNITS * L;
    scale(rows, o, t, live);
    const T* seen = s.mask ? o.seen : o.h[0];
    long x_row = s.input;
    const T* x = few() ? nullptr : gather(rows, o, t, live, x_row);
    const T *w = W, *m = R;
    for (long u = 0; u < panels.count(); ++u) {
      const int units = panels.units(u), qx = Cell::X_GATES * units, qh = Cell::H_GATES * units;
      T* z = few() ? o.z + t % ahead() * width + panels.z_offset(u) : o.z;
      const long z_row = few() ? ahead() * width : full;
      if (!few()) {
        const T* b = bias + panels.z_offset(u);
        for (long r = 0; Cell::Z > Cell::X_GATES && r < live; ++r)  // slots that the input does not fill
          store(z + r * z_row + Cell::X_GATES * L, load(b + Cell::X_GATES * L));
        product(live, s.input, x, x_row, 1L, w, qx, b, 0L, z, z_row);
      }
      T* zh = z + Cell::H_FIRST * L;
      product(live, s.hidden, seen, stride, 1L, m, qh, zh, z_row, zh, z_row);
      w += s.input * qx * L, m += s.hidden * qh * L;
      for (long r = 0; r < live; ++r) pointwise(rows, o, t, r, u, z + r * z_row);
    }
    T* old = o.h[0];
    o.h[0] = o.h[1], o.h[1] = old;
    for (long r = 0; r < live; ++r)
      if (s.steps(rows.rows[r]) == t + 1) leave(rows, o, r);
  }

  // The scale of the state: a restart puts another one in its place, the mask is for the product alone.
  void scale(const Walk<T>& rows, const Own& o, long t, long live) const {
    for (long r = 0; s.resets && r < live; ++r) {
      if (!rows.restarts(r, t)) continue;
      copy_padded(o.h[0] + r * stride, at(s.restart[0], rows.rows[r]), s.hidden, stride);
      if (Cell::STATES > 1) copy_padded(o.c + r * stride, at(s.restart[1], rows.rows[r]), s.hidden, stride);
    }
    for (long r = 0; s.mask && r < live; ++r) {
      const T *m = s.mask + rows.rows[r] * s.hidden, *h = o.h[0] + r * stride;
      for (long j = 0; j < s.hidden; ++j) o.seen[r * stride + j] = m[j] * h[j];
    }
  }

  // x of the live rows: in place where they are evenly spaced, else side by side in scratch.
  const T* gather(const Walk<T>& rows, const Own& o, long t, long live, long& x_row) const {
    if (!s.lengths) {
      x_row = s.x_row;
      return s.x + rows.rows[0] * s.x_row + rows.place(0, t) * s.x_step;
    }
    for (long r = 0; r < live; ++r)
      std::memcpy(o.x + r * s.input, s.x + rows.rows[r] * s.x_row + rows.place(r, t) * s.x_step, s.input * sizeof(T));
    return o.x;
  }

  void pointwise(const Walk<T>& rows, const Own& o, long t, long r, long u, const T* z) const {
    const long b = rows.rows[r], p = rows.place(r, t);
    T* y = s.y + b * s.y_row + p * s.y_step;
    T* saved = s.saved ? s.saved + (b * s.time + p) * Cell::SAVED * s.hidden : nullptr;
    const long first = panels.first(u), left = s.hidden - first, most = Cell::UNITS * L;
    by_vectors<T>(left < most ? left : most, [&](long v, auto n) {
      const long j = first + v, i = r * stride + j;
      const Vec<T> h = Cell::forward(s, z + v * Cell::Z, load(o.h[0] + i), Cell::STATES > 1 ? o.c + i : nullptr,
                                     saved ? saved + j : nullptr, n);
      store(o.h[1] + i, h);
      store(y + j, h, n);
    });
  }

  // Row r has taken its last step: its state is the answer.
  void leave(const Walk<T>& rows, const Own& o, long r) const {
    const long b = rows.rows[r];
    if (s.end[0]) std::memcpy(s.end[0] + b * s.hidden, o.h[0] + r * stride, s.hidden * sizeof(T));
    if (Cell::STATES > 1 && s.end[1])
      std::memcpy(s.end[1] + b * s.hidden, o.c + r * stride, s.hidden * sizeof(T));
  }
};

}  // namespace
