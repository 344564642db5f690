// out = bias + a b, for layers that see all steps at once: heads, convolutions. Each sum runs over k in its own order,
// whatever the threads, which a BLAS does not promise: it may share out a long sum where the result is small.
//
// Threads share the columns of the result, or its rows where those are many more. Some k at a time, b is packed into
// panels; an a that lies turned round is packed too, some rows at a time.
#pragma once

#include "factor.h"
#include "threads.h"
#include "walk.h"

namespace {

template <class T> class Multiply {
  static constexpr int L = LANES<T>;
  // k, and rows of one block, and blocks at a time: a panel stays in the first cache, the blocks in the second.
  static constexpr long MOST = 256, TALL = 96, BLOCKS = 6;
  const Product<T>& p;
  const Panels<T> panels;
  const bool by_rows;
  const Packing<T> packing;  // of the first k
  T* bias = nullptr;

  struct Share {
    long row, rows, panel, panels;  // from this one to before that one
  };
  struct Own {  // one thread's scratch
    T *a, *b, *edge;
    T *balance, *units;  // of tiles: the block's, and those of a's rows
    Tile* tiles;         // their digits
  };

 public:
  explicit Multiply(const Product<T>& p)
      : p(p), panels{p.columns}, by_rows(p.rows > TALL && p.rows > p.columns),
        packing(deep(p.inner), p.rows) {}

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
  static long deep(long inner) { return inner < MOST ? inner : MOST; }

  Share share(int i) const {
    const long all = by_rows ? p.rows : panels.count(), from = all * i / p.threads, to = all * (i + 1) / p.threads;
    return by_rows ? Share{from, to, 0, panels.count()} : Share{0, p.rows, from, to};
  }

  Own carve(Arena& arena, Share s) const {
    const long vectors = (s.panels - s.panel) * WIDEST;
    const long rows = std::min(BLOCKS, ceil_div(s.rows - s.row, TALL)) * TALL, split = packing.tiled ? rows : 0;
    return {arena.take<T>(turned() && !packing.tiled ? rows * packing.K : 0), arena.take<T>(vectors * packing.each()),
            arena.take<T>(TALL * WIDEST * L), arena.take<T>(packing.balanced()), arena.take<T>(split),
            arena.take<Tile>(tiles_of(split) * fours_of(packing.K) * DIGITS)};
  }

  void work(Share s, const Own& o) const {
    TileShapes shapes;
    long k = 0;
    do {  // once also where there is nothing to sum: the result is the bias
      Packing<T> part = packing.of(deep(p.inner - k));
      part.balance = o.balance;
      balance(part, k);
      for (long u = s.panel; u < s.panels; ++u) pack_panel(part, u, k, panel_of(part, o, s, u));
      for (long first = s.row; first < s.rows; first += BLOCKS * TALL) {
        const long end = std::min(s.rows, first + BLOCKS * TALL);
        by_blocks(first, end, [&](long r, long rows, long at) { take_rows(part, o, r, rows, at, k); });
        for (long u = s.panel; u < s.panels; ++u)
          by_blocks(first, end, [&](long r, long rows, long at) {
            block(part, o, r, rows, at, k, u, panel_of(part, o, s, u), shapes);
          });
      }
      k += part.K;
    } while (k < p.inner);
  }

  // f(first row, rows, rows before it) for each block.
  template <class F> static void by_blocks(long first, long end, const F& f) {
    for (long r = first; r < end; r += TALL) f(r, std::min(TALL, end - r), r - first);
  }

  T* panel_of(const Packing<T>& part, const Own& o, Share s, long u) const {
    return o.b + (u - s.panel) * WIDEST * part.each();
  }

  // Of all columns, whichever are this thread's: its share must not change a bit.
  void balance(const Packing<T>& part, long k) const {
    const T* from = p.b + k * p.b_step;
    if (p.b_column == 1) part.balance_rows_of(from, p.b_step, p.columns, 0, 1);
    else part.balance_lanes_of(from, p.b_column, p.columns, 0, 1);
  }

  void pack_panel(const Packing<T>& part, long u, long k, T* to) const {
    const int Q = panels.vectors(u);
    const T* from = p.b + panels.start(u) * p.b_column + k * p.b_step;
    for (int q = 0; q < Q; ++q, from += L * p.b_column) {
      if (p.b_column == 1) part.rows(from, p.b_step, lanes_of(u, q), to, q, Q);
      else part.lanes(from, p.b_column, lanes_of(u, q), to, q, Q);
    }
  }

  // Where a block's rows lie, split, `at` rows after the first of all.
  Tile* tiles_at(const Packing<T>& part, const Own& o, long at) const {
    return o.tiles + at / TILE * fours_of(part.K) * DIGITS;
  }

  // A block of a, as the products want it: split, or turned; else it is read in place.
  void take_rows(const Packing<T>& part, const Own& o, long row, long rows, long at, long k) const {
    const T* a = p.a + row * p.a_row + k * p.a_step;
    if constexpr (TILES<T>) {
      if (part.tiled) {
        const int height = height_of(rows);
        for (long r = 0; r < rows; r += height) {
          Tile* to = tiles_at(part, o, at) + r / height * fours_of(part.K) * DIGITS;
          T* units = o.units + at + r;
          const int there = int(std::min<long>(height, rows - r));
          if (turned()) digits_of_columns(a + r, p.a_step, there, part.balance, part.K, to, units);
          for (int i = 0; !turned() && i < there; ++i)
            units[i] = digits_of_row(a + (r + i) * p.a_row, part.balance, part.K, to, i);
        }
        return;
      }
    }
    for (long i = 0; turned() && i < part.K; ++i) copy(o.a + at * part.K + i * TALL, a + i * p.a_step, rows);
  }

  int lanes_of(long u, int q) const {
    const long left = p.columns - panels.start(u) - q * L;
    return int(left < L ? left : L);
  }

  // Some rows of one panel's columns, on top of what is there. A last panel's vectors reach past the end of a row: such
  // sums are made beside.
  void block(const Packing<T>& part, const Own& o, long row, long rows, long at, long k, long u, const T* panel,
             TileShapes& shapes) const {
    const int Q = panels.vectors(u), last = lanes_of(u, Q - 1);
    const long wide = Q * L;
    T* out = p.out + row * p.out_row + panels.start(u);
    const T* init = k == 0 ? bias + panels.start(u) : out;
    const long init_row = k == 0 ? 0 : p.out_row;
    const auto times = [&](const T* init, long init_row, T* z, long z_row) {
      const T* a = turned() && !part.tiled ? o.a + at * part.K : p.a + row * p.a_row + k * p.a_step;
      if constexpr (TILES<T>) {
        if (part.tiled) {
          const Tile* b = reinterpret_cast<const Tile*>(panel);
          shapes.use(rows);
          product_of_digits(rows, part.K, tiles_at(part, o, at), o.units + at, b, Q, init, init_row, z, z_row, false);
          for (long r = 0; r < rows; ++r)
            if (o.units[at + r] == 0) add_row(part.K, a + r * p.a_row, p.a_step, part.balance, b, Q, z + r * z_row);
          return;
        }
      }
      product(rows, part.K, a, turned() ? 1 : p.a_row, turned() ? TALL : 1, panel, Q, init, init_row, z, z_row);
    };
    if (last == L) return times(init, init_row, out, p.out_row);
    for (long r = 0; r < rows; ++r) move(o.edge + r * wide, init + r * init_row, Q, last, L);
    times(o.edge, wide, o.edge, wide);
    for (long r = 0; r < rows; ++r) move(out + r * p.out_row, o.edge + r * wide, Q, last, last);
  }
  // Q vectors; of the last one `there` lanes are read and `written` written.
  static void move(T* to, const T* from, int Q, int there, int written) {
    for (int q = 0; q + 1 < Q; ++q) store(to + q * L, load(from + q * L));
    store(to + (Q - 1) * L, load(from + (Q - 1) * L, there), written);
  }
};

}  // namespace
