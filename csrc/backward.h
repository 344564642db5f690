// A whole sequence backward through time, in two rounds.
//
// Round one, each thread on its own rows, from the last step to the first: pointwise gives dz, one product gives
// dh = dz R of the step before. Round two, over all steps at once: dW and dR are one product dz^T [x h],
// the biases' gradients its plain sums, dx = dz W. Its sums run over the steps in an order that does not depend on the threads.
//
// Options undo the forward's stages from the last: zoneout of h, projection, norm of c', pointwise, the reset's own
// product, the norms. Gradients of what works on single units (peephole, gains, shifts) are gathered for groups of rows
// of the batch by the thread that owns them, and added up over the groups at the end.
#pragma once

#include "chance.h"
#include "factor.h"
#include "groups.h"
#include "inputs.h"
#include "norm.h"
#include "relief.h"
#include "spot.h"
#include "threads.h"
#include "units.h"
#include "weights.h"

namespace {

template <class T, class Cell> class Backward : Layer<T, Cell> {
  OST_OF_LAYER;
  static constexpr int L = LANES<T>, HATS = hats<Cell>();
  const long hidden_stride, stride;  // of a row of units, and of h, padded to whole vectors
  const Panels<T> h_panels, m_panels;
  Packing<T> of_h;
  GroupSums<T, Cell> gathered;
  T *R, *P, *bias, *gain_x, *gain_h;
  const UnitPanels<T, Cell> units;  // of a row of z, for what is made again
  const bool calls;  // whether dz is called before its step: on several threads not where it stays in the second cache

  struct Own {
    long* rows;
    T *dh, *dc, *direct, *dz;      // round one
    T *dm, *row, *hat, *before;    // with options: the gradient of m, rows beside, dz before its norm
    T* slots;                      // the cell's own, made again
    typename Left<T>::Room h_room;
    TileShapes* shapes;
  };

 public:
  Backward(const Scan<T>& s, const Gradient<T>& g)
      : Base(s, g), hidden_stride(spread<T>(H)), stride(spread<T>(O)), h_panels{O}, m_panels{H},
        of_h(Packing<T>::of_step(Cell::H_GATES * H, O, reset_before() ? 0 : s.batch)), gathered(*this),
        units{H}, calls(s.threads == 1 || s.batch * s.time * across * long(sizeof(T)) > FAR) {}

  size_t run(char* scratch) {
    Arena arena{scratch};
    zero = arena.take<T>(hidden_stride + WIDEST * L);
    gathered.take_room(arena);
    const WeightGradients<T, Cell> weights(*this, arena);
    InputGradient<T, Cell> inputs(*this, arena, !of_h.tiled && packs_alone(s, packed_numbers()));
    const bool alone = inputs.alone;
    char* packed[MOST_COPIES];
    for (int i = 0; i < (alone ? s.threads : 1); ++i) packed[i] = arena.take<char>(lay_out(nullptr));
    const Relief<T> relief(arena, gathered.side_by_side() ? s.threads : 1, s.batch * s.time, true,
                           {stride, Cell::STATES > 1 ? hidden_stride : 0}, of_h.tiled ? TILE : 1,
                           double(Cell::H_GATES) * H * O, true);
    Own own[MOST_THREADS];
    typename WeightGradients<T, Cell>::Own room[MOST_THREADS];
    typename InputGradient<T, Cell>::Own dx_room[MOST_THREADS];
    for (int i = 0; i < s.team; ++i) own[i] = carve(arena), room[i] = weights.carve(arena), dx_room[i] = inputs.carve(arena);
    if (!scratch) return arena.used;
    std::memset(zero, 0, (hidden_stride + WIDEST * L) * sizeof(T));
    lay_out(packed[0]);
    if (!alone) {
      if (of_h.tiled || inputs.balanced())
        parallel_for(s.team, [&](int i) { of_h.balance_rows_of(s.R, O, O, i, s.team), inputs.balance(i); });
      parallel_where(packed_numbers(), s.team, [&](int i) { pack(i, s.team), inputs.pack(i); });
    }
    if (const int team = team_size(); team > 1) {
      as_a_team(own[0], team);
    } else {
      parallel_for(s.threads, [&](int i) {
        if (!alone) return through_time(i, own[i], relief);
        Backward mine(*this);
        mine.lay_out(packed[i]), mine.pack(0, 1);
        mine.through_time(i, own[i], relief);
      });
    }
    team_of(s.team, [&](int i, int threads) {
      TileShapes shapes;
      weights.run(i, threads, room[i], shapes);
      for (int part = i; Cell::OPTIONS && part < s.team; part += threads) gathered.add_up(part);
      inputs.run(i, threads, dx_room[i], shapes);
    });
    return arena.used;
  }

 private:
  // Where the packed weights lie.
  size_t lay_out(char* to) {
    Arena arena{to};
    R = arena.take<T>(of_h.size(h_panels));
    of_h.balance = arena.take<T>(of_h.balanced());
    P = arena.take<T>(projected() ? m_panels.size(O) : 0);
    bias = arena.take<T>(normed() ? units.z_width() : 0);
    gain_x = arena.take<T>(normed() ? units.z_width() : 0), gain_h = arena.take<T>(apart() ? units.z_width() : 0);
    return arena.used;
  }
  // Of R and W, all that is read.
  long packed_numbers() const { return gates_of(s.kind) * H * (g.dx ? O + D : O); }
  // One of some parts of it.
  void pack(int part, int parts) const {
    of_h.pack(h_panels, s.R, O, R, part, parts);
    if (projected()) Packing<T>(O, 0).pack(m_panels, s.options.P, H, P, part, parts);
    if (!normed() || part > 0) return;
    units.pack_bias(s, bias);
    units.pack_gain(s.options.norm_x.gain, Cell::X_FIRST, Cell::X_GATES, Cell::x_gate, gain_x);
    if (apart()) units.pack_gain(s.options.norm_h.gain, Cell::H_FIRST, Cell::H_GATES, Cell::h_gate, gain_h);
  }

  long most_rows() const { return Walk<T>::most(s, gathered.groups()); }
  // Of dh what passes by the product, on its way to the step before: in dh itself, where this is free for it.
  bool aside() const { return s.mask || projected(); }
  T* passed_by(const Own& o) const { return aside() ? o.direct : o.dh; }
  bool into_m() const { return normed() || reset_before() || projected(); }  // h' took further stages

  Own carve(Arena& arena) const {
    const long all = most_rows() * stride, units = most_rows() * hidden_stride;
    Own o;
    o.rows = arena.take<long>(2 * most_rows());
    o.dh = arena.take<T>(all), o.dc = arena.take<T>(Cell::STATES > 1 ? units : 0);
    o.direct = arena.take<T>(aside() ? all : 0);
    o.dm = arena.take<T>(Cell::OPTIONS ? units : 0);
    o.row = arena.take<T>(normed() ? hidden_stride : 0);
    o.hat = arena.take<T>(normed() ? hidden_stride : 0);
    o.before = arena.take<T>(normed() ? Cell::X_GATES * H + L : 0);
    o.slots = arena.take<T>(normed() ? kept.own * H + L : 0);
    o.dz = arena.take<T>((most_rows() + 1) * Cell::H_GATES * H + L);  // a team needs a second row
    o.h_room = Left<T>::Room::in(arena, of_h, most_rows());
    return o;
  }

  // Round one ---------------------------------------------------------------------------------------

  void through_time(int thread, Own o, const Relief<T>& relief) const {
    TileShapes shapes;
    o.shapes = &shapes;
    Walk<T> rows(s, thread, o.rows, gathered.groups());
    take_over(rows, o);
    T* const states[] = {o.dh, o.dc};
    relief.run(thread, rows, states, [&](long t, const auto& between) {
      for (long live = 0; t >= 0; --t) {
        between(t);
        live = rows.live(t, std::min(live, rows.count));
        if (into_m()) with_options(rows, o, t, live);
        else for (long r = 0; r < live; ++r) pointwise(rows, o, t, r, 0, H, after(rows, t, r, live));
        to_step_before(rows, o, t, live, 0, h_panels.count());
      }
      hand_over(rows, o);
    });
  }

  // The gradients of the end states, and nothing in what is summed.
  void take_over(const Walk<T>& rows, const Own& o) const {
    const long states[] = {O, H};
    for (long r = 0; r < rows.count; ++r) {
      const long b = rows.rows[r];
      copy_padded(o.dh + r * stride, g.dend[0] ? g.dend[0] + b * O : nullptr, O, stride);
      if (Cell::STATES > 1) copy_padded(o.dc + r * hidden_stride, g.dend[1] ? g.dend[1] + b * H : nullptr, H, hidden_stride);
      for (int k = 0; k < Cell::STATES; ++k)
        if (g.drestart[k]) std::memset(g.drestart[k] + b * states[k], 0, states[k] * sizeof(T));
      if (Cell::OPTIONS) gathered.clear(rows.groups[r]);
    }
  }
  void hand_over(const Walk<T>& rows, const Own& o) const {
    for (long r = 0; r < rows.count; ++r) {
      const long b = rows.rows[r];
      if (g.dbegin[0]) std::memcpy(g.dbegin[0] + b * O, o.dh + r * stride, O * sizeof(T));
      if (Cell::STATES > 1 && g.dbegin[1]) std::memcpy(g.dbegin[1] + b * H, o.dc + r * hidden_stride, H * sizeof(T));
    }
  }

  // A single row shared by a team: each thread has the units of some panels, and waits for all of dz at each step.
  int team_size() const {
    if (Cell::OPTIONS || s.batch > 1 || s.resets || s.mask) return 1;
    const long most = std::min<long>({s.team, h_panels.count(), MOST_IN_TEAM});
    return most > 1 && meeting_pays(double(Cell::H_GATES) * H * H, s.time, Cell::H_GATES * H * sizeof(T) / 2.0) ? int(most) : 1;
  }

  void as_a_team(const Own& own, int wanted) const {
    const Walk<T> rows(s, 0, own.rows, s.batch);
    take_over(rows, own);
    Meeting meeting;
    team_of(wanted, [&](int thread, int threads) {
      Own o = own;
      TileShapes shapes;
      o.shapes = &shapes;
      const long first = h_panels.count() * thread / threads, last = h_panels.count() * (thread + 1) / threads;
      const long from = h_panels.start(first), to = std::min(H, h_panels.start(last));
      for (long t = rows.longest() - 1; t >= 0; --t) {
        o.dz = own.dz + t % 2 * Cell::H_GATES * H;  // the other one may still be read
        pointwise(rows, o, t, 0, from, to);
        meeting.wait(thread, threads);
        to_step_before(rows, o, t, 1, first, last);
      }
    });
    hand_over(rows, own);
  }

  // What the row after this one needs, called into the first cache while this one is made: what was saved of it, over
  // which dz may come to lie, what it began from, and its dy.
  struct Coming {
    const T *saved, *began, *dy;
    // Of the units from j on, and of what was saved of them some slots.
    template <int FROM, int TO> OST_INLINE void call(long j, long hidden) const {
      if (saved)
        for (int k = FROM; k < TO; ++k) own_line(saved + k * hidden + j);
      if (FROM > 0) return;
      if (began) __builtin_prefetch(began + j, 0, 3);
      if (dy) __builtin_prefetch(dy + j, 0, 3);
    }
  };
  // After row r of step t: the next one, or the first of the step before.
  Coming after(const Walk<T>& rows, long t, long r, long live) const {
    if (++r == live) r = 0, --t;
    if (t < 0) return {};
    const long b = rows.rows[r], p = rows.place(r, t);
    const T* y = s.y + b * s.y_row + p * s.y_step;
    return {Cell::SAVED > 0 || normed() ? saved_at(rows, t, r) + (normed() ? kept.hat_x * H : 0) : nullptr,
            Cell::SAVED > 0 ? before(Cell::STATES - 1, b, t, p, rows.restarts(r, t)) : y,
            g.dy && !projected() ? g.dy + b * g.dy_row + p * g.dy_step : nullptr};
  }

  // Of the units from..to - 1.
  void pointwise(const Walk<T>& rows, const Own& o, long t, long r, long from, long to, Coming coming = {}) const {
    if constexpr (Cell::SAVED == 0 && !Cell::OPTIONS) return of_plain_rnn(rows, o, t, r, from, to, coming);
    const long b = rows.rows[r], p = rows.place(r, t), at = b * s.time + p;
    const bool again = rows.restarts(r, t), zoned = Cell::OPTIONS && s.options.zoned;
    const T *y = s.y + b * s.y_row + p * s.y_step, *dy = g.dy ? g.dy + b * g.dy_row + p * g.dy_step : nullptr;
    const T *h0 = before(0, b, t, p, again), *c0 = Cell::STATES > 1 ? before(1, b, t, p, again) : zero;
    const T* saved = s.saved + at * saved_width();
    T *dz = dz_of_all + at * across, *near = o.dz + r * Cell::H_GATES * H;
    T *dh = o.dh + r * stride, *dc = Cell::STATES > 1 ? o.dc + r * hidden_stride : nullptr;
    T* passed = passed_by(o) + r * stride;
    Keep<T> keep_h, keep_c;
    if (zoned) keep_h = {s.options.zoneout[0], b, p}, keep_c = {s.options.zoneout[1], b, p};
    const bool ahead = calls && g.dz != nullptr;  // where it lies apart from what was saved
    const long onward = s.reverse ? across : -across;
    T* peephole = Cell::OPTIONS ? gathered.of(rows.groups[r]) + gathered.peephole : nullptr;
    by_vectors<T>(to - from, [&](long v, auto n) {
      const long j = from + v;
      if (Cell::SAVED > 0) coming.template call<0, Cell::SAVED>(j, H);
      Spot<T> spot{};
      if (Cell::OPTIONS) spot.raw = kept.raw, spot.peephole = peephole + j, spot.j = j;
      if (zoned && Cell::STATES > 1) spot.kept = keep_c(j);
      Vec<T> sum = dy ? load(dh + j) + load(dy + j, n) : load(dh + j), by{};
      if (zoned) by = keep_h(j) * sum, sum -= by;
      const auto back = Cell::backward(s, spot, saved + j, n, load(y + j, n), load(h0 + j, n), load(c0 + j, n), sum,
                                       dc ? load(dc + j) : Vec<T>{});
      // Unrolled, back.dz stays in registers.
#pragma GCC unroll 4
      for (int k = 0; k < Cell::DZ; ++k) store(dz + k * H + j, back.dz[k], n);
#pragma GCC unroll 4
      for (int k = 0; k < Cell::H_GATES; ++k) store(near + k * H + j, back.dz[k], n);
      store(passed + j, zoned ? back.dh + by : back.dh);
      if (dc) store(dc + j, back.dc);
#pragma GCC unroll 4
      for (int k = 0; ahead && k < Cell::DZ; ++k) own_line(dz + onward + k * H + j);
    });
  }

  // Likewise: dz = (dh + dy) f'(y). Which f is asked once for a row, as in the forward.
  void of_plain_rnn(const Walk<T>& rows, const Own& o, long t, long r, long from, long to, const Coming& coming) const {
    const long b = rows.rows[r], p = rows.place(r, t), onward = s.reverse ? across : -across;
    const T *y = s.y + b * s.y_row + p * s.y_step, *dy = g.dy ? g.dy + b * g.dy_row + p * g.dy_step : nullptr;
    T *dz = dz_of_all + (b * s.time + p) * across, *near = o.dz + r * H;
    T *dh = o.dh + r * stride, *passed = passed_by(o) + r * stride;
    Cell::by_activation(s.activation, [&](auto f) {
      by_vectors<T>(to - from, [&](long v, auto n) {
        const long j = from + v;
        coming.template call<0, 0>(j, H);
        const Vec<T> sum = dy ? load(dh + j) + load(dy + j, n) : load(dh + j), d = sum * Cell::slope(f, load(y + j, n));
        store(dz + j, d, n), store(near + j, d, n), store(passed + j, Vec<T>{});
        if (calls) own_line(dz + onward + j);
      });
    });
  }

  // Of dh of the step before the panels first..last - 1: what passed by, and dz R. With a mask that product saw mask * h.
  void to_step_before(const Walk<T>& rows, const Own& o, long t, long live, long first, long last) const {
    const long all = Cell::H_GATES * H;
    if (s.mask && !reset_before()) std::memset(o.dh, 0, live * stride * sizeof(T));
    else if (aside() && !s.mask) std::memcpy(o.dh, o.direct, live * stride * sizeof(T));
    const Packing<T> seen = reset_before() ? of_h.of(2 * H) : of_h;
    const Left<T> dz(seen, live, o.dz, all, o.h_room);
    const long turn = t % 2 ? -1 : 1;  // up at one step and down at the next: what was used last is still in the caches
    for (long i = first; i < last; ++i) {
      const long p = t % 2 ? first + last - 1 - i : i;
      T* dh = o.dh + h_panels.start(p);
      const int Q = h_panels.vectors(p);
      const T* next = i + 1 < last ? called(R + of_h.offset(h_panels, p + turn), of_h.size(h_panels)) : nullptr;
      dz.times(seen, live, R + of_h.offset(h_panels, p), Q, dh, stride, dh, stride, *o.shapes, next, seen.K * Q * L);
    }
    for (long r = 0; r < live; ++r) {
      T* dh = o.dh + r * stride;
      const long b = rows.rows[r];
      if (s.mask)
        by_vectors<T>(O, [&](long j, auto n) {
          store(dh + j, load(o.direct + r * stride + j) + load(s.mask + b * O + j, n) * load(dh + j));
        });
      if (!rows.restarts(r, t)) continue;
      give(g.drestart[0], b, dh, O);
      if (Cell::STATES > 1) give(g.drestart[1], b, o.dc + r * hidden_stride, H);
    }
  }

  // The step began anew: its gradient belongs to the state it began from.
  static void give(T* restart, long b, T* gradient, long width) {
    if (restart) add(restart + b * width, gradient, width);
    std::memset(gradient, 0, width * sizeof(T));
  }

  // Round one with options --------------------------------------------------------------------------

  void with_options(const Walk<T>& rows, const Own& o, long t, long live) const {
    for (long r = 0; projected() && r < live; ++r) arrive(rows, o, t, r);
    for (long p = 0; projected() && p < m_panels.count(); ++p)
      product(live, O, o.dh, stride, 1L, P + m_panels.offset(p, O), m_panels.vectors(p), zero, 0L,
              o.dm + m_panels.start(p), hidden_stride);
    for (long r = 0; r < live; ++r) {
      if (!projected()) arrive(rows, o, t, r);
      step_of(rows, o, t, r, after(rows, t, r, live));
    }
    if (reset_before()) reset(rows, o, t, live);
  }

  // dh of a step: what zoneout lets pass goes on, the rest is for h~; that of a projection is kept for dP.
  void arrive(const Walk<T>& rows, const Own& o, long t, long r) const {
    const long b = rows.rows[r], p = rows.place(r, t);
    const T* dy = g.dy ? g.dy + b * g.dy_row + p * g.dy_step : nullptr;
    T *dh = o.dh + r * stride, *passed = passed_by(o) + r * stride, *made = projected() ? dh : o.dm + r * hidden_stride;
    T* out = projected() ? g.dz + (b * s.time + p) * slots.width + slots.out : nullptr;
    const Keep<T> keep = Keep<T>::of(s.options, 0, b, p);
    const bool zoned = s.options.zoned;
    by_vectors<T>(O, [&](long j, auto n) {
      Vec<T> sum = dy ? load(dh + j) + load(dy + j, n) : load(dh + j), by{};
      if (zoned) by = keep(j) * sum, sum -= by;
      store(passed + j, by);
      store(made + j, sum);
      if (out) store(out + j, sum, n);
    });
  }

  const T* saved_at(const Walk<T>& rows, long t, long r) const {
    return s.saved + (rows.rows[r] * s.time + rows.place(r, t)) * saved_width();
  }
  // From the gradient of m to that of z, of row r.
  void step_of(const Walk<T>& rows, const Own& o, long t, long r, const Coming& coming) const {
    const long b = rows.rows[r], p = rows.place(r, t), at = b * s.time + p;
    const bool again = rows.restarts(r, t), zoned = s.options.zoned;
    const T *y = Cell::STATES > 1 ? zero : s.y + b * s.y_row + p * s.y_step;  // h and y may be narrower than c
    const T* h0 = Cell::STATES > 1 ? zero : before(0, b, t, p, again);
    const T* c0 = Cell::STATES > 1 ? before(1, b, t, p, again) : zero;
    const T *kept_row = s.saved + at * saved_width(), *saved = kept_row;
    T *dz = dz_of_all + at * across, *near = o.dz + r * Cell::H_GATES * H;
    T* dm = o.dm + r * hidden_stride;
    T *passed = passed_by(o) + r * stride, *dc = Cell::STATES > 1 ? o.dc + r * hidden_stride : nullptr;
    T* sums = gathered.of(rows.groups[r]);
    const Keep<T> keep = Keep<T>::of(s.options, 1, b, p);
    if (normed() && kept.own) saved = made_again(o, kept_row, h0, c0, keep, coming);
    if (normed() && Cell::STATES > 1) norm_of_c(o, kept_row + kept.slots * H, dm, sums);
    Spot<T> spot{0, {}, kept.raw, o.row, nullptr};
    NormBackward<T> norm_x, norm_h;
    // Whatever a vector's store may have changed is asked for again: not what stands here.
    const long hidden = H, at_peephole = gathered.peephole;
    const bool both = apart();
    const T *hat_x = kept_row + kept.hat_x * H, *hat_h = kept_row + kept.hat_h * H;
    const T *of_x = s.options.norm_x.gain, *of_h = s.options.norm_h.gain;
    T *gains_x = sums + gathered.gain_x, *gains_h = sums + gathered.gain_h, *inner = o.before;
    by_vectors<T>(H, [&](long j, auto n) {
      spot.j = j, spot.peephole = sums + at_peephole + j;
      if (Cell::STATES > 1 && zoned) spot.kept = keep(j);
      const auto back = Cell::backward(s, spot, saved + j, n, load(y + j, n), load(h0 + j, n), load(c0 + j, n),
                                       load(dm + j), dc ? load(dc + j) : Vec<T>{});
      if (normed()) {
        coming.template call<Cell::SAVED ? HATS / 2 : 0, HATS>(j, hidden);
        for (int k = 0; k < Cell::DZ; ++k) Spot<T>::add(sums + k * hidden + j, back.dz[k], n);
        for (int k = 0; k < Cell::X_GATES; ++k) {
          const long i = k * hidden + j;
          norm_x.take(back.dz[Cell::dz_of_x(k)], hat_x + i, of_x + i, gains_x + i, inner + i, n);
        }
        for (int k = 0; both && k < Cell::H_GATES; ++k) {
          const long i = k * hidden + j;
          norm_h.take(back.dz[Cell::dz_of_h(k)], hat_h + i, of_h + i, gains_h + i, near + i, n);
        }
      } else {
        const bool by_gates = reset_before();  // q has no place of its own
        for (int k = 0; k < (by_gates ? Cell::X_GATES : Cell::DZ); ++k)
          store(dz + k * H + j, back.dz[by_gates ? Cell::dz_of_x(k) : k], n);
        for (int k = 0; k < Cell::H_GATES; ++k)
          store(near + k * H + j, back.dz[by_gates ? Cell::dz_of_x(k) : Cell::dz_of_h(k)], n);
      }
      if (Cell::STATES > 1) store(dc + j, back.dc);
      else store(passed + j, load(passed + j) + back.dh);
    });
    if (!normed()) return;
    // Both may lie over their normed rows. The RNN has one norm for x and h.
    const T* numbers = kept_row + kept.slots * H;
    norm_x.finish(Cell::X_GATES * H, kept_row + kept.hat_x * H, o.before, numbers[0], dz, apart() ? nullptr : near);
    if (apart()) norm_h.finish(Cell::H_GATES * H, kept_row + kept.hat_h * H, near, numbers[1], near, dz + dz_h);
  }

  // The cell's own slots of a step, from its normed rows; c' before its norm lies in the row beside.
  const T* made_again(const Own& o, const T* saved, const T* h0, const T* c0, const Keep<T>& keep,
                      const Coming& coming) const {
    Spot<T> at{0, {}, kept.raw, o.row, nullptr};
    const T *hat_x = saved + kept.hat_x * H, *hat_h = saved + kept.hat_h * H, *by_x = gain_x, *by_h = gain_h, *b = bias;
    const bool both = apart(), zoned = Cell::STATES > 1 && s.options.zoned;
    const long hidden = H;
    T* slots = o.slots;
    by_vectors<T>(H, [&](long j, auto n) {
      coming.template call<0, HATS / 2>(j, hidden);
      alignas(VECTOR_BYTES) T sums[Cell::Z * L], c[L];
#pragma GCC unroll 4
      for (int slot = 0; slot < Cell::Z; ++slot) {
        const long k = j * Cell::Z + slot * L;
        Vec<T> sum = load(b + k);
        if (slot >= Cell::X_FIRST && slot < Cell::X_FIRST + Cell::X_GATES)
          sum += load(hat_x + Cell::x_gate(slot) * hidden + j, n) * load(by_x + k);
        if (both && slot >= Cell::H_FIRST && slot < Cell::H_FIRST + Cell::H_GATES)
          sum += load(hat_h + Cell::h_gate(slot) * hidden + j, n) * load(by_h + k);
        store(sums + slot * L, sum);
      }
      at.j = j;
      if (zoned) at.kept = keep(j);
      store(c, load(c0 + j, n));
      Cell::forward(s, at, sums, load(h0 + j, n), c, slots + j, n);
    });
    return o.slots;
  }

  // LN of c': dm becomes dm * m, the row beside it, which holds c', the gradient that this has by way of its norm.
  void norm_of_c(const Own& o, const T* numbers, T* dm, T* sums) const {
    const auto& norm = s.options.norm_c;
    const T *c = o.row, *gate = o.slots + 3 * H;
    const T mean = numbers[2], scale = numbers[3];
    T *shift = sums + gathered.shift_c, *gains = sums + gathered.gain_c;
    NormBackward<T> back;
    by_vectors<T>(H, [&](long j, auto n) {
      const Vec<T> hat = (load(c + j) - mean) * scale, og = load(gate + j, n), d = load(dm + j);
      const Vec<T> out = tanh_of<T>(hat * load(norm.gain + j, n) + load(norm.shift + j, n));
      const Vec<T> inner = d * og * (T(1) - out * out);
      store(o.hat + j, hat), store(dm + j, d * og * out);
      Spot<T>::add(shift + j, inner, n);
      back.take(inner, o.hat + j, norm.gain + j, gains + j, o.row + j, n);
    });
    back.finish(H, o.hat, o.row, scale, o.row);
  }

  // The reset before the product: from dz of n come that of r, and r's share of what the product saw.
  void reset(const Walk<T>& rows, const Own& o, long t, long live) const {
    const long K = 3 * H;
    for (long p = 0; p < h_panels.count(); ++p) {
      const int Q = h_panels.vectors(p);
      product(live, H, o.dz + 2 * H, K, 1L, R + of_h.offset(h_panels, p) + 2 * H * Q * L, Q, zero, 0L,
              o.dm + h_panels.start(p), stride);
    }
    for (long r = 0; r < live; ++r) {
      const long b = rows.rows[r], p = rows.place(r, t), at = b * s.time + p;
      const T *h0 = before(0, b, t, p, rows.restarts(r, t)), *mask = s.mask ? s.mask + b * H : nullptr;
      const T *gate = s.saved + at * saved_width(), *d = o.dm + r * stride;
      T *dz = g.dz + at * slots.width, *near = o.dz + r * K;
      T *passed = passed_by(o) + r * stride, *dh = o.dh + r * stride;
      by_vectors<T>(H, [&](long j, auto n) {
        const Vec<T> own = load(gate + j, n), part = load(d + j, n);
        const Vec<T> seen = mask ? load(mask + j, n) * load(h0 + j, n) : load(h0 + j, n);
        const Vec<T> dr = part * seen * own * (T(1) - own);
        store(dz + j, dr, n), store(near + j, dr, n);
        if (mask) store(dh + j, part * own);
        else store(passed + j, load(passed + j) + part * own);
      });
    }
  }
};

}  // namespace
