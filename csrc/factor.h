// The two factors of a product: rows on the left, a packed panel on the right; multiplied in vectors, or in tiles where
// the machine has them.
#pragma once

#include "digits.h"
#include "gemm.h"
#include "walk.h"

namespace {

// Which of the two a right factor with K rows is packed for. It hangs on the sizes of the whole call alone: a thread's
// share of the rows must not change a bit.
template <class T> struct Packing {
  static constexpr int L = LANES<T>;
  static constexpr long LEAST = 16, LEAST_AHEAD = 256;  // rows that are worth their splitting: of a step; of all steps
  static bool worth(long K) { return 4 * K >= 3 * WIDE && 2 * fours_of(K) * WIDE <= 3 * K && K <= MOST_K; }
  long K;
  bool tiled;
  T* balance = nullptr;  // of tiles: for each k, a power of two (digits.h)

  Packing() : K(0), tiled(false) {}
  Packing(long K, long rows, long least = LEAST) : K(K), tiled(TILES<T> && rows >= least && worth(K)) {}
  // Of a step's product: with few weights the splitting of its rows costs more than tiles save.
  static constexpr long LEAST_WEIGHTS = long(1) << 13;
  static Packing of_step(long K, long columns, long rows, long least = LEAST) {
    Packing packing(K, rows, least);
    packing.tiled = packing.tiled && K * columns >= LEAST_WEIGHTS;
    return packing;
  }

  // Numbers that one vector of columns takes.
  long each() const { return tiled ? fours_of(K) * long(DIGITS * sizeof(Tile) / sizeof(T)) + L : K * L; }
  long balanced() const { return tiled ? fours_of(K) * WIDE : 0; }

  // The same for other rows: the first of them, of a panel in vectors.
  Packing of(long other) const {
    Packing part = *this;
    part.K = other;
    return part;
  }

  // Where panel p begins, and what all take.
  long offset(const Panels<T>& panels, long p) const { return panels.start(p) / L * each(); }
  long size(const Panels<T>& panels) const { return padded<T>(panels.columns) / L * each(); }

  // One of some parts of the balance, which comes before all packing: of K rows of so many numbers; of rows of K numbers.
  void balance_rows_of(const T* from, long step, long columns, int part, int parts) const {
    const long blocks = fours_of(K);
    if constexpr (TILES<T>)
      if (tiled) balance_rows(from, step, columns, K, blocks * part / parts, blocks * (part + 1) / parts, balance);
  }
  void balance_lanes_of(const T* from, long row, long columns, int part, int parts) const {
    const long blocks = fours_of(K);
    if constexpr (TILES<T>)
      if (tiled) balance_lanes(from, row, columns, K, blocks * part / parts, blocks * (part + 1) / parts, balance);
  }

  // One of some parts of K rows, `step` numbers from one to the next, that become panels.
  void pack(const Panels<T>& panels, const T* from, long step, T* to, int part, int parts) const {
    if constexpr (TILES<T>) {
      const long vectors = ceil_div(panels.columns, L);
      for (long v = vectors * part / parts; tiled && v < vectors * (part + 1) / parts; ++v) {
        const long p = v / WIDEST, left = panels.columns - v * L;
        rows(from + v * L, step, int(left < L ? left : L), to + offset(panels, p), int(v % WIDEST), panels.vectors(p));
      }
      if (tiled) return;
    }
    for (long k = K * part / parts; k < K * (part + 1) / parts; ++k) pack_row(panels, K, k, from + k * step, to);
  }

  // K rows of `n` numbers become the q-th vector of a panel of Q.
  void rows(const T* from, long step, int n, T* panel, int q, int Q) const {
    if constexpr (TILES<T>)
      if (tiled) return digits_of_rows(from, step, balance, K, n, vector_at(panel, q));
    for (long k = 0; k < K; ++k) store(panel + (k * Q + q) * L, load(from + k * step, n));
  }
  // Likewise of `n` rows of K numbers.
  void lanes(const T* from, long row, int n, T* panel, int q, int Q) const {
    if constexpr (TILES<T>)
      if (tiled) return digits_of_lanes(from, row, balance, K, n, vector_at(panel, q));
    pack_lanes(from, row, K, n, panel + q * L, Q * L);
  }

 private:
  Tile* vector_at(T* panel, int q) const { return reinterpret_cast<Tile*>(panel + q * each()); }
};

// A left factor's rows, evenly spaced, k side by side; in digits too where its products are made of tiles.
template <class T> class Left {
  const T* at_;
  long row_;
  const Tile* tiles_ = nullptr;
  const T* units_ = nullptr;
  bool odd_ = false;  // whether a row has no unit

 public:
  // The room that some rows need for their digits.
  struct Room {
    Tile* tiles;
    T* units;
    static Room in(Arena& arena, const Packing<T>& packing, long rows) {
      if (!packing.tiled) return {};
      return {arena.take<Tile>(tiles_of(rows) * fours_of(packing.K) * DIGITS), arena.take<T>(rows)};
    }
  };

  // This and a panel, to be multiplied in vectors.
  Factors<T> with(const Packing<T>& packing, const T* panel) const { return {packing.K, at_, row_, 1L, panel}; }

  Left() : Left(nullptr, 0) {}
  Left(const T* at, long row) : at_(at), row_(row) {}

  Left(const Packing<T>& packing, long rows, const T* at, long row, const Room& room) : Left(at, row) {
    if (!packing.tiled) return;
    if constexpr (TILES<T>) {
      const int height = height_of(rows);
      const long each = fours_of(packing.K) * DIGITS;
      tiles_ = room.tiles, units_ = room.units;
      for (long r = 0; r < rows; ++r) {
        Tile* to = room.tiles + r / height * each;
        room.units[r] = digits_of_row(at + r * row, packing.balance, packing.K, to, int(r % height));
        odd_ = odd_ || room.units[r] == 0;
      }
    }
  }

  // z = init + this times a panel of Q vectors. `next`: as `product` has it; in tiles it says that this panel is far too.
  void times(const Packing<T>& packing, long rows, const T* panel, int Q, const T* init, long init_row, T* z,
             long z_row, TileShapes& shapes, const T* next = nullptr, long numbers = 0) const {
    if constexpr (TILES<T>) {
      if (packing.tiled) {
        const Tile* b = reinterpret_cast<const Tile*>(panel);
        shapes.use(rows);
        product_of_digits(rows, packing.K, tiles_, units_, b, Q, init, init_row, z, z_row, next != nullptr);
        for (long r = 0; odd_ && r < rows; ++r)
          if (units_[r] == 0) add_row(packing.K, at_ + r * row_, 1L, packing.balance, b, Q, z + r * z_row);
        return;
      }
    }
    product(rows, packing.K, at_, row_, 1L, panel, Q, init, init_row, z, z_row, next, numbers);
  }
};

}  // namespace
