// The order that a forward takes: which products come ahead of their step, at once or one by one, who shares them, and
// how z lies for it. All hangs on the sizes of the call and its threads alone.
#pragma once

#include "threads.h"
#include "units.h"

namespace {

constexpr long FEW_ROWS = 5;      // up to here the input's product is done ahead of the time loop
constexpr long STEPS_AHEAD = 32;  // that many steps at a time
constexpr long BLOCK_AHEAD = 4;   // and where large weights of tiles would pass through the caches at every step: that many
constexpr long NARROW_INPUT = 8;  // columns of x
constexpr long STAYS = long(20) << 20;  // bytes kept for the backward of which a good part is still in the caches then

template <class T, class Cell> struct Course : PackedWeights<T, Cell> {
  static constexpr int L = LANES<T>, SHIFT = Cell::H_FIRST - Cell::X_FIRST;
  using Weights = PackedWeights<T, Cell>;
  using Weights::s, Weights::panels, Weights::of_x, Weights::of_h, Weights::normed, Weights::reset_before, Weights::numbers;
  using Weights::h_gates;

  const Saved kept;
  const bool past;  // whether that goes past the caches; whole normed rows are as fast through them, or faster
  const bool calls, calls_y;  // or it, or y, is called there before its step; not where it stays in the second cache

  explicit Course(const Scan<T>& s)
      : Weights(s), kept(Saved::of(s)),
        past(PASSES && s.saved && !into_m() && kept_bytes() > STAYS), calls(s.saved && kept_bytes() > FAR),
        calls_y(s.batch * s.time * s.hidden * long(sizeof(T)) > FAR) {}
  long kept_bytes() const { return s.batch * s.time * saved_width() * long(sizeof(T)); }
  long saved_width() const { return Cell::OPTIONS ? kept.width(s.hidden) : Cell::SAVED * s.hidden; }
  // What is kept of row r's step, or null.
  T* saved_of(const Walk<T>& rows, long t, long r) const {
    return s.saved ? s.saved + (rows.rows[r] * s.time + rows.place(r, t)) * saved_width() : nullptr;
  }

  // What the options change of the plain cell's sizes and order.
  long width() const { return Cell::OPTIONS ? s.output : s.hidden; }
  bool whole() const { return normed() || reset_before(); }  // rows are whole before the first activation
  bool into_m() const { return whole() || s.projected(); }   // h' takes further stages

  long most_rows() const { return most_in_team() > 1 ? s.batch : ceil_div(s.batch, s.threads); }
  bool few() const { return ceil_div(s.batch, s.threads) <= FEW_ROWS; }
  bool large() const { return of_x.tiled && !Cell::OPTIONS && !few() && numbers() * long(sizeof(T)) >= 4 * FAR; }
  bool early() const { return few() || large(); }  // whether the input's product is done ahead
  long ahead() const { return std::min(s.time, few() ? STEPS_AHEAD : large() ? BLOCK_AHEAD : 1); }
  // Of a row of z: of all its panels, where they are needed together.
  long z_stride() const { return early() || whole() ? spread<T>(panels.z_width()) : Cell::Z * Cell::UNITS * L; }
  // From a row of z to the next, and from a step to the next.
  long z_row() const { return few() ? ahead() * z_stride() : z_stride(); }
  long z_step() const { return few() ? z_stride() : most_rows() * z_stride(); }

  // How many threads may share the units of all rows, where sharing out the rows does less: one row cannot be, and large
  // weights would pass through each thread's caches at every step.
  int most_in_team() const {
    if (Cell::OPTIONS || s.resets || s.mask || s.packed || s.team > MOST_IN_TEAM) return 1;
    if (s.batch > 1 && (few() || numbers() * long(sizeof(T)) < FAR)) return 1;
    return int(std::min<long>({s.team, panels.count(), MOST_IN_TEAM}));
  }

  // How many do. They meet at every step, which must cost less than it saves.
  int team_size() const {
    const int most = most_in_team();
    const double units = double(s.batch) * s.hidden;
    return most > 1 && meeting_pays(units * h_gates() * s.hidden, s.time, units / 2 * sizeof(T)) ? most : 1;
  }

  // Whether x's and h's products are made at once: z is written and read once less. Not where weights come from afar, nor,
  // with few registers, where tiles that hold x's and h's n at once have a row less for more than a few columns of x.
  bool together() const {
    const bool vectors = !of_x.tiled && !of_h.tiled, near = numbers() * long(sizeof(T)) <= FAR;
    const bool as_tall = MANY_REGISTERS || SHIFT == 0 || s.input <= NARROW_INPUT;
    return vectors && near && as_tall && !early() && !whole() && std::max(s.input, width()) <= LONG;
  }

  // Whether a single row is multiplied with panels u and v at once: where both stay in the first cache until the next
  // step comes the other way, or where one alone has few sums.
  bool by_two(const Packing<T>& of, int slots, long u, long v) const {
    if (of.tiled || v < 0 || panels.units(u) != panels.units(v)) return false;
    const int Q = slots * panels.units(u);
    return Q < WIDEST || 2 * of.K * Q * VECTOR_BYTES <= LARGE;
  }
  // A single row times panels u and v, into a row of z.
  void row_times_two(const Left<T>& row, const Packing<T>& of, const T* weights, int slots, long u, long v, T* z) const {
    row_by_two(row.with(of, weights + panels.offset(u, of, slots)), weights + panels.offset(v, of, slots),
               slots * panels.units(u), z + panels.z_offset(u), z + panels.z_offset(v));
  }
};

}  // namespace
