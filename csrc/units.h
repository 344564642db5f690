// How a row of z lies, and the weights that make it: panels of a few hidden units with all their gates.
#pragma once

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

}  // namespace
