// The gradient of the input, dx = dz W, of all steps at once, some at a time.
#pragma once

#include <atomic>

#include "factor.h"
#include "layer.h"

namespace {

template <class T, class Cell> class InputGradient : Layer<T, Cell> {
  OST_OF_LAYER;
  static constexpr int L = LANES<T>;
  static constexpr long MOST = 128;  // steps at a time
  const Panels<T> panels;
  // Rows of W that lie together, and the columns of dz that they take: the GRU's n lies one slot further.
  struct Piece {
    long dz, first;
    Packing<T> packing;
    T* W;
  };
  Piece pieces[2];
  // Runs: each is at home with one thread, which mostly has made its dz; of what others have not come to, one that is done
  // takes some.
  struct alignas(LINE) Home {
    std::atomic<long> taken{0};
  };
  Home homes[MOST_THREADS];

  // Steps that lie evenly in memory, counted over the whole (batch, time); with lengths, of which row, from which place on.
  struct Run {
    long first = 0, count = 0, row = 0, place = 0;
  };

 public:
  const bool alone;  // whether each thread packs the weights for itself: those of tiles are made in parts

  struct Own {  // one thread's scratch
    T* out;
    typename Left<T>::Room room;
    T* W[2];
  };

  InputGradient(const Base& layer, Arena& arena, bool each)
      : Base(layer), panels{D}, pieces{piece(0), piece(1)}, alone(each && !balanced()) {
    for (Piece& piece : pieces) {
      piece.W = arena.take<T>(g.dx && !alone ? piece.packing.size(panels) : 0);
      piece.packing.balance = arena.take<T>(g.dx ? piece.packing.balanced() : 0);
    }
  }

  Own carve(Arena& arena) const {
    const auto own = [&](const Piece& piece) { return alone && g.dx ? arena.take<T>(piece.packing.size(panels)) : piece.W; };
    return {arena.take<T>(g.dx ? MOST * WIDEST * L : 0), Left<T>::Room::in(arena, pieces[0].packing, g.dx ? MOST : 0),
            {own(pieces[0]), own(pieces[1])}};
  }

  // One thread's part of W's balance, if it has one, and of its packing.
  bool balanced() const { return g.dx && (pieces[0].packing.tiled || pieces[1].packing.tiled); }
  void balance(int thread) const {
    for (const Piece& piece : pieces)
      if (g.dx) piece.packing.balance_rows_of(s.W + piece.first * D, D, D, thread, s.team);
  }
  void pack(int thread) const {
    for (const Piece& piece : pieces)
      if (g.dx) piece.packing.pack(panels, s.W + piece.first * D, D, piece.W, thread, s.team);
  }

  void run(int thread, int threads, const Own& o, TileShapes& shapes) {
    if (!g.dx) return;
    for (int i = 0; alone && i < 2; ++i) pieces[i].packing.pack(panels, s.W + pieces[i].first * D, D, o.W[i], 0, 1);
    for (long i = s.batch * thread / threads; s.lengths && i < s.batch * (thread + 1) / threads; ++i) {
      const long b = row(i);
      std::memset(g.dx + (b * s.time + s.steps(b)) * D, 0, (s.time - s.steps(b)) * D * sizeof(T));
    }
    long runs = 0;
    for (Run run; next(run);) ++runs;
    for (int k = 0; k < threads; ++k) {
      const int home = (thread + k) % threads;
      const auto take = [&] { return runs * home / threads + homes[home].taken++; };
      long turn = 0, mine = take();
      for (Run run; mine < runs * (home + 1) / threads && next(run); ++turn)
        if (turn == mine) add(run, o, shapes), mine = take();
    }
  }

 private:
  Piece piece(int i) const {
    const bool gap = Cell::DZ > Cell::X_GATES && !apart() && !reset_before();
    const long all = Cell::X_GATES * H, first = gap ? all - H : all, rows = s.batch * s.time;
    const Packing<T> low(first, rows, Packing<T>::LEAST_AHEAD), high(all - first, rows, Packing<T>::LEAST_AHEAD);
    return i == 0 ? Piece{0, 0, low, nullptr} : Piece{first + H, first, high, nullptr};
  }

  // The run after this one; false at the end. Without lengths runs go on over the rows' ends.
  bool next(Run& run) const {
    run.first += run.count, run.place += run.count;
    long left = s.batch * s.time - run.first;
    if (s.lengths) {
      for (; run.row < s.batch && run.place >= s.steps(row(run.row)); ++run.row) run.place = 0;
      if (run.row == s.batch) return false;
      const long b = row(run.row);
      run.first = b * s.time + run.place, left = s.steps(b) - run.place;
    }
    run.count = std::min(left, MOST);
    return run.count > 0;
  }

  void add(const Run& run, const Own& o, TileShapes& shapes) const {
    bool first = true;
    for (const Piece& piece : pieces) {
      const Packing<T>& packing = piece.packing;
      const T* W = o.W[&piece - pieces];
      if (packing.K == 0) continue;
      const Left<T> dz(packing, run.count, dz_of_all + run.first * across + piece.dz, across, o.room);
      for (long p = 0; p < panels.count(); ++p) {
        const int Q = panels.vectors(p);
        const long j = panels.start(p), wide = D - j < Q * L ? D - j : Q * L;
        T* to = g.dx + run.first * D + j;
        const bool aside = wide < Q * L;  // a panel that ends in mid-vector goes by way of scratch
        T* z = aside ? o.out : to;
        const long z_row = aside ? Q * L : D;
        for (long i = 0; aside && !first && i < run.count; ++i) copy(z + i * z_row, to + i * D, wide);
        const T* next = called(W + packing.offset(panels, (p + 1) % panels.count()), packing.size(panels));
        dz.times(packing, run.count, W + packing.offset(panels, p), Q, first ? zero : z, first ? 0L : z_row, z,
                 z_row, shapes, next, packing.K * Q * L);
        for (long i = 0; aside && i < run.count; ++i) copy(to + i * D, z + i * z_row, wide);
      }
      first = false;
    }
  }
};

}  // namespace
