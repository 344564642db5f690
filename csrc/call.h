// A call of a stack of layers as Python hands it over: which tensors come in which order, read and checked.
#pragma once

#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include <array>

#include "arrays.h"
#include "hash.h"
#include "stack.h"

namespace {

// Tensors as Python hands them over, in this order (ops/kernel.py has the same), None where absent: those that all rows
// share, then each row's own. A row of a plain cell ends with the mask.
enum Shared { X, H_BEGIN, C_BEGIN, H_RESTART, C_RESTART, LENGTHS, RESETS, FIRST_ROW };
enum Slot {
  SLOT_W, SLOT_R, SLOT_B_IH, SLOT_B_HH, SLOT_MASK, PLAIN_SLOTS,
  SLOT_PEEPHOLE = PLAIN_SLOTS, SLOT_P, SLOT_NORMS, SLOT_KEY = SLOT_NORMS + 6, SLOTS
};

// What a cell with options is, beside its tensors, as Python hands it over: None, or (coupled_gates, reset before the
// product, zoneout's rates of h and c, None or the streams of their random numbers, the step these begin with).
template <class T> Options<T> flags_of(nb::handle from) {
  Options<T> o{};
  if (from.is_none()) return o;
  const auto [coupled, before, rates, streams, first] =
      nb::cast<std::tuple<bool, bool, std::pair<double, double>, nb::object, uint32_t>>(from);
  o.coupled = coupled, o.reset_before = before, o.zoned = rates.first > 0 || rates.second > 0;
  o.zoneout[0] = {rates.first, !streams.is_none(), 0, first};
  o.zoneout[1] = {rates.second, !streams.is_none(), 0, first};
  if (streams.is_none()) return o;
  const auto [h, c] = nb::cast<std::pair<uint32_t, uint32_t>>(streams);
  o.zoneout[0].seed = GOLDEN * (h + 1), o.zoneout[1].seed = GOLDEN * (c + 1);  // the key comes to it
  return o;
}

// One row of tensors, taken one by one.
template <class T> struct RowOf {
  nb::tuple all;
  long first, slots;
  nb::object operator[](long slot) const { return slot < slots ? nb::object(all[first + slot]) : nb::none(); }
  const T* read(long slot, const char* name, std::initializer_list<long> shape) const {
    return Lent((*this)[slot], name).template take<const T>(shape);
  }
};

// Widths of norm_x, norm_h, norm_c, by what the cell is.
inline std::array<long, 3> norm_widths(Kind kind, long hidden) {
  const long row = gates_of(kind) * hidden;
  return {row, kind == RNN ? 0 : row, kind == LSTM ? hidden : 0};
}

template <class T> Options<T> read_options(Options<T> o, Kind kind, long hidden, long output, const RowOf<T>& row) {
  o.peephole = kind == LSTM ? row.read(SLOT_PEEPHOLE, "peephole", {3, hidden}) : nullptr;
  o.P = kind == LSTM ? row.read(SLOT_P, "weight_hr", {output, hidden}) : nullptr;
  if ((output != hidden) != (o.P != nullptr)) refuse("weight_hr", "must be there where R has other columns than c");
  Norm<T>* norms[] = {&o.norm_x, &o.norm_h, &o.norm_c};
  const auto widths = norm_widths(kind, hidden);
  for (int i = 0; i < 3 && !row[SLOT_NORMS].is_none(); ++i) {
    if (!widths[i]) continue;
    norms[i]->gain = row.read(SLOT_NORMS + 2 * i, "a norm's weight", {widths[i]});
    norms[i]->shift = row.read(SLOT_NORMS + 2 * i + 1, "a norm's bias", {widths[i]});
    if (!norms[i]->gain || !norms[i]->shift) refuse("a norm's weight and bias", "must be there");
  }
  if (o.reset_before && (kind != GRU || o.normed())) refuse("a reset before the product", "is the plain GRU's alone");
  if (!o.zoned || !o.zoneout[0].drawn) return o;
  const int64_t* key = Lent(row[SLOT_KEY], "key").template take<const int64_t>({});
  if (!key) refuse("key", "must be there");
  for (Zoneout& z : o.zoneout) z.seed = mix(z.seed + uint32_t(*key));
  return o;
}

// What forward and backward both take: the plan is (kind, activation, reverse, layers, directions, options).
struct Call {
  long kind, activation, reverse, layers, directions;
  nb::object options;
  int threads;
  nb::tuple tensors;
  Call(const nb::tuple& plan, int threads, nb::tuple tensors) : threads(threads), tensors(std::move(tensors)) {
    if (nb::len(plan) != 6) refuse("plan", "must be of six parts");
    long* const numbers[] = {&kind, &activation, &reverse, &layers, &directions};
    for (size_t i = 0; i < 5; ++i) *numbers[i] = nb::cast<long>(plan[i]);
    options = plan[5];
    if (kind < RNN || kind >= KINDS || activation < TANH || activation > IDENTITY) refuse("kind", "is unknown");
    if (layers < 1 || directions < 1 || directions > 2) refuse("layers and directions", "are out of range");
    if (long(nb::len(this->tensors)) != FIRST_ROW + layers * directions * slots())
      refuse("parts", "must be " + std::to_string(slots()) + " a row");
  }
  long slots() const { return options.is_none() ? PLAIN_SLOTS : SLOTS; }
  template <class T> RowOf<T> row(long r) const { return {tensors, FIRST_ROW + r * slots(), slots()}; }
};

// States (rows, batch, hidden); of one row also (batch, hidden).
template <class T> T* take_states(const Lent& lent, long rows, long B, long H) {
  return rows == 1 && lent && lent.dims() == 2 ? lent.take<T>({B, H}) : lent.take<T>({rows, B, H});
}

// Everything that is read, checked. `order` is room that must live as long as the stack.
template <class T> Stack<T> read(const Call& call, const Lent& x, std::vector<int64_t>& order) {
  Stack<T> stack{{}, call.layers, call.directions, {}, nullptr};
  const long rows = stack.rows();
  if (x.dims() != 3) refuse("x", "must be (batch, time, input)");
  const RowOf<T> first = call.row<T>(0);
  const Lent first_R(first[SLOT_R], "R"), first_P(first[SLOT_P], "weight_hr");
  Scan<T>& s = stack.all;
  s.kind = Kind(call.kind), s.activation = Activation(call.activation), s.reverse = call.reverse, s.threads = call.threads;
  s.batch = x.size(0), s.time = x.size(1), s.input = x.size(2);
  s.output = s.hidden = first_R && first_R.dims() == 2 ? first_R.size(1) : 0;
  if (first_P && first_P.dims() == 2) s.hidden = first_P.size(1);
  const long B = s.batch, N = s.time, H = s.hidden, O = s.output, G = gates_of(s.kind) * H;
  if (H < 1) refuse("R", "must be (gates x hidden, hidden)");
  s.x = x.take<const T>({B, N, s.input}, 2), s.x_row = x.stride(0), s.x_step = x.stride(1);
  const auto shared = [&](Shared place, const char* name) { return Lent(call.tensors[size_t(place)], name); };
  const auto states = [&](Shared place, const char* name, long width) {
    return take_states<const T>(shared(place, name), rows, B, width);
  };
  s.begin[0] = states(H_BEGIN, "h", O), s.begin[1] = states(C_BEGIN, "c", H);
  s.restart[0] = states(H_RESTART, "restart h", O), s.restart[1] = states(C_RESTART, "restart c", H);
  s.lengths = shared(LENGTHS, "lengths").template take<const int64_t>({B});
  s.resets = shared(RESETS, "resets").template take<const uint8_t>({B, N});
  stack.parts.reserve(rows);
  for (long r = 0; r < rows; ++r) {
    const long D = r < call.directions ? s.input : stack.width();
    const RowOf<T> row = call.row<T>(r);
    const T *W = row.read(SLOT_W, "W", {G, D}), *R = row.read(SLOT_R, "R", {G, O});
    if (!W || !R) refuse("W and R", "must be there");
    stack.parts.push_back({W, R, row.read(SLOT_B_IH, "b_ih", {G}), row.read(SLOT_B_HH, "b_hh", {G}),
                           row.read(SLOT_MASK, "mask", {B, O}), flags_of<T>(call.options), {}});
    if (call.slots() == SLOTS) stack.parts[r].options = read_options(stack.parts[r].options, s.kind, H, O, row);
    if (stack.parts[r].options.normed() != stack.parts[0].options.normed()) refuse("rows", "must have the same norms");
  }
  s.options = stack.parts[0].options;
  if (s.lengths) {
    order.resize(B);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return s.lengths[a] > s.lengths[b]; });
    if (B && (s.lengths[order[0]] > N || s.lengths[order[B - 1]] < 0)) refuse("lengths", "lie outside 0..time");
    s.order = order.data();
  }
  return stack;
}

// y of the stack, by strides, and what was or will be kept.
template <class T> void take_output(Stack<T>& stack, nb::handle y, nb::handle kept, bool to_write) {
  Scan<T>& s = stack.all;
  const Lent output(y, "y", to_write), memory(kept, "kept", to_write);
  s.y = output.take<T>({s.batch, s.time, stack.width()}, 2);
  if (output) s.y_row = output.stride(0), s.y_step = output.stride(1);
  if (memory) stack.kept = memory.room<T>(stack.plan().numbers());
}

}  // namespace
