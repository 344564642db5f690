// A whole sequence forward: gather x, scale the state -> products into z -> pointwise, step by step.
//
// Each thread has rows of its own and meets no other inside the time loop; one that ends first takes over some of
// another's. A panel is a few hidden units with all their gates: its z stays in the first cache between the two products
// and the activation. A thread with few rows would load every weight for one row alone; there the input's product is
// done for many steps at once, beforehand.
//
// Options add stages. Where one needs a whole row first (a norm, the reset before the product), all panels of z are
// made before the first activation: products -> norm, or reset and second product -> pointwise into m -> norm of c'
// -> projection of m -> zoneout of h. The plain cells are made without them (Cell::OPTIONS).
#pragma once

#include "chance.h"
#include "course.h"
#include "factor.h"
#include "norm.h"
#include "pointwise.h"
#include "relief.h"
#include "rounds.h"
#include "threads.h"
#include "units.h"

namespace {

template <class T, class Cell> class Forward : Pointwise<T, Cell> {
  static constexpr int L = LANES<T>;
  using Order = Pointwise<T, Cell>;
  using typename Order::Own;
  using Order::s, Order::panels, Order::of_x, Order::of_h, Order::n_panels, Order::p_panels;
  using Order::W, Order::R, Order::bias, Order::Rn, Order::bias_n, Order::P, Order::gain_x, Order::gain_h;
  using Order::hidden_stride, Order::normed, Order::apart, Order::reset_before, Order::h_gates, Order::numbers;
  using Order::lay_out, Order::fill, Order::balance, Order::balanced, Order::width, Order::whole, Order::into_m, Order::few;
  using Order::large, Order::early, Order::ahead, Order::together, Order::most_rows, Order::most_in_team, Order::z_stride;
  using Order::z_row, Order::z_step, Order::kept, Order::past, Order::saved_width, Order::saved_of, Order::team_size;
  using Order::by_two, Order::row_times_two, Order::stride, Order::activated, Order::find_places;
  const T zero[WIDEST * L]{};

 public:
  explicit Forward(const Scan<T>& s) : Order(s) {}

  // The weights as the products want them; `run` does it for itself where they are not packed before.
  size_t pack(char* to) {
    const size_t bytes = lay_out(to);
    if (to) balance(0, 1), fill(0, 1);
    return bytes;
  }

  size_t run(char* scratch) {
    Arena arena{scratch};
    const size_t weights_size = lay_out(nullptr);
    char* weights = s.packed ? const_cast<char*>(s.packed) : arena.take<char>(weights_size);
    char* copies[MOST_COPIES];
    for (int i = 0; packs_alone() && i < s.threads; ++i) copies[i] = i ? arena.take<char>(weights_size) : weights;
    Own own[MOST_THREADS];
    const int most = most_in_team();
    for (int i = 0; i < std::max(s.threads, most); ++i) own[i] = carve(arena);
    long homes[MOST_IN_TEAM + 1];
    for (int i = 0; i <= most; ++i) homes[i] = panels.begin(i, most);
    const Rounds input(arena, panels.count(), homes, most), stepped(arena, panels.count(), homes, most);
    const Relief<T> relief(arena, s.threads, s.batch * s.time, false, {stride, Cell::STATES > 1 ? hidden_stride : 0},
                           of_h.tiled ? TILE : 1, double(Cell::X_GATES * s.input + h_gates() * width()) * s.hidden, s.saved);
    if (!scratch) return arena.used;
    lay_out(weights);
    if (const int team = team_size(); team > 1) {
      as_a_team(own, team, input, stepped);
    } else if (packs_alone()) {
      parallel_for(s.threads, [&](int i) {
        Forward alone(*this);
        alone.lay_out(copies[i]), alone.fill(0, 1);
        alone.walk(i, own[i], relief);
      });
    } else {
      parallel_for(s.packed || !balanced() ? 0 : s.threads, [&](int i) { balance(i, s.threads); });
      parallel_where(numbers(), s.packed ? 0 : s.threads, [&](int i) { fill(i, s.threads); });
      parallel_for(s.threads, [&](int i) { walk(i, own[i], relief); });
    }
    return arena.used;
  }

 private:
  Own carve(Arena& arena) const {
    const long n = most_rows(), all = n * stride, units = n * hidden_stride;
    Own o;
    o.rows = arena.take<long>(2 * n);
    o.y = arena.take<T*>(n), o.saved = arena.take<T*>(n);
    o.h[0] = arena.take<T>(all), o.h[1] = arena.take<T>(all);
    o.c = arena.take<T>(Cell::STATES > 1 ? units : 0);
    o.seen = arena.take<T>(s.mask ? all : 0);
    o.x = arena.take<T>(s.lengths ? (large() ? ahead() : 1) * n * s.input : 0);
    o.z = arena.take<T>(n * ahead() * z_stride());
    o.zh = arena.take<T>(apart() ? n * z_stride() : 0);
    for (long i = 0; i < (large() ? ahead() : 1); ++i)
      o.x_room[i] = Left<T>::Room::in(arena, of_x, few() ? ahead() : n);
    o.h_room = Left<T>::Room::in(arena, of_h, n);
    o.m = arena.take<T>(Cell::OPTIONS ? units : 0);
    o.row = arena.take<T>(whole() ? units : 0);
    o.reset = arena.take<T>(reset_before() ? units : 0);
    return o;
  }

  // Whether each thread packs the weights for itself.
  bool packs_alone() const { return !s.packed && !balanced() && ::packs_alone<T>(s, numbers()); }

  void walk(int thread, Own o, const Relief<T>& relief) const {
    Walk<T> rows(s, thread, o.rows, s.batch);
    enter_all(rows, o);
    TileShapes shapes;
    o.shapes = &shapes;
    const Share all{0, panels.count()};
    T* states[] = {o.h[0], o.c};
    relief.run(thread, rows, states, [&](long t, const auto& between) {
      for (long live = rows.count; t < rows.longest(); ++t) {
        if (t % ahead() == 0) between(t);
        live = rows.live(t, std::min(live, rows.count));
        if (early() && t % ahead() == 0) input_ahead(rows, o, t, live, all);
        step(rows, o, t, live, all);
        leave_all(rows, o, t, live);
        states[0] = o.h[0];
      }
    });
    if (past) settle();
  }

  void enter_all(const Walk<T>& rows, const Own& o) const {
    for (long r = 0; r < rows.count; ++r) {
      const long b = rows.rows[r];
      enter(s.begin, o, r, b);
      if (s.steps(b) == 0) leave(rows, o, r);
      for (long p = s.steps(b); p < s.time; ++p) std::memset(s.y + b * s.y_row + p * s.y_step, 0, width() * sizeof(T));
    }
  }
  void leave_all(const Walk<T>& rows, const Own& o, long t, long live) const {
    for (long r = 0; r < live; ++r)
      if (s.steps(rows.rows[r]) == t + 1) leave(rows, o, r);
  }

  // All rows shared by a team -----------------------------------------------------------------------

  void as_a_team(const Own* own, int wanted, const Rounds& input, const Rounds& stepped) const {
    Scan<T> alone = s;
    alone.threads = 1;
    const Walk<T> rows(alone, 0, own->rows, s.batch);
    enter_all(rows, *own);
    Meeting meeting;
    team_of(wanted, [&](int thread, int threads) {
      Own o = own[thread];
      // h's two places change at every step, for each thread alike.
      o.h[0] = own->h[0], o.h[1] = own->h[1], o.c = own->c;
      if (early()) o.z = own->z;
      TileShapes shapes;
      o.shapes = &shapes;
      const Share fixed{panels.begin(thread, threads), panels.begin(thread + 1, threads)};
      const auto share_of = [&](const Rounds& rounds) {  // a single row's steps are too short to be dealt out anew
        return few() ? fixed : Share{0, 0, &rounds, thread, threads};
      };
      const Share mine = share_of(stepped), before = share_of(input);
      if (balanced()) balance(thread, threads), meeting.wait(thread, threads);
      fill(thread, threads);
      meeting.wait(thread, threads);
      long live = rows.count;
      for (long t = 0; t < rows.longest(); ++t) {
        live = rows.live(t, live);
        if (early() && t % ahead() == 0) {
          input_ahead(rows, o, t, live, before);
          if (!few()) meeting.wait(thread, threads);
        }
        step(rows, o, t, live, mine);
        meeting.wait(thread, threads);
        if (thread == 0) leave_all(rows, o, t, live);
      }
      if (past) settle();
    });
  }

  // Row r takes on a state of row b of the batch.
  void enter(const T* const* state, const Own& o, long r, long b) const {
    copy_padded(o.h[0] + r * stride, state[0] ? state[0] + b * width() : nullptr, width(), stride);
    if (Cell::STATES > 1)
      copy_padded(o.c + r * hidden_stride, state[1] ? state[1] + b * s.hidden : nullptr, s.hidden, hidden_stride);
  }

  // The input's product of the steps to come: step by step; of few rows one at a time, its steps as the tile's rows.
  void input_ahead(const Walk<T>& rows, const Own& o, long t, long live, Share share) const {
    if (few()) return rows_ahead(rows, o, t, live, share);
    struct {
      Left<T> x;
      long live;
    } steps[BLOCK_AHEAD];
    const long count = std::min(ahead(), rows.longest() - t);
    for (long i = 0; i < count; ++i) {
      live = rows.live(t + i, live);
      steps[i] = {gather(rows, o, t + i, live), live};
    }
    share.run(t / ahead(), false, [&](long u) {
      const T* next = u + 1 < panels.count() ? W + panels.offset(u + 1, of_x, Cell::X_GATES) : nullptr;
      for (long i = 0; i < count; ++i)
        input(steps[i].x, o, steps[i].live, u, o.z + i * z_step() + panels.z_offset(u), next);
    });
  }
  void rows_ahead(const Walk<T>& rows, const Own& o, long t, long live, Share share) const {
    const long width = z_stride();
    for (long r = 0; r < live; ++r) {
      const long b = rows.rows[r], left = s.steps(b) - t, n = left < ahead() ? left : ahead();
      const T* x = s.x + b * s.x_row + rows.place(r, t) * s.x_step;
      T* z = o.z + r * ahead() * width;
      const Left<T> steps(of_x, n, x, s.reverse ? -s.x_step : s.x_step, o.x_room[0]);
      share.by_twos(false, [&](long u, long v) {
        const bool both = n == 1 && by_two(of_x, Cell::X_GATES, u, v);
        for (long each : {u, v}) {
          if (each < 0) break;
          const int Q = Cell::X_GATES * panels.units(each);
          const long at = panels.z_offset(each), wide = Cell::Z * panels.units(each) * L * sizeof(T);
          const T* init = normed() ? zero : bias + at;  // norm: bias later
          for (long i = 0; i < n; ++i) std::memcpy(z + i * width + at, init, wide);
          T* to = z + at + Cell::X_FIRST * L;
          if (!both) steps.times(of_x, n, W + panels.offset(each, of_x, Cell::X_GATES), Q, to, width, to, width, *o.shapes);
        }
        if (both) row_times_two(steps, of_x, W, Cell::X_GATES, u, v, z + Cell::X_FIRST * L);
      });
    }
  }

  void step(const Walk<T>& rows, Own& o, long t, long live, Share share) const {
    scale(rows, o, t, live);
    if (!into_m()) find_places(rows, o, t, live);
    const T* seen = s.mask ? o.seen : o.h[0];
    const Left<T> h(of_h, live, seen, stride, o.h_room), x = early() ? h : gather(rows, o, t, live);
    const long z_row = this->z_row();
    T* z_first = early() ? o.z + t % ahead() * z_step() : o.z;
    // Up at one step and down at the next: what was used last is still in the caches.
    const bool down = t % 2;
    const auto place = [&](long u) { return early() || whole() ? z_first + panels.z_offset(u) : o.z; };
    const auto products = [&](long u) {
      if (!together()) return one_by_one(x, h, o, live, u, place(u), z_row, down);
      const T *w = W + panels.offset(u, of_x, Cell::X_GATES), *m = R + panels.offset(u, of_h, h_gates());
      two_products<Order::SHIFT>(live, x.with(of_x, w), h.with(of_h, m), h_gates() * panels.units(u),
                                 bias + panels.z_offset(u), place(u), z_row);
    };
    const auto stages = [&](long u) {
      T* z = place(u);
      if (whole()) return;
      if (into_m()) {
        for (long r = 0; r < live; ++r)
          made(o, rows.rows[r], rows.place(r, t), r, panels.first(u), panels.width(u), z + r * z_row, saved_of(rows, t, r));
      } else if constexpr (Cell::UNITS > 1 && !Cell::OPTIONS) {
        activated(o, live, u, z, z_row);
      } else {
        past ? Order::template pointwise<PASSES>(rows, o, t, live, u, z, z_row)
             : Order::template pointwise<false>(rows, o, t, live, u, z, z_row);
      }
    };
    if (live == 1 && few() && !whole()) {
      share.by_twos(down, [&](long u, long v) {
        const bool both = by_two(of_h, h_gates(), u, v);
        if (both) row_times_two(h, of_h, R, h_gates(), u, v, z_first + Cell::H_FIRST * L);
        for (long each : {u, v})
          if (each >= 0) both ? void() : products(each), stages(each);
      });
    } else {
      share.run(t, down, [&](long u) { products(u), stages(u); });
    }
    if (into_m()) finish(rows, o, t, live, seen, z_first, z_row);
    T* old = o.h[0];
    o.h[0] = o.h[1], o.h[1] = old;
  }

  // x's product into panel u of z, then h's on top of it, or beside it where each has a norm of its own.
  void one_by_one(const Left<T>& x, const Left<T>& h, const Own& o, long live, long u, T* z, long z_row, bool down) const {
    const int qh = h_gates() * panels.units(u);
    const long after = down ? u - 1 : u + 1;
    const bool last = after < 0 || after == panels.count();
    if (!early()) {
      const T* next = last ? nullptr : called(W + panels.offset(after, of_x, Cell::X_GATES), numbers());
      input(x, o, live, u, z, next);
    }
    const T *m = R + panels.offset(u, of_h, h_gates());
    const T* next = last ? nullptr : called(R + panels.offset(after, of_h, h_gates()), numbers());
    T *zh = z + Cell::H_FIRST * L, *own = apart() ? o.zh + panels.z_offset(u) + Cell::H_FIRST * L : nullptr;
    const long panel = width() * qh * L;
    if (own) h.times(of_h, live, m, qh, zero, 0L, own, z_stride(), *o.shapes, next, panel);
    else h.times(of_h, live, m, qh, zh, z_row, zh, z_row, *o.shapes, next, panel);
  }

  // The scale of the state: a restart puts another one in its place, the mask is for the product alone.
  void scale(const Walk<T>& rows, const Own& o, long t, long live) const {
    for (long r = 0; s.resets && r < live; ++r)
      if (rows.restarts(r, t)) enter(s.restart, o, r, rows.rows[r]);
    for (long r = 0; s.mask && r < live; ++r) {
      const T *m = s.mask + rows.rows[r] * width(), *h = o.h[0] + r * stride;
      by_vectors<T>(width(), [&](long j, auto n) { store(o.seen + r * stride + j, load(m + j, n) * load(h + j), n); });
    }
  }

  // The input's part of panel u of z.
  void input(const Left<T>& x, const Own& o, long live, long u, T* z, const T* next) const {
    const int Q = Cell::X_GATES * panels.units(u);
    const T* init = normed() ? zero : bias + panels.z_offset(u);
    for (long r = 0; Cell::Z > Cell::X_GATES && r < live; ++r)  // slots that the input does not fill
      store(z + r * z_row() + Cell::X_GATES * L, load(init + Cell::X_GATES * L));
    const T* w = W + panels.offset(u, of_x, Cell::X_GATES);
    x.times(of_x, live, w, Q, init, 0L, z, z_row(), *o.shapes, next, s.input * Q * L);
  }

  // x of the live rows: in place where they are evenly spaced, else side by side in scratch.
  Left<T> gather(const Walk<T>& rows, const Own& o, long t, long live) const {
    const long i = large() ? t % ahead() : 0;
    T* to = o.x + i * most_rows() * s.input;
    for (long r = 0; s.lengths && r < live; ++r)
      std::memcpy(to + r * s.input, s.x + rows.rows[r] * s.x_row + rows.place(r, t) * s.x_step, s.input * sizeof(T));
    if (s.lengths) return {of_x, live, to, s.input, o.x_room[i]};
    const long row = rows.count > 1 ? (rows.rows[1] - rows.rows[0]) * s.x_row : s.x_row;
    return {of_x, live, s.x + rows.rows[0] * s.x_row + rows.place(0, t) * s.x_step, row, o.x_room[i]};
  }

  // Row r has taken its last step: its state is the answer.
  void leave(const Walk<T>& rows, const Own& o, long r) const {
    const long b = rows.rows[r];
    if (s.end[0]) std::memcpy(s.end[0] + b * width(), o.h[0] + r * stride, width() * sizeof(T));
    if (Cell::STATES > 1 && s.end[1])
      std::memcpy(s.end[1] + b * s.hidden, o.c + r * hidden_stride, s.hidden * sizeof(T));
  }

  // The stages of options ---------------------------------------------------------------------------

  // From units `first` on: what the cell makes of z, into m.
  void made(const Own& o, long b, long p, long r, long first, long count, const T* z, T* saved) const {
    const Keep<T> keep = Keep<T>::of(s.options, 1, b, p);
    T *m = o.m + r * hidden_stride, *c = Cell::STATES > 1 ? o.c + r * hidden_stride : nullptr;
    const T* h = o.h[0] + r * stride;
    Spot<T> at{0, {}, kept.raw, whole() ? o.row + r * hidden_stride : nullptr, nullptr};
    by_vectors<T>(count, [&](long v, auto n) {
      at.j = first + v;
      if (Cell::STATES > 1 && s.options.zoned) at.kept = keep(at.j);
      const Vec<T> old = Cell::STATES > 1 ? Vec<T>{} : load(h + at.j);
      store(m + at.j, Cell::forward(s, at, z + v * Cell::Z, old, c ? c + at.j : nullptr, saved ? saved + at.j : nullptr, n));
    });
  }

  void finish(const Walk<T>& rows, const Own& o, long t, long live, const T* seen, T* z, long z_row) const {
    if (reset_before()) reset(o, live, seen, z, z_row);
    for (long r = 0; whole() && r < live; ++r) {
      const long b = rows.rows[r], p = rows.place(r, t);
      if (normed()) made_of_normed(o, b, p, r, z + r * z_row, saved_of(rows, t, r));
      else made(o, b, p, r, 0, s.hidden, z + r * z_row, saved_of(rows, t, r));
      if (!s.projected()) to_output(rows, o, t, r);
    }
    if (!s.projected()) return;
    project(rows, o, t, live);
    for (long r = 0; r < live; ++r) to_output(rows, o, t, r);
  }

  // r, then R_n (r h): the product waits for all of r.
  void reset(const Own& o, long live, const T* seen, T* z, long z_row) const {
    for (long r = 0; r < live; ++r)
      by_vectors<T>(s.hidden, [&](long j, auto) {
        T* slot = z + r * z_row + j * Cell::Z + L;
        const Vec<T> gate = sigmoid_of<T>(load(slot));
        store(slot, gate);
        store(o.reset + r * stride + j, gate * load(seen + r * stride + j));
      });
    for (long p = 0; p < n_panels.count(); ++p) {
      const long first = n_panels.start(p);
      product(live, s.hidden, o.reset, stride, 1L, Rn + n_panels.offset(p, s.hidden), n_panels.vectors(p),
              bias_n + first, 0L, o.row + first, stride);
    }
  }

  // What the cell makes of LN(W x) + LN(R h) + b, or of LN(W x + R h) + b, into m.
  void made_of_normed(const Own& o, long b, long p, long r, const T* z, T* saved) const {
    const long H = s.hidden;
    const T* zh = apart() ? o.zh + r * z_stride() : z;
    const Stats<T> x = stats_of<Cell::X_GATES, Cell::Z>(z + Cell::X_FIRST * L, H);
    const Stats<T> h = apart() ? stats_of<Cell::H_GATES, Cell::Z>(zh + Cell::H_FIRST * L, H) : Stats<T>{};
    if (saved) {
      T* numbers = saved + kept.slots * H;
      std::memset(numbers, 0, NUMBERS * sizeof(T));
      numbers[0] = x.scale, numbers[1] = h.scale;
    }
    const Keep<T> keep = Keep<T>::of(s.options, 1, b, p);
    T *m = o.m + r * hidden_stride, *c = Cell::STATES > 1 ? o.c + r * hidden_stride : nullptr;
    const T* old = o.h[0] + r * stride;
    Spot<T> at{0, {}, kept.raw, o.row + r * hidden_stride, nullptr};
    Moments<T> of_c;
    T *hat_x = saved ? saved + kept.hat_x * H : nullptr, *hat_h = saved ? saved + kept.hat_h * H : nullptr;
    T* kept_c = saved ? saved + kept.c * H : nullptr;
    const T *by_x = gain_x, *by_h = gain_h, *plus = bias;
    const T* coming = saved ? saved + (s.reverse ? -saved_width() : saved_width()) : nullptr;
    const bool both = apart();
    const long first = kept.hat_x * H, c_slot = kept.c * H;
    by_vectors<T>(H, [&](long j, auto n) {
      if (coming) {
        for (int k = 0; k < hats<Cell>(); ++k) own_line(coming + first + k * H + j);
        if (Cell::STATES > 1) own_line(coming + c_slot + j);
      }
      alignas(VECTOR_BYTES) T sums[Cell::Z * L];
#pragma GCC unroll 4
      for (int slot = 0; slot < Cell::Z; ++slot) {
        const long k = j * Cell::Z + slot * L;
        Vec<T> sum = load(plus + k);
        if (slot >= Cell::X_FIRST && slot < Cell::X_FIRST + Cell::X_GATES) {
          const Vec<T> hat = (load(z + k) - x.mean) * x.scale;
          sum += hat * load(by_x + k);
          if (hat_x) store(hat_x + Cell::x_gate(slot) * H + j, hat, n);
        }
        if (both && slot >= Cell::H_FIRST && slot < Cell::H_FIRST + Cell::H_GATES) {
          const Vec<T> hat = (load(zh + k) - h.mean) * h.scale;
          sum += hat * load(by_h + k);
          if (hat_h) store(hat_h + Cell::h_gate(slot) * H + j, hat, n);
        }
        store(sums + slot * L, sum);
      }
      at.j = j;
      if (Cell::STATES > 1 && s.options.zoned) at.kept = keep(j);
      const Vec<T> before = Cell::STATES > 1 ? Vec<T>{} : load(old + j);
      store(m + j, Cell::forward(s, at, sums, before, c ? c + j : nullptr, nullptr, n));
      if (Cell::STATES == 1) return;
      if (kept_c) store(kept_c + j, load(c + j), n);
      if (j == 0) of_c.begin(load(at.row), n);
      of_c.add(load(at.row + j), n);
    });
    if (Cell::STATES > 1) normalise_c(o, r, of_c.of(H), saved);
  }

  // m = o tanh(LN(c')): m holds o, the row beside it c'.
  void normalise_c(const Own& o, long r, Stats<T> stats, T* saved) const {
    const auto& norm = s.options.norm_c;
    T *m = o.m + r * hidden_stride, *c = o.row + r * hidden_stride;
    by_vectors<T>(s.hidden, [&](long j, auto n) {
      const Vec<T> hat = (load(c + j) - stats.mean) * stats.scale;
      store(m + j, load(m + j) * tanh_of<T>(hat * load(norm.gain + j, n) + load(norm.shift + j, n)));
    });
    if (!saved) return;
    saved[kept.slots * s.hidden + 2] = stats.mean, saved[kept.slots * s.hidden + 3] = stats.scale;
  }

  // h~ = P m, into the next h.
  void project(const Walk<T>& rows, const Own& o, long t, long live) const {
    for (long r = 0; s.saved && r < live; ++r)
      std::memcpy(saved_of(rows, t, r) + kept.out * s.hidden, o.m + r * hidden_stride, s.hidden * sizeof(T));
    for (long p = 0; p < p_panels.count(); ++p)
      product(live, s.hidden, o.m, hidden_stride, 1L, P + p_panels.offset(p, s.hidden), p_panels.vectors(p), zero, 0L,
              o.h[1] + p_panels.start(p), stride);
  }

  // h' = h~, or with zoneout a mixture with h.
  void to_output(const Walk<T>& rows, const Own& o, long t, long r) const {
    const long b = rows.rows[r], p = rows.place(r, t);
    T *y = s.y + b * s.y_row + p * s.y_step, *h = o.h[1] + r * stride;
    const T *made = s.projected() ? h : o.m + r * hidden_stride, *old = o.h[0] + r * stride;
    const Keep<T> keep = Keep<T>::of(s.options, 0, b, p);
    const bool zoned = s.options.zoned;
    by_vectors<T>(width(), [&](long j, auto n) {
      Vec<T> v = load(made + j);
      if (zoned) {
        const Vec<T> k = keep(j);
        v = k * load(old + j) + (T(1) - k) * v;
      }
      store(h + j, v);
      store(y + j, v, n);
    });
  }
};

}  // namespace
