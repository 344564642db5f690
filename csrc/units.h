// How a row of z lies, and the weights that make it: panels of a few hidden units with all their gates.
#pragma once

#include <algorithm>

#include "factor.h"

namespace {

// The weights of one product, packed by panels of units: for each step of k, the units' gates side by side.
template <class T, class Cell> struct UnitPanels {
  static constexpr int L = LANES<T>;
  long hidden;
  long vectors() const { return ceil_div(hidden, L); }
  long count() const { return ceil_div(vectors(), Cell::UNITS); }
  int units(long u) const {
    const long left = vectors() - u * Cell::UNITS;
    return int(left < Cell::UNITS ? left : Cell::UNITS);
  }
  long first(long u) const { return u * Cell::UNITS * L; }      // hidden unit
  long width(long u) const { return std::min<long>(hidden - first(u), Cell::UNITS * L); }
  long z_offset(long u) const { return first(u) * Cell::Z; }     // of panel u in a whole row of z
  long z_width() const { return vectors() * L * Cell::Z; }       // a whole row of z

  // The share of one thread out of some: from this panel to the next thread's.
  long begin(int thread, int threads) const { return count() * thread / threads; }
  // Where panel u of a packed matrix begins.
  long offset(long u, const Packing<T>& packing, int slots) const { return first(u) / L * slots * packing.each(); }

  // Gates x hidden rows of K numbers -> panels; slot s of the panel is row block gate(s) of the weights.
  template <class Gate>
  void pack(const T* weights, const Packing<T>& packing, int slots, int first_slot, Gate gate, T* packed, int part,
            int parts) const {
    for (long u = begin(part, parts); u < begin(part + 1, parts); ++u) {
      const int Q = slots * units(u);
      for (int q = 0; q < Q; ++q) {
        const long unit = first(u) + q / slots * L, left = hidden - unit;
        const T* from = weights + (gate(first_slot + q % slots) * hidden + unit) * packing.K;
        packing.lanes(from, packing.K, int(left < L ? left : L), packed + offset(u, packing, slots), q, Q);
      }
    }
  }
  // Both biases, summed where a slot is filled by both products, in the layout of a row of z.
  void pack_bias(const Scan<T>& s, T* to) const {
    for (long u = 0; u < count(); ++u)
      for (int v = 0; v < units(u); ++v)
        for (int slot = 0; slot < Cell::Z; ++slot)
          for (int lane = 0; lane < L; ++lane, ++to) *to = bias(s, slot, first(u) + v * L + lane);
  }
  T bias(const Scan<T>& s, int slot, long unit) const {
    T sum = 0;
    if (unit >= hidden) return sum;
    const bool by_x = slot >= Cell::X_FIRST && slot < Cell::X_FIRST + Cell::X_GATES;
    const bool by_h = slot >= Cell::H_FIRST && slot < Cell::H_FIRST + Cell::H_GATES;
    if (by_x && s.b_ih) sum += s.b_ih[Cell::x_gate(slot) * hidden + unit];
    if (by_h && s.b_hh) sum += s.b_hh[Cell::h_gate(slot) * hidden + unit];
    if (by_x && s.options.norm_x.shift) sum += s.options.norm_x.shift[Cell::x_gate(slot) * hidden + unit];
    if (by_h && s.options.norm_h.shift) sum += s.options.norm_h.shift[Cell::h_gate(slot) * hidden + unit];
    return sum;
  }
  // A norm's gains in the layout of a row of z.
  template <class Gate> void pack_gain(const T* gain, int first_slot, int slots, Gate gate, T* to) const {
    std::memset(to, 0, z_width() * sizeof(T));
    for (long j = 0; j < hidden; ++j)
      for (int slot = first_slot; slot < first_slot + slots; ++slot)
        to[j / L * L * Cell::Z + slot * L + j % L] = gain[gate(slot) * hidden + j];
  }
};

// Whether so many weights, which each of a few threads needs at every step, are packed by each for itself: to take half of
// them out of another's cache, and from the lines that this one reads there to write the next call's, costs more.
constexpr int MOST_COPIES = 4;
template <class T> bool packs_alone(const Scan<T>& s, long numbers) {
  return s.threads > 1 && s.threads <= MOST_COPIES && numbers * long(sizeof(T)) <= FAR;
}

// The weights of a forward, as its products want them.
template <class T, class Cell> struct PackedWeights {
  static constexpr int L = LANES<T>;
  const Scan<T>& s;
  const UnitPanels<T, Cell> panels;
  Packing<T> of_x, of_h;
  const Panels<T> n_panels, p_panels;  // of second products: the GRU's R_n (r h), the projection
  const long hidden_stride;            // of a row of units
  T *W, *R, *bias, *Rn, *bias_n, *P, *gain_x, *gain_h;

  explicit PackedWeights(const Scan<T>& s)
      : s(s), panels{s.hidden},
        of_x(Packing<T>::of_step(s.input, Cell::X_GATES * s.hidden, s.batch * s.time, Packing<T>::LEAST_AHEAD)),
        of_h(Packing<T>::of_step(s.output, h_gates() * s.hidden, s.batch)), n_panels{s.hidden}, p_panels{s.output},
        hidden_stride(spread<T>(s.hidden)) {}

  bool normed() const { return Cell::OPTIONS && s.options.normed(); }
  bool apart() const { return normed() && s.kind != RNN; }  // W x and R h are normed each for itself
  bool reset_before() const { return Cell::OPTIONS && s.options.reset_before; }
  int h_gates() const { return reset_before() ? 2 : Cell::H_GATES; }
  // Of W and R, all that a step reads.
  long numbers() const { return (Cell::X_GATES * of_x.each() + h_gates() * of_h.each()) * panels.vectors(); }

  // Where the packed weights lie.
  size_t lay_out(char* to) {
    const long H = s.hidden;
    Arena arena{to};
    W = arena.take<T>(panels.vectors() * Cell::X_GATES * of_x.each());
    R = arena.take<T>(panels.vectors() * h_gates() * of_h.each());
    of_x.balance = arena.take<T>(of_x.balanced()), of_h.balance = arena.take<T>(of_h.balanced());
    bias = arena.take<T>(panels.z_width());
    if (!Cell::OPTIONS) return arena.used;
    Rn = arena.take<T>(reset_before() ? n_panels.size(H) : 0);
    bias_n = arena.take<T>(reset_before() ? hidden_stride : 0);
    P = arena.take<T>(s.projected() ? p_panels.size(H) : 0);
    gain_x = arena.take<T>(normed() ? panels.z_width() : 0);
    gain_h = arena.take<T>(apart() ? panels.z_width() : 0);
    return arena.used;
  }

  // One of some parts of what comes before the packing, if anything does.
  bool balanced() const { return of_x.tiled || of_h.tiled; }
  void balance(int part, int parts) const {
    of_x.balance_lanes_of(s.W, s.input, Cell::X_GATES * s.hidden, part, parts);
    of_h.balance_lanes_of(s.R, s.output, h_gates() * s.hidden, part, parts);
  }
  // One of some parts of the packing.
  void fill(int part, int parts) const {
    panels.pack(s.W, of_x, Cell::X_GATES, Cell::X_FIRST, Cell::x_gate, W, part, parts);
    panels.pack(s.R, of_h, h_gates(), Cell::H_FIRST, Cell::h_gate, R, part, parts);
    if (part > 0) return;
    panels.pack_bias(s, bias);
    if (!Cell::OPTIONS) return;
    const long H = s.hidden;
    if (reset_before()) {
      pack_turned(n_panels, s.R + 2 * H * H, H, Rn);
      copy_padded(bias_n, s.b_hh ? s.b_hh + 2 * H : nullptr, H, hidden_stride);
    }
    if (s.projected()) pack_turned(p_panels, s.options.P, H, P);
    if (normed()) panels.pack_gain(s.options.norm_x.gain, Cell::X_FIRST, Cell::X_GATES, Cell::x_gate, gain_x);
    if (apart()) panels.pack_gain(s.options.norm_h.gain, Cell::H_FIRST, Cell::H_GATES, Cell::h_gate, gain_h);
  }
  // Rows of K numbers become the columns of panels.
  static void pack_turned(Panels<T> columns, const T* weights, long K, T* to) {
    for (long p = 0; p < columns.count(); ++p)
      for (int q = 0; q < columns.vectors(p); ++q) {
        const long first = columns.start(p) + q * L, left = columns.columns - first;
        pack_lanes(weights + first * K, K, K, int(left < L ? left : L), to + columns.offset(p, K) + q * L,
                   columns.vectors(p) * L);
      }
  }
};

}  // namespace
