// The small packed matrix products of one step.
//
// Everything is made of one tile: z[r, :] = init[r, :] + sum_k a[r, k] * panel[k, :] for R rows and Q
// vectors, all of z in registers. a has any two strides: rows of a batch (k next to each other) in the time
// loop, packed columns (rows next to each other) for dW = dz^T [x h]. A panel is packed: its Q vectors of
// step k lie together. The order of the sum is k, whatever R is: a row's result does not depend on its company.
#pragma once

#include <algorithm>

#include "simd.h"
#include "walk.h"

namespace {

// Both factors of a product.
template <class T> struct Factors {
  long K;
  const T* a;
  long row, step;
  const T* panel;
};

template <class T> using Inner = void (*)(long K, const T* a, long row, long step, const T* panel, const Factors<T>* more,
                                         const T* init, long init_row, T* z, long z_row, const T* next, long lines);

constexpr int LINE = 64;                // bytes
// So many steps ahead a large panel is called into the first cache; 0: it is not. Beside the few products of a step that
// sixteen registers hold, the calls take longer than they save: with them LSTM 256 forward takes 3 % longer with AVX2.
constexpr long NEAR = MANY_REGISTERS ? 8 : 0;
constexpr long LARGE = long(32) << 10;  // bytes of a panel that does not stay there from tile to tile
constexpr long LONG = 512;              // steps of a panel that stay in the second cache meanwhile
constexpr long FAR = long(1) << 20;     // bytes of all panels that do not stay there from step to step

// The panel that follows, where it has to be called from afar: all panels together are so many numbers.
template <class T> const T* called(const T* panel, long numbers) { return numbers * long(sizeof(T)) > FAR ? panel : nullptr; }

// The most rows whose accumulators, one panel row and one broadcast fit in the registers.
constexpr int by_registers(int many, int few) { return MANY_REGISTERS ? many : few; }
constexpr int MOST_ROWS[5] = {0, by_registers(12, 8), by_registers(12, 6), by_registers(8, 4), by_registers(6, 3)};
constexpr int WIDEST = 4;  // vectors in a panel
// The most rows of a tile. Where a whole panel's are three, its halves' are four or five: what is left over of tiles of three
// has so few sums that they wait for each other; two rows take seven eighths of the time of three, one row two thirds.
constexpr int HIGHEST[5] = {0, MOST_ROWS[1], MOST_ROWS[2], MOST_ROWS[3], by_registers(6, 5)};

// acc += a panel, or WIDE / Q of one, from vector FIRST of each row on.
template <int FIRST, int WIDE, class T, int R, int Q, int Z, bool FETCH>
OST_INLINE void add_product(long K, const T* __restrict a, long row, long step, const T* __restrict panel,
                            Vec<T> (&acc)[R][Z], const T* next, long lines) {
  constexpr int L = LANES<T>, IN_LINE = LINE / int(sizeof(T));
  for (long k = 0; k < K; ++k, a += step, panel += WIDE * L) {
    // Calls come first: a question between a load and its use makes the compiler keep the load in a register, where
    // sixteen are one too few for four vectors of three rows.
    if (FETCH && k < lines) __builtin_prefetch(next + k * IN_LINE, 0, 2);
#pragma GCC unroll 4
    for (int i = 0; FETCH && NEAR && i < Q * L; i += IN_LINE) __builtin_prefetch(panel + NEAR * Q * L + i, 0, 3);
    Vec<T> b[Q];
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) b[q] = load(panel + q * L);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec<T> s = splat(a[r * row]);
#pragma GCC unroll 4
      for (int q = 0; q < Q; ++q) acc[r][FIRST + q] += s * b[q];
    }
  }
}

// A tile of Q of a panel's WIDE vectors, from number `at` on. A second product, if there is one, falls on the vectors from
// SHIFT on. `FETCH`: the panel is large, and `lines` at `next` are called into the second cache, one at each step of the first.
template <class T, int R, int Q, bool FETCH, int SHIFT, int WIDE>
OST_INLINE void tile_of(long at, long K, const T* a, long row, long step, const T* panel, const Factors<T>* more,
                        const T* init, long init_row, T* z, long z_row, const T* next, long lines) {
  constexpr int L = LANES<T>, Z = Q + SHIFT;
  Vec<T> acc[R][Z];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int q = 0; q < Z; ++q) acc[r][q] = load(init + at + r * init_row + q * L);
  add_product<0, WIDE, T, R, Q, Z, FETCH>(K, a, row, step, panel + at, acc, next, lines);
  if (SHIFT || more)
    add_product<SHIFT, WIDE, T, R, Q, Z, FETCH>(more->K, more->a, more->row, more->step, more->panel + at, acc, nullptr, 0);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int q = 0; q < Z; ++q) store(z + at + r * z_row + q * L, acc[r][q]);
}

