// The gradients of the weights: sums over all steps of what they saw times dz, and of dz alone for the biases.
//
// The sums run over the steps in one order, whatever the threads: each makes some columns of dz, packed as a panel that
// stays in the first cache, times all that lies in the lines. In vectors a sum's rows are the lines' columns, in tiles they
// are dz's. Where there are many steps they fall into two halves with sums of their own, and half of the threads do each: of
// what round one made a thread then reads what lies in its own caches. To take a line of the other's costs less than what
// comes later: when that one writes there again it has to wait for the line, 40 ns where the two lie far apart.
#pragma once

#include <limits>

#include "factor.h"
#include "layer.h"
#include "relief.h"
#include "rounds.h"

namespace {

// Steps at a time: what they need stays in the caches. In tiles, where numbers take three bytes, twice as many.
constexpr long CHUNK = 128, MOST_STEPS = 256;
// Where lines of so many bytes do not, they are cut into blocks, some columns wide and all steps long, which are read from
// end to end, and a narrow panel has room for more steps beside one in the first cache. A thread writes them for itself, which
// pays where it has so many columns of dz.
constexpr long MOST_OF_LINES = long(384) << 10, BLOCK = 6, CHUNK_OF_BLOCKS = 192, LEAST_COLUMNS = 512;
constexpr long MOST_SUMS = long(4) << 20;  // bytes of a half's sums: twice as many as a thread had would leave its caches

template <class T, class Cell> class WeightGradients : Layer<T, Cell> {
  OST_OF_LAYER;
  static constexpr int L = LANES<T>;
  static constexpr long LEAST = 256;  // steps that are worth their splitting
  static constexpr long NARROW = 2;   // vectors in a panel of tiles
  const bool tiled;
  const long steps_in_all;
  const int halves, members;  // of the steps; threads for each
  const bool in_blocks;
  const long chunk;
  T* const sums_of_steps;     // of one half, then of the other

  // A panel: some columns of dz, which are multiplied by all that lies in the lines.
  struct Piece {
    int range, Q;
    long column;
    T* sums;
  };
  Piece* const pieces;
  long* const homes;
  const Rounds rounds[2];

 public:
  struct Own {  // one thread's scratch
    T *lines, *columns, *scales;
    Tile *right, *left;
  };

  WeightGradients(const Base& layer, Arena& arena)
      : Base(layer), tiled(TILES<T> && H >= 4 * TILE && s.batch * s.time >= LEAST), steps_in_all(count_steps()),
        halves(in_halves() ? 2 : 1), members(int(ceil_div(s.team, halves))),
        in_blocks(!tiled && !MANY_REGISTERS && Cell::DZ * H >= LEAST_COLUMNS * members &&
                  CHUNK * line_stride() * long(sizeof(T)) > MOST_OF_LINES),
        chunk(tiled ? MOST_STEPS : in_blocks ? CHUNK_OF_BLOCKS : CHUNK),
        sums_of_steps(arena.take<T>(halves * ranges().numbers())), pieces(arena.take<Piece>(count_pieces())),
        homes(arena.take<long>(members + 1)),
        rounds{{arena, count_pieces(), homes, members}, {arena, halves > 1 ? count_pieces() : 0, homes, members}} {
    if (arena.block) lay_out();
  }

  Own carve(Arena& arena) const {
    const long vectors = tiled ? vectors_of_line() : 0, tiles = tiled ? tiles_of_vector(chunk) : 0;
    const long lines = in_blocks ? blocks() * (block_size() + BLOCK) : chunk * line_stride();
    return {arena.take<T>(lines), arena.take<T>(chunk * (tiled ? NARROW : WIDEST) * L),
            arena.take<T>((vectors + NARROW) * L), arena.take<Tile>(vectors * (tiles + 1)), arena.take<Tile>(tiles * NARROW)};
  }

  // What one of some threads does of the weights' gradients: of its half, then, if they are much work, of what the other's
  // threads have not come to.
  void run(int thread, int threads, const Own& o, TileShapes& shapes) const {
    const Ranges all = ranges();
    const int mine = thread * halves / threads, first = int(ceil_div(mine * threads, halves));
    const int member = thread - first, beside = int(ceil_div((mine + 1) * threads, halves)) - first;
    const bool both = threads == 1 || worth_giving(steps_of(0) * all.numbers(), true);
    for (int turn = 0; turn < (both ? halves : 1); ++turn) see_steps((mine + turn) % halves, member, beside, all, o, shapes);
    rounds[0].run(member, beside, rounds_of(0), false, [&](long i) {
      const Piece& piece = pieces[i];
      if (halves > 1) add_half(all.all[piece.range], piece, i);
      if (tiled) hand_out_rows(all.all[piece.range], piece);
      else hand_out(all.all[piece.range], piece);
    });
  }

 private:
  bool in_halves() const {
    const bool many = tiled ? steps_in_all > LEAST : s.batch > 1 && steps_in_all >= 2 * LEAST;  // one row is nobody's own
    return many && ranges().numbers() * long(sizeof(T)) <= MOST_SUMS;
  }
  long steps_of(int half) const {
    const long second = halves > 1 ? steps_in_all / 2 : 0;
    return half ? second : steps_in_all - second;
  }
  // Without steps there is one round all the same: it makes the sums 0.
  long rounds_of(int half) const { return std::max(half ? 0L : 1L, ceil_div(steps_of(half), chunk)); }

  // What the weights saw at a step lies side by side in a line: x, h as R saw it, and r h or what P saw.
  long line_width() const { return D + O + (reset_before() || projected() ? H : 0); }
  long line_stride() const { return padded<T>(line_width()) + L; }  // an odd number of vectors more: no two share a set

  // Cut into blocks: step by step the same columns of all lines. With options one whole line, being made, lies after them.
  long blocks() const { return ceil_div(line_width(), BLOCK); }
  long block_size() const { return chunk * BLOCK + LINE / long(sizeof(T)); }  // an odd number of LINEs: no two share a set

  // Columns of a line, and the gradient of the weights that saw them: (columns of dz, width). No width: not asked for.
  struct Segment {
    long at, width;
    T* to;
  };
  // Neighbouring columns of dz, what their weights saw, and the biases that take their plain sums.
  struct Range {
    long from, count;
    Segment seen[2];
    T* bias[2];
    bool tiled;
    long rows() const { return columns(0) + columns(1) + 1; }  // of sums, or their columns; the last is the biases'
    long columns(int i) const { return tiled ? padded<T>(seen[i].width) : seen[i].width; }
    bool wanted() const { return rows() > 1 || bias[0] || bias[1]; }
    long numbers() const { return wanted() ? padded<T>(count) * rows() : 0; }
  };
  struct Ranges {
    Range all[3];
    long numbers() const { return all[0].numbers() + all[1].numbers() + all[2].numbers(); }
  };

  Segment x_for(long row) const { return {0, g.dW ? D : 0, from(g.dW, row * D)}; }
  Segment h_for(long row) const { return {D, g.dR ? O : 0, from(g.dR, row * O)}; }
  Segment reset_for(long row) const { return {D + O, g.dR ? O : 0, from(g.dR, row * O)}; }
  Segment out() const { return {D + O, projected() && g.dP ? H : 0, g.dP}; }

  Ranges ranges() const {
    const long all = Cell::X_GATES * H;
    T *x = g.db_ih, *h = g.db_hh;
    const Range P{slots.out, O, {out(), {}}, {}, tiled};
    if (apart()) return {{{0, all, {x_for(0), {}}, {}, tiled}, {dz_h, all, {h_for(0), {}}, {}, tiled}, P}};
    if (reset_before())
      return {{{0, 2 * H, {x_for(0), h_for(0)}, {x, h}, tiled},
               {2 * H, H, {x_for(2 * H), reset_for(2 * H)}, {from(x, 2 * H), from(h, 2 * H)}, tiled}, {}}};
    if (Cell::DZ > Cell::X_GATES)  // the GRU's n sees x and h through different columns
      return {{{0, 2 * H, {x_for(0), h_for(0)}, {x, h}, tiled},
               {2 * H, H, {h_for(2 * H), {}}, {from(h, 2 * H), nullptr}, tiled},
               {3 * H, H, {x_for(2 * H), {}}, {from(x, 2 * H), nullptr}, tiled}}};
    if (normed()) x = h = nullptr;  // they are gathered by rows
    return {{{0, all, {x_for(0), h_for(0)}, {x, h}, tiled}, P, {}}};
  }

  // Some steps of (batch, time), padding left out: row after row, in the order of memory or, with lengths, as two threads
  // have them in round one, first all those of the one.
  struct Steps {
    long left, row = 0, p = 0, count = 0;  // how many there are, and where the next ones begin
    struct {
      long b, p;
    } at[MOST_STEPS];
  };
  long count_steps() const {
    long count = 0;
    for (long b = 0; b < s.batch; ++b) count += s.steps(b);
    return count;
  }
  Steps steps_in(int half) const {
    Steps steps{steps_of(half)};
    long before = half ? steps_of(0) : 0;
    for (; steps.row < s.batch && before >= s.steps(row(steps.row)); ++steps.row) before -= s.steps(row(steps.row));
    steps.p = before;
    return steps;
  }
  void next(Steps& steps) const {
    steps.count = 0;
    for (; steps.left > 0; ++steps.row, steps.p = 0) {
      const long b = row(steps.row), end = s.steps(b);
      for (; steps.p < end && steps.left > 0; ++steps.p, --steps.left) {
        if (steps.count == chunk) return;
        steps.at[steps.count++] = {b, steps.p};
      }
    }
  }

  // A thread's part of one half, a few steps at a time, at its own pace.
  void see_steps(int half, int member, int members, const Ranges& all, const Own& o, TileShapes& shapes) const {
    Steps steps = steps_in(half);
    T* sums_of_half = sums_of_steps + half * all.numbers();
    for (long round = 0; round < rounds_of(half); ++round) {
      next(steps);
      if (!rounds[half].open(round)) continue;
      Rows rows;
      for (long k = 0; k < steps.count; ++k) {
        if (tiled) find_rows(steps.at[k].b, steps.at[k].p, k, rows, o);
        else if (in_blocks)
          write_in_blocks(steps.at[k].b, steps.at[k].p, o.lines + k * BLOCK, o.lines + blocks() * block_size());
        else write_line(steps.at[k].b, steps.at[k].p, o.lines + k * line_stride());
      }
      if constexpr (TILES<T>)
        if (tiled) split_lines(o, rows, steps.count);
      rounds[half].run(member, members, round, false, [&](long i) {
        Piece piece = pieces[i];
        piece.sums += sums_of_half - sums_of_steps;
        const Range& range = all.all[piece.range];
        if constexpr (TILES<T>)
          if (tiled) return add_tiles(o, range, rows, steps.count, piece, round == 0, shapes);
        add(o, range, steps, piece, round == 0);
      });
    }
  }

  // f(piece, its home) for all of them: each of a half's threads is home to a part of each range.
  template <class F> void each_piece(const F& f) const {
    const Ranges all = ranges();
    const long widest = tiled ? NARROW : WIDEST;
    for (int home = 0; home < members; ++home) {
      T* sums = sums_of_steps;
      for (int i = 0; i < 3; ++i) {
        const Range& range = all.all[i];
        const long vectors = range.wanted() ? ceil_div(range.count, L) : 0, end = vectors * (home + 1) / members;
        for (long v = vectors * home / members; v < end; v += widest)
          f(Piece{i, int(std::min(end - v, widest)), v * L, sums + v * L * range.rows()}, home);
        sums += range.numbers();
      }
    }
  }
  long count_pieces() const {
    long count = 0;
    each_piece([&](const Piece&, int) { ++count; });
    return count;
  }
  void lay_out() const {
    long count = 0;
    std::fill(homes, homes + members + 1, 0);
    each_piece([&](const Piece& piece, int home) { pieces[count++] = piece, homes[home + 1] = count; });
    for (int i = 0; i < members; ++i) homes[i + 1] = std::max(homes[i], homes[i + 1]);
  }

  void write_line(long b, long p, T* to) const {
    if (g.dW) copy(to, s.x + b * s.x_row + p * s.x_step, D);
    if (g.dR) {
      const long t = place(s, b, p);
      T* h = to + D;
      copy(h, before(0, b, t, p, restarts(s, b, t)), O);
      if (s.mask) multiply(h, s.mask + b * O, O);
    }
    if (!Cell::OPTIONS) return;
    const T* saved = s.saved + (b * s.time + p) * saved_width();
    if (reset_before() && g.dR) copy(to + D + O, to + D, O), multiply(to + D + O, saved, O);
    if (projected() && g.dP) copy(to + D + O, saved + kept.out * H, H);
  }

  void write_in_blocks(long b, long p, T* to, T* line) const {
    if (s.mask || Cell::OPTIONS) {
      write_line(b, p, line);
      return spread_out(line, 0, line_width(), to);
    }
    const long t = place(s, b, p);
    if (g.dW) spread_out(s.x + b * s.x_row + p * s.x_step, 0, D, to);
    if (g.dR) spread_out(before(0, b, t, p, restarts(s, b, t)), D, O, to);
  }
  // What belongs into a line from number `at` on, into its blocks.
  void spread_out(const T* from, long at, long count, T* to) const {
    const long end = at + count, size = block_size();
    to += at / BLOCK * size;
    for (long i = at % BLOCK; i > 0 && at < end; ++at, ++from) {
      to[i] = *from;
      if (++i == BLOCK) i = 0, to += size;
    }
    for (; at + BLOCK <= end; at += BLOCK, from += BLOCK, to += size) std::memcpy(to, from, BLOCK * sizeof(T));
    for (long i = 0; at + i < end; ++i) to[i] = from[i];
  }

  // Lines, turned, times a panel of dz, on top of the sums.
  void add(const Own& o, const Range& range, const Steps& steps, const Piece& piece, bool first) const {
    const int Q = piece.Q;
    const long column = piece.column;
    T* sums = piece.sums;
    const long wide = Q * L, left = range.count - column, all_sums = ranges().numbers();
    pack_columns(steps, range.from + column, int(left < wide ? left - (Q - 1) * L : L), Q, o.columns,
                 sums + (range.rows() - 1) * wide, first);
    const Segment &x = range.seen[0], &h = range.seen[1];
    const bool together = x.width && h.width && x.at + x.width == h.at;  // side by side: one product, of fuller tiles
    const Segment runs[] = {{x.at, x.width + (together ? h.width : 0), nullptr}, {h.at, together ? 0 : h.width, nullptr}};
    for (const Segment& run : runs) {
      const long end = run.at + run.width;
      for (long at = run.at, n; at < end; at += n, sums += n * wide) {
        n = in_blocks ? std::min(BLOCK - at % BLOCK, end - at) : run.width;
        const T* lines = o.lines + (in_blocks ? at / BLOCK * block_size() + at % BLOCK : at);
        const T* soon = called(sums + 2 * MOST_ROWS[Q] * wide, all_sums);  // two tiles further on
        product(n, steps.count, lines, 1L, in_blocks ? BLOCK : line_stride(), o.columns, Q, first ? zero : sums,
                first ? 0L : wide, sums, wide, soon, n * wide);
      }
    }
  }

  // Columns of dz side by side, and on the way their sums for the biases; the last vector has n lanes.
  void pack_columns(const Steps& steps, long column, int n, int Q, T* to, T* sums, bool first) const {
    Vec<T> sum[WIDEST];
    for (int q = 0; q < Q; ++q) sum[q] = first ? Vec<T>{} : load(sums + q * L);
    for (long k = 0; k < steps.count; ++k, to += Q * L) {
      const T* dz = dz_of_all + (steps.at[k].b * s.time + steps.at[k].p) * across + column;
      for (int q = 0; !MANY_REGISTERS && q < WIDEST; q += 2) __builtin_prefetch(dz + (Q + q) * L, 0, 2);  // the next panel's
#pragma GCC unroll 4
      for (int q = 0; q < WIDEST; ++q) {
        if (q >= Q) break;
        const Vec<T> v = q + 1 < Q ? load(dz + q * L) : load(dz + q * L, n);
        store(to + q * L, v), sum[q] += v;
      }
    }
    for (int q = 0; q < Q; ++q) store(sums + q * L, sum[q]);
  }

  // In tiles ----------------------------------------------------------------------------------------

  // The three things that may lie in a line: where, and how many numbers.
  struct Part {
    long at, width;
    long vectors() const { return ceil_div(width, L); }
  };
  Part part(int i) const { return i == 0 ? Part{0, D} : i == 1 ? Part{D, O} : Part{D + O, line_width() - D - O}; }
  long vectors_of_line() const { return part(0).vectors() + part(1).vectors() + part(2).vectors(); }
  // Where the digits begin of what lies at a place of a line.
  Tile* right_at(const Own& o, long at, long count) const {
    Tile* to = o.right;
    for (int i = 0; part(i).at != at || part(i).width == 0; ++i)
      for (long v = 0; v < part(i).vectors(); ++v) to = vector_after(to, count);
    return to;
  }

  // Where dz of some steps lies, and each of the three.
  struct Rows {
    const T *dz[MOST_STEPS], *seen[3][MOST_STEPS];
  };
  // In place, but for what is a product.
  void find_rows(long b, long p, long k, Rows& rows, const Own& o) const {
    const long t = place(s, b, p), step = b * s.time + p;
    rows.dz[k] = dz_of_all + step * across;
    rows.seen[0][k] = s.x + b * s.x_row + p * s.x_step;
    rows.seen[1][k] = before(0, b, t, p, restarts(s, b, t));
    rows.seen[2][k] = projected() ? s.saved + step * saved_width() + kept.out * H : nullptr;
    if (!s.mask && !reset_before()) return;
    T* line = o.lines + k * line_stride();
    write_line(b, p, line);
    rows.seen[1][k] = line + D;
    if (reset_before()) rows.seen[2][k] = line + D + O;
  }

  void split_lines(const Own& o, const Rows& rows, long count) const {
    for (int i = 0; i < 3; ++i) {
      if (part(i).width == 0 || (i == 0 && !g.dW) || (i == 1 && !g.dR)) continue;
      digits_of_lines(rows.seen[i], part(i).width, count, o.scales, right_at(o, part(i).at, count));
    }
  }

  // A panel of dz, turned, times the lines, on top of the sums.
  void add_tiles(const Own& o, const Range& range, const Rows& rows, long count, const Piece& piece, bool first,
                 TileShapes& shapes) const {
    const int Q = piece.Q;
    T* sums = piece.sums;
    const long row = range.columns(0) + range.columns(1);
    if (first) std::memset(sums, 0, Q * L * (row + 1) * sizeof(T));
    split_columns(o, range, rows, count, piece, sums + Q * L * row);
    shapes.use(Q * TILE);
    for (int i = 0; i < 2; ++i) {
      const Segment& seen = range.seen[i];
      if (seen.width == 0) continue;
      T* to = sums + (i ? range.columns(0) : 0);
      const Tile* right = right_at(o, seen.at, count);
      product_of_digits(Q * TILE, count, o.left, o.scales, right, int(ceil_div(seen.width, L)), to, row, to, row, true);
    }
  }

  // Columns of dz become rows of tiles, a vector of them to a tile; their sums on the way. They are brought together first:
  // rows lie far from each other, in few places of the first cache.
  void split_columns(const Own& o, const Range& range, const Rows& rows, long count, const Piece& piece, T* sums) const {
    const int Q = piece.Q;
    const bool summed = range.bias[0] || range.bias[1];
    const long from = range.from + piece.column, left = range.count - piece.column;
    Vec<T> sum[NARROW][4] = {};
    for (int q = 0; q < Q; ++q) sum[q][0] = load(sums + q * L);
    for (long i = 0; i < count; ++i)
      for (int q = 0; q < Q; ++q) {
        const Vec<T> v = load(rows.dz[i] + from + q * L, int(left - q * L < L ? left - q * L : L));
        store(o.columns + (i * NARROW + q) * L, v);
        if (summed) sum[q][i % 4] += v;
      }
    for (int q = 0; q < Q; ++q) {
      store(sums + q * L, (sum[q][0] + sum[q][1]) + (sum[q][2] + sum[q][3]));
      T* units = o.scales + q * L;
      digits_of_columns(o.columns + q * L, NARROW * L, L, nullptr, count, o.left + q * tiles_of_vector(count), units);
      for (int i = 0; i < L; ++i)
        if (units[i] == 0) units[i] = std::numeric_limits<T>::quiet_NaN();  // what has no unit is not finite
    }
  }

  // The sums of the second half, on top of the first's.
  void add_half(const Range& range, const Piece& piece, long i) const {
    rounds[1].wait(i, rounds_of(1));
    const T* second = piece.sums + ranges().numbers();
    for (long j = 0; j < piece.Q * L * range.rows(); j += L) store(piece.sums + j, load(piece.sums + j) + load(second + j));
  }

  // Sums (columns of dz, line) are the rows of the weights' gradients.
  void hand_out_rows(const Range& range, const Piece& piece) const {
    const int Q = piece.Q;
    const long column = piece.column;
    const T* sums = piece.sums;
    const long left = range.count - column, rows = left < Q * L ? left : Q * L, row = range.columns(0) + range.columns(1);
    for (int i = 0; i < 2; ++i) {
      const Segment& seen = range.seen[i];
      for (long r = 0; seen.width && r < rows; ++r)
        copy(seen.to + (column + r) * seen.width, sums + r * row + (i ? range.columns(0) : 0), seen.width);
    }
    for (T* bias : range.bias)
      if (bias) copy(bias + column, sums + Q * L * row, rows);
  }

  // In vectors --------------------------------------------------------------------------------------

  // Sums (line, columns of dz) become rows of the weights' gradients.
  void hand_out(const Range& range, const Piece& piece) const {
    const int Q = piece.Q;
    const long column = piece.column;
    const T* sums = piece.sums;
    const long left = range.count - column;
    for (const Segment& seen : range.seen) {
      for (int q = 0; q < Q; ++q)
        turn(sums + q * L, Q * L, seen.width, seen.to + (column + q * L) * seen.width, left - q * L);
      sums += seen.width * Q * L;
    }
    for (T* bias : range.bias)
      if (bias) std::memcpy(bias + column, sums, (left < Q * L ? left : Q * L) * sizeof(T));
  }

  // `width` vectors at from, from + step, .. become the columns of at most LANES rows of that width.
  static void turn(const T* from, long step, long width, T* to, long rows) {
    for (long j = 0; j < width; j += L) {
      const int wide = int(width - j < L ? width - j : L);
      Vec<T> square[L];
      for (int i = 0; i < L; ++i) square[i] = i < wide ? load(from + (j + i) * step) : Vec<T>{};
      transpose<T>(square);
      for (int i = 0; i < L && i < rows; ++i) store(to + i * width + j, square[i], wide);
    }
  }
};

}  // namespace
