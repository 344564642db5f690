// out = bias + a b, for layers that see all steps at once: heads, convolutions. Each sum runs over k in its own order,
// whatever the threads, which a BLAS does not promise: it may share out a long sum where the result is small.
//
// Threads share the columns of the result, or its rows where those are many more. Some k at a time, b is packed into
// panels; an a that lies turned round is packed too, some rows at a time.
#pragma once

#include "gemm.h"
#include "threads.h"
#include "walk.h"

namespace {

template <class T> class Multiply {
  static constexpr int L = LANES<T>;
  // k, and rows of one block, and blocks at a time: a panel stays in the first cache, the blocks in the second.
  static constexpr long DEEP = 256, TALL = 96, BLOCKS = 6;
  const Product<T>& p;
  const Panels<T> panels;
  const bool by_rows;
  T* bias = nullptr;

  struct Share {
    long row, rows, panel, panels;  // from this one to before that one
  };
  struct Own {  // one thread's scratch
    T *a, *b, *edge;
  };

 public:
  explicit Multiply(const Product<T>& p)
      : p(p), panels{p.columns}, by_rows(p.rows > TALL && p.rows > p.columns) {}

  size_t run(char* scratch) {
    Arena arena{scratch};
    bias = arena.take<T>(padded<T>(p.columns));
    Own own[MOST_THREADS];
    for (int i = 0; i < p.threads; ++i) own[i] = carve(arena, share(i));
    if (!scratch) return arena.used;
    for (long c = 0; c < padded<T>(p.columns); ++c) bias[c] = p.bias && c < p.columns ? p.bias[c] : T(0);
    parallel_for(p.threads, [&](int i) { work(share(i), own[i]); });
    return arena.used;
  }

 private:
  bool turned() const { return p.a_step != 1; }
  static long deep(long inner) { return inner < DEEP ? inner : DEEP; }

  Share share(int i) const {
    const long all = by_rows ? p.rows : panels.count(), from = all * i / p.threads, to = all * (i + 1) / p.threads;
    return by_rows ? Share{from, to, 0, panels.count()} : Share{0, p.rows, from, to};
  }

  Own carve(Arena& arena, Share s) const {
    const long most = deep(p.inner), wide = (s.panels - s.panel) * WIDEST * L;
    const long blocks = std::min(BLOCKS, ceil_div(s.rows - s.row, TALL));
    return {arena.take<T>(turned() ? blocks * TALL * most : 0), arena.take<T>(wide * most), arena.take<T>(TALL * WIDEST * L)};
  }

  void work(Share s, const Own& o) const {
    long k = 0;
    do {  // once also where there is nothing to sum: the result is the bias
      const long n = deep(p.inner - k);
      for (long u = s.panel; u < s.panels; ++u) pack_panel(u, k, n, panel_of(o, s, u, n));
      for (long first = s.row; first < s.rows; first += BLOCKS * TALL) {
        const long end = std::min(s.rows, first + BLOCKS * TALL);
        by_blocks(first, end, [&](long r, long rows, long at) {
          for (long i = 0; turned() && i < n; ++i)
            copy(o.a + at * n + i * TALL, p.a + r * p.a_row + (k + i) * p.a_step, rows);
        });
        for (long u = s.panel; u < s.panels; ++u)
          by_blocks(first, end, [&](long r, long rows, long at) {
            const T* a = turned() ? o.a + at * n : p.a + r * p.a_row + k;
            block(a, r, rows, u, panel_of(o, s, u, n), k == 0, n, o.edge);
          });
      }
      k += n;
    } while (k < p.inner);
  }

  // f(first row, rows, rows before it) for each block.
  template <class F> static void by_blocks(long first, long end, const F& f) {
    for (long r = first; r < end; r += TALL) f(r, std::min(TALL, end - r), r - first);
  }

  T* panel_of(const Own& o, Share s, long u, long n) const { return o.b + (u - s.panel) * WIDEST * L * n; }

  void pack_panel(long u, long k, long n, T* to) const {
    const int Q = panels.vectors(u);
    const T* from = p.b + panels.start(u) * p.b_column + k * p.b_step;
    for (int q = 0; q < Q; ++q, from += L * p.b_column) {
      const int lanes = lanes_of(u, q);
      if (p.b_column == 1)
        for (long i = 0; i < n; ++i) store(to + (i * Q + q) * L, load(from + i * p.b_step, lanes));
      else
        pack_lanes(from, p.b_column, n, lanes, to + q * L, Q * L);
    }
  }
  int lanes_of(long u, int q) const {
    const long left = p.columns - panels.start(u) - q * L;
    return int(left < L ? left : L);
  }

  // Some rows of one panel's columns, on top of what is there. A last panel's vectors reach past the end of a row: its
  // sums are made beside.
  void block(const T* a, long row, long rows, long u, const T* panel, bool first, long n, T* edge) const {
    const int Q = panels.vectors(u), last = lanes_of(u, Q - 1);
    const long a_row = turned() ? 1 : p.a_row, a_step = turned() ? TALL : 1, wide = Q * L;
    T* out = p.out + row * p.out_row + panels.start(u);
    const T* init = first ? bias + panels.start(u) : out;
    const long init_row = first ? 0 : p.out_row;
    if (last == L) return product(rows, n, a, a_row, a_step, panel, Q, init, init_row, out, p.out_row);
    for (long r = 0; r < rows; ++r) move(edge + r * wide, init + r * init_row, Q, last, L);
    product(rows, n, a, a_row, a_step, panel, Q, edge, wide, edge, wide);
    for (long r = 0; r < rows; ++r) move(out + r * p.out_row, edge + r * wide, Q, last, last);
  }
  // Q vectors; of the last one `there` lanes are read and `written` written.
  static void move(T* to, const T* from, int Q, int there, int written) {
    for (int q = 0; q + 1 < Q; ++q) store(to + q * L, load(from + q * L));
    store(to + (Q - 1) * L, load(from + (Q - 1) * L, there), written);
  }
};

}  // namespace