// Out of line: with an epilogue inlined the compiler spills the accumulators. With more rows than the registers hold beside
// a whole panel, one half of its vectors comes after the other.
template <class T, int R, int Q, bool FETCH, int SHIFT>
__attribute__((noinline)) void tile(long K, const T* a, long row, long step, const T* panel, const Factors<T>* more,
                                    const T* init, long init_row, T* z, long z_row, const T* next, long lines) {
  constexpr int PART = R > MOST_ROWS[Q + SHIFT] ? Q / 2 : Q;
  for (long at = 0; at < Q * LANES<T>; at += PART * LANES<T>, lines = 0)
    tile_of<T, R, PART, FETCH, SHIFT, Q>(at, K, a, row, step, panel, more, init, init_row, z, z_row, next, lines);
}

template <class T, int Q, bool FETCH, int SHIFT = 0> Inner<T> tile_with(int R) {
  switch (R) {
#define OST_ROWS(n) \
  case n:           \
    if constexpr (n <= (SHIFT ? MOST_ROWS[Q + SHIFT] : HIGHEST[Q])) return tile<T, n, Q, FETCH, SHIFT>; else break;
    OST_ROWS(1) OST_ROWS(2) OST_ROWS(3) OST_ROWS(4) OST_ROWS(5) OST_ROWS(6)
    OST_ROWS(7) OST_ROWS(8) OST_ROWS(9) OST_ROWS(10) OST_ROWS(11) OST_ROWS(12)
#undef OST_ROWS
  }
  return nullptr;
}
template <class T, bool FETCH> Inner<T> tile_for(int R, int Q) {
  switch (Q) {
    case 1: return tile_with<T, 1, FETCH>(R);
    case 2: return tile_with<T, 2, FETCH>(R);
    case 3: return tile_with<T, 3, FETCH>(R);
    default: return tile_with<T, 4, FETCH>(R);
  }
}

// Any number of rows, in tiles of nearly equal height, at most so many rows in one, and in the last one `highest`: f(rows) for
// each. Without higher ones four rows in tiles of three are three and one: two of two have so few sums, twice.
template <class F> OST_INLINE void by_tiles(long rows, long most, long highest, const F& f) {
  for (long tiles = (rows + most - 1) / most; rows > 0; --tiles) {
    const long even = (rows + tiles - 1) / tiles, R = rows <= highest ? rows : most == 3 ? most : even;
    f(int(R)), rows -= R;
  }
}

// z[rows, panel] = init + a panel. `next`: far memory whose turn comes afterwards, so many `numbers`; or null.
template <class T>
void product(long rows, long K, const T* a, long row, long step, const T* panel, int Q, const T* init, long init_row,
             T* z, long z_row, const T* next = nullptr, long numbers = 0) {
  const long most = MOST_ROWS[Q], wide = Q * LANES<T>;
  if (K > LONG && rows > most) {
    const T* rest = panel + LONG * wide;
    product(rows, LONG, a, row, step, panel, Q, init, init_row, z, z_row, next ? rest : next, LONG * wide);
    return product(rows, K - LONG, a + LONG * step, row, step, rest, Q, z, z_row, z, z_row, next, numbers);
  }
  if (rows == 0) return;
  const bool fetch = rows > most && (next || (NEAR && K * wide * long(sizeof(T)) > LARGE));
  const long in_line = LINE / sizeof(T);
  long tiles = 0;
  if (next) by_tiles(rows, most, HIGHEST[Q], [&](int) { ++tiles; });
  const long lines = next ? numbers / in_line / tiles + 1 : 0;  // for each tile
  by_tiles(rows, most, HIGHEST[Q], [&](int R) {
    const Inner<T> run = fetch ? tile_for<T, true>(R, Q) : tile_for<T, false>(R, Q);
    run(K, a, row, step, panel, nullptr, init, init_row, z, z_row, next, lines);
    a += R * row, init += R * init_row, z += R * z_row, next += lines * in_line;
  });
}

