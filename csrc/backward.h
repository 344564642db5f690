// A whole sequence backward through time, in two rounds.
//
// Round one, each thread on its own rows, from the last step to the first: pointwise gives dz, one product gives
// dh = dz R of the step before. Round two, over all steps at once: dW and dR are one product dz^T [x h],
// the biases' gradients its plain sums, dx = dz W. Its sums run over the steps in an order that does not depend on the threads.
#pragma once

#include "gemm.h"
#include "threads.h"
#include "walk.h"

namespace {

// Steps that lie evenly in memory, counted over the whole (batch, time): round two works run by run.
struct Run {
  long first, count;
};

constexpr long CHUNK = 128;       // steps in a run: its operand stays in the second cache
constexpr long PACKING_PAYS = 64;  // from so many columns of the operand on, dz is packed first

template <class T, class Cell> class Backward {
  static constexpr int L = LANES<T>;
  const Scan<T>& s;
  const Gradient<T>& g;
  const long stride, H, D;
  const Panels<T> h_panels, x_panels;
  T *R, *W, *zero;

  struct Own {
    long* rows;
    T *dh, *dc, *direct, *dz;      // round one
    T *columns, *line, *operand, *sums, *out;  // round two
  };

 public:
  Backward(const Scan<T>& s, const Gradient<T>& g)
      : s(s), g(g), stride(padded<T>(s.hidden)), H(s.hidden), D(s.input), h_panels{s.hidden}, x_panels{s.input} {}

  size_t run(char* scratch) {
    Arena arena{scratch};
    R = arena.take<T>(h_panels.size(Cell::H_GATES * H));
    W = arena.take<T>(g.dx ? x_panels.size(Cell::X_GATES * H) : 0);
    zero = arena.take<T>(stride + WIDEST * L);
    Own own[MOST_THREADS];
    for (int i = 0; i < s.threads; ++i) own[i] = carve(arena);
    if (!scratch) return arena.used;
    std::memset(zero, 0, (stride + WIDEST * L) * sizeof(T));
    for (long k = 0; k < Cell::H_GATES * H; ++k) pack_row(h_panels, Cell::H_GATES * H, k, s.R + k * H, R);
    for (long k = 0; g.dx && k < Cell::X_GATES * H; ++k) pack_row(x_panels, Cell::X_GATES * H, k, s.W + k * D, W);
    parallel_for(s.threads, [&](int i) { through_time(Walk<T>(s, i, own[i].rows), own[i]); });
    parallel_for(s.threads, [&](int i) { over_all_steps(i, own[i]); });
    return arena.used;
  }

 private:
  long most_rows() const { return ceil_div(s.batch, s.threads); }

  Own carve(Arena& arena) const {
    const long all = most_rows() * stride;
    Own o;
    o.rows = arena.take<long>(most_rows());
    o.dh = arena.take<T>(all), o.dc = arena.take<T>(Cell::STATES > 1 ? all : 0);
    o.direct = arena.take<T>(s.mask ? all : 0);
    o.dz = arena.take<T>(most_rows() * Cell::H_GATES * H + L);
    o.columns = arena.take<T>(CHUNK * TALL + L);
    o.line = arena.take<T>(padded<T>(D + H));
    o.operand = arena.take<T>(CHUNK * padded<T>(D + H));
    o.sums = arena.take<T>(share() * padded<T>(D + H));
    o.out = arena.take<T>(CHUNK * WIDEST * L);
    return o;
  }

  // Round one ---------------------------------------------------------------------------------------

  void through_time(Walk<T> rows, const Own& o) const {
    for (long r = 0; r < rows.count; ++r) {
      const long b = rows.rows[r];
      copy_padded(o.dh + r * stride, g.dend[0] ? g.dend[0] + b * H : nullptr, H, stride);
      if (Cell::STATES > 1) copy_padded(o.dc + r * stride, g.dend[1] ? g.dend[1] + b * H : nullptr, H, stride);
      for (int k = 0; k < Cell::STATES; ++k)
        if (g.drestart[k]) std::memset(g.drestart[k] + b * H, 0, H * sizeof(T));
    }
    long live = 0;
    for (long t = rows.longest() - 1; t >= 0; --t) {
      live = rows.live(t, live);
      for (long r = 0; r < live; ++r) pointwise(rows, o, t, r);
      to_step_before(rows, o, t, live);
    }
    for (long r = 0; r < rows.count; ++r) {
      const long b = rows.rows[r];
      if (g.dbegin[0]) std::memcpy(g.dbegin[0] + b * H, o.dh + r * stride, H * sizeof(T));
      if (Cell::STATES > 1 && g.dbegin[1]) std::memcpy(g.dbegin[1] + b * H, o.dc + r * stride, H * sizeof(T));
    }
  }

  // h or c that row b's step at `place` began from: another step's, the first state's, or a restart's.
  const T* before(int state, long b, long t, long place, bool restarted) const {
    const T* from = restarted ? s.restart[state] : s.begin[state];
    if (restarted || t == 0) return from ? from + b * H : zero;
    const long p = s.reverse ? place + 1 : place - 1;
    return state == 0 ? s.y + b * s.y_row + p * s.y_step : s.saved + ((b * s.time + p) * Cell::SAVED + 4) * H;
  }

  void pointwise(const Walk<T>& rows, const Own& o, long t, long r) const {
    const long b = rows.rows[r], p = rows.place(r, t), at = b * s.time + p;
    const bool again = rows.restarts(r, t);
    const T *y = s.y + b * s.y_row + p * s.y_step, *dy = g.dy ? g.dy + b * g.dy_row + p * g.dy_step : nullptr;
    const T *h0 = before(0, b, t, p, again), *c0 = Cell::STATES > 1 ? before(1, b, t, p, again) : zero;
    const T* saved = s.saved + at * Cell::SAVED * H;
    T *dz = g.dz + at * Cell::DZ * H, *near = o.dz + r * Cell::H_GATES * H;
    T *dh = o.dh + r * stride, *dc = Cell::STATES > 1 ? o.dc + r * stride : nullptr;
    T* passed = s.mask ? o.direct + r * stride : dh;
    by_vectors<T>(H, [&](long j, auto n) {
      const Vec<T> sum = dy ? load(dh + j) + load(dy + j, n) : load(dh + j);
      const auto back = Cell::backward(s, saved + j, n, load(y + j, n), load(h0 + j, n), load(c0 + j, n), sum,
                                       dc ? load(dc + j) : Vec<T>{});
      for (int k = 0; k < Cell::DZ; ++k) store(dz + k * H + j, back.dz[k], n);
      for (int k = 0; k < Cell::H_GATES; ++k) store(near + k * H + j, back.dz[k], n);
      store(passed + j, back.dh);
      if (dc) store(dc + j, back.dc);
    });
  }

  // dh of the step before: what passed by the product, and dz R. With a mask the product saw mask * h.
  void to_step_before(const Walk<T>& rows, const Own& o, long t, long live) const {
    const long K = Cell::H_GATES * H;
    if (s.mask) std::memset(o.dh, 0, live * stride * sizeof(T));
    for (long p = 0; p < h_panels.count(); ++p) {
      T* dh = o.dh + h_panels.start(p);
      product(live, K, o.dz, K, 1L, R + h_panels.offset(p, K), h_panels.vectors(p), dh, stride, dh, stride);
    }
    for (long r = 0; r < live; ++r) {
      T* dh = o.dh + r * stride;
      const long b = rows.rows[r];
      for (long j = 0; s.mask && j < H; ++j) dh[j] = o.direct[r * stride + j] + s.mask[b * H + j] * dh[j];
      if (!rows.restarts(r, t)) continue;
      give(g.drestart[0], b, dh);
      if (Cell::STATES > 1) give(g.drestart[1], b, o.dc + r * stride);
    }
  }

  // The step began anew: its gradient belongs to the state it began from.
  void give(T* restart, long b, T* gradient) const {
    for (long j = 0; j < H; ++j) {
      if (restart) restart[b * H + j] += gradient[j];
      gradient[j] = T(0);
    }
  }

  // Round two ---------------------------------------------------------------------------------------

  static constexpr long TALL = MOST_ROWS[WIDEST];

  // A product dz^T [x h], or with x or h alone, and where its columns go; the biases take dz's plain sums.
  struct Outer {
    long columns, split, jump;  // row m of the weights' gradient is column m of dz, from `split` on m + jump
    bool x, h;
    T *dW, *dR, *bias[2];
    long width(long D, long H) const { return (x ? D : 0) + (h ? H : 0); }
    long column(long m) const { return m < split ? m : m + jump; }
  };

  void over_all_steps(int thread, const Own& o) const {
    if constexpr (Cell::DZ > Cell::X_GATES) {  // the GRU's n sees x and h through different columns
      outer(thread, o, {3 * H, 2 * H, H, true, false, g.dW, nullptr, {g.db_ih, nullptr}});
      outer(thread, o, {3 * H, 3 * H, 0, false, true, nullptr, g.dR, {g.db_hh, nullptr}});
    } else {
      const long all = Cell::X_GATES * H;
      outer(thread, o, {all, all, 0, true, true, g.dW, g.dR, {g.db_ih, g.db_hh}});
    }
    if (g.dx) input_gradient(thread, o);
  }

  // The run after this one; false at the end. Without lengths runs go on over the rows' ends.
  bool next(Run& run) const {
    long n = run.first + run.count, end = s.batch * s.time;
    if (s.lengths) {
      for (; n < end && n % s.time >= s.steps(n / s.time); n = (n / s.time + 1) * s.time) {}
      if (n < end) end = n / s.time * s.time + s.steps(n / s.time);
    }
    run = {n, end - n < CHUNK ? end - n : CHUNK};
    return run.count > 0;
  }

  // Rows of the weights' gradient that one thread makes.
  long share() const { return ceil_div(ceil_div(gates() * H, s.threads), TALL) * TALL; }
  static constexpr long gates() { return Cell::X_GATES > Cell::H_GATES ? Cell::X_GATES : Cell::H_GATES; }

  void outer(int thread, const Own& o, const Outer& job) const {
    const long first = share() * thread, last = first + share() < job.columns ? first + share() : job.columns;
    if (first >= last) return;
    const Panels<T> panels{job.width(D, H)};
    std::memset(o.sums, 0, panels.size(share()) * sizeof(T));
    for (Run run{0, 0}; next(run);) {
      for (long k = 0; k < run.count; ++k) pack_row(panels, run.count, k, operand(job, run.first + k, o.line), o.operand);
      for (long m = first; m < last;) {
        const long stop = m < job.split && job.split < last ? job.split : last;
        const int rows = int(stop - m < TALL ? stop - m : TALL);
        add(o, job, panels, run, m, m - first, rows);
        m += rows;
      }
    }
    for (long m = first; m < last; ++m) hand_out(o, job, panels, m, m - first);
    if (job.bias[0] || job.bias[1]) add_up(job, first, last);
  }

  // [x h] of step n of (batch, time), side by side.
  const T* operand(const Outer& job, long n, T* line) const {
    const long b = n / s.time, p = n % s.time, t = place(s, b, p);
    T* to = line;
    if (job.x) std::memcpy(to, s.x + b * s.x_row + p * s.x_step, D * sizeof(T)), to += D;
    if (job.h) {
      const T* h = before(0, b, t, p, restarts(s, b, t));
      std::memcpy(to, h, H * sizeof(T));
      for (long j = 0; s.mask && j < H; ++j) to[j] *= s.mask[b * H + j];
    }
    return line;
  }

  // Columns m.. of dz over one run, times the operand, on top of the sums.
  void add(const Own& o, const Outer& job, Panels<T> panels, const Run& run, long m, long at, int rows) const {
    const long across = Cell::DZ * H;
    const T* a = g.dz + run.first * across + job.column(m);
    long step = across;
    if (panels.columns >= PACKING_PAYS) {
      for (long k = 0; k < run.count; ++k) copy_few(o.columns + k * TALL, a + k * across, rows);
      a = o.columns, step = TALL;
    }
    for (long p = 0; p < panels.count(); ++p) {
      const int Q = panels.vectors(p);
      T* z = o.sums + panels.offset(p, share()) + at * Q * L;
      product(rows, run.count, a, 1L, step, o.operand + panels.offset(p, run.count), Q, z, Q * L, z, Q * L);
    }
  }

  // At most TALL numbers; where a vector holds them it is written whole, and the next row over its end.
  static void copy_few(T* to, const T* from, int n) {
    if constexpr (L >= TALL) store(to, load(from, n));
    else for (int r = 0; r < n; ++r) to[r] = from[r];
  }

  void hand_out(const Own& o, const Outer& job, Panels<T> panels, long m, long at) const {
    for (long p = 0; p < panels.count(); ++p) {
      const long wide = panels.vectors(p) * L;
      std::memcpy(o.line + panels.start(p), o.sums + panels.offset(p, share()) + at * wide, wide * sizeof(T));
    }
    const T* from = o.line;
    if (job.x) {
      if (job.dW) std::memcpy(job.dW + m * D, from, D * sizeof(T));
      from += D;
    }
    if (job.h) {
      if (job.dR) std::memcpy(job.dR + m * H, from, H * sizeof(T));
    }
  }

  // The biases' gradient: dz summed over all steps, a vector of columns at a time.
  void add_up(const Outer& job, long first, long last) const {
    for (long m = first; m < last;) {
      const long stop = m < job.split && job.split < last ? job.split : last;
      const int n = int(stop - m < L ? stop - m : L);
      const T* from = g.dz + job.column(m);
      Vec<T> sum{};
      for (Run run{0, 0}; next(run);)
        for (long k = 0; k < run.count; ++k) sum += load(from + (run.first + k) * Cell::DZ * H, n);
      for (T* bias : job.bias)
        if (bias) store(bias + m, sum, n);
      m += n;
    }
  }

  // dx = dz W, run by run; the runs are dealt to the threads in turn.
  void input_gradient(int thread, const Own& o) const {
    for (long b = thread; s.lengths && b < s.batch; b += s.threads)
      std::memset(g.dx + (b * s.time + s.steps(b)) * D, 0, (s.time - s.steps(b)) * D * sizeof(T));
    long turn = 0;
    for (Run run{0, 0}; next(run); ++turn)
      if (turn % s.threads == thread) input_gradient(run, o);
  }

  void input_gradient(const Run& run, const Own& o) const {
    const long K = Cell::X_GATES * H, across = Cell::DZ * H;
    const long K0 = Cell::DZ > Cell::X_GATES ? K - H : K;  // the GRU's n lies one slot further
    const T* dz = g.dz + run.first * across;
    for (long p = 0; p < x_panels.count(); ++p) {
      const int Q = x_panels.vectors(p);
      const long j = x_panels.start(p), wide = D - j < Q * L ? D - j : Q * L;
      const T* w = W + x_panels.offset(p, K);
      T* to = g.dx + run.first * D + j;
      T* z = wide == Q * L ? to : o.out;  // a panel that ends in mid-vector goes by way of scratch
      const long z_row = wide == Q * L ? D : Q * L;
      product(run.count, K0, dz, across, 1L, w, Q, zero, 0L, z, z_row);
      if (K0 < K) product(run.count, H, dz + 3 * H, across, 1L, w + K0 * Q * L, Q, z, z_row, z, z_row);
      for (long i = 0; z == o.out && i < run.count; ++i) std::memcpy(to + i * D, z + i * z_row, wide * sizeof(T));
    }
  }
};

}  // namespace