// Likewise of two products that are added up: each fills Q vectors, the second from vector SHIFT on. Both K are at most
// LONG, and the panels need no calls from afar.
template <int SHIFT, class T>
void two_products(long rows, Factors<T> one, Factors<T> two, int Q, const T* init, T* z, long z_row) {
  constexpr int LESS = WIDEST - SHIFT;
  const long most = MOST_ROWS[Q + SHIFT];
  const bool fetch = NEAR && rows > most && std::max(one.K, two.K) * Q * VECTOR_BYTES > LARGE;
  by_tiles(rows, most, SHIFT ? most : HIGHEST[Q], [&](int R) {
    Inner<T> run;
    if constexpr (SHIFT) run = fetch ? tile_with<T, LESS, true, SHIFT>(R) : tile_with<T, LESS, false, SHIFT>(R);
    else run = fetch ? tile_for<T, true>(R, Q) : tile_for<T, false>(R, Q);
    run(one.K, one.a, one.row, one.step, one.panel, &two, init, 0L, z, z_row, nullptr, 0);
    one.a += R * one.row, two.a += R * two.row, z += R * z_row;
  });
}

// One row times two panels of Q vectors, each on top of its z. Its sums are chains, each link of which waits for the one
// before: two panels' side by side take the time of one's, until the second cache has no more to give.
template <class T, int Q>
__attribute__((noinline)) void row_by_two(const Factors<T>& one, const T* __restrict second, T* z, T* beside) {
  constexpr int L = LANES<T>;
  const T *__restrict a = one.a, *__restrict panel = one.panel;
  Vec<T> acc[2][Q];
#pragma GCC unroll 4
  for (int q = 0; q < Q; ++q) acc[0][q] = load(z + q * L), acc[1][q] = load(beside + q * L);
  for (long k = 0; k < one.K; ++k, a += one.step, panel += Q * L, second += Q * L) {
    const Vec<T> s = splat(*a);
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) acc[0][q] += s * load(panel + q * L);
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) acc[1][q] += s * load(second + q * L);
  }
#pragma GCC unroll 4
  for (int q = 0; q < Q; ++q) store(z + q * L, acc[0][q]), store(beside + q * L, acc[1][q]);
}
template <class T> void row_by_two(const Factors<T>& one, const T* second, int Q, T* z, T* beside) {
  switch (Q) {
    case 1: return row_by_two<T, 1>(one, second, z, beside);
    case 2: return row_by_two<T, 2>(one, second, z, beside);
    case 3: return row_by_two<T, 3>(one, second, z, beside);
    default: return row_by_two<T, 4>(one, second, z, beside);
  }
}

template <class T> inline long padded(long n) { return ceil_div(n, LANES<T>) * LANES<T>; }

// A row of so many numbers in whole vectors, and one more where rows would lie so that they share few places of a cache.
template <class T> inline long spread(long n) { return padded<T>(n) + (padded<T>(n) % (8 * LANES<T>) ? 0 : LANES<T>); }

// Columns cut into panels of at most WIDEST vectors; the last one is as narrow as it can be.
template <class T> struct Panels {
  long columns;
  long count() const { return ceil_div(columns, WIDEST * LANES<T>); }
  int vectors(long p) const {
    const long left = columns - p * WIDEST * LANES<T>;
    return left >= WIDEST * LANES<T> ? WIDEST : int(ceil_div(left, LANES<T>));
  }
  long start(long p) const { return p * WIDEST * LANES<T>; }
  long offset(long p, long K) const { return p * WIDEST * LANES<T> * K; }  // of panel p in the packed matrix
  long size(long K) const { return padded<T>(columns) * K; }
};

// `n` rows of K numbers become lanes: to[k * step + lane] = from[lane * row + k].
template <class T> void pack_lanes(const T* from, long row, long K, int n, T* to, long step) {
  constexpr int L = LANES<T>;
  for (long k = 0; k < K; k += L) {
    const int wide = int(K - k < L ? K - k : L);
    Vec<T> square[L];
    for (int lane = 0; lane < L; ++lane) square[lane] = lane < n ? load(from + lane * row + k, wide) : Vec<T>{};
    transpose<T>(square);
    for (int i = 0; i < wide; ++i) store(to + (k + i) * step, square[i]);
  }
}

// Row k of a matrix into its place in every panel; lanes past the last column are 0.
template <class T> void pack_row(Panels<T> panels, long K, long k, const T* row, T* packed) {
  constexpr int L = LANES<T>;
  for (long p = 0; p < panels.count(); ++p) {
    const int Q = panels.vectors(p);
    T* to = packed + panels.offset(p, K) + k * Q * L;
    for (int q = 0; q < Q; ++q) {
      const long first = panels.start(p) + q * L, left = panels.columns - first;
      store(to + q * L, load(row + first, int(left < L ? left : L)));
    }
  }
}

}  // namespace
