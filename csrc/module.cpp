// The extension ostinato._kernels: checks arrays, picks the instruction set, hands pointers to a kernel build.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <array>

#include "arrays.h"
#include "hash.h"
#include "peak.h"
#include "stack.h"
#include "stream.h"

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

namespace {

// Tensors of one row as Python hands them over, in this order (ops/kernel.py has the same); None where absent.
// A row of a plain cell ends with the mask.
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
  T* write(long slot, const char* name, std::initializer_list<long> shape) const {
    return Lent((*this)[slot], name, true).template take<T>(shape);
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

struct Call {  // what forward and backward both take
  int kind, activation;
  bool reverse;
  long layers, directions;
  int threads;
  nb::handle x, h, c, restart_h, restart_c, lengths, resets;
  nb::tuple parts;
  nb::handle options;
  long slots() const { return options.is_none() ? PLAIN_SLOTS : SLOTS; }
};

// States (rows, batch, hidden); of one row also (batch, hidden).
template <class T> T* take_states(const Lent& lent, long rows, long B, long H) {
  return rows == 1 && lent && lent.dims() == 2 ? lent.take<T>({B, H}) : lent.take<T>({rows, B, H});
}

// Everything that is read, checked. `order` is room that must live as long as the stack.
template <class T> Stack<T> read(const Call& call, const Lent& x, std::vector<int64_t>& order) {
  if (call.kind < RNN || call.kind > GRU || call.activation < TANH || call.activation > IDENTITY) refuse("kind", "is unknown");
  if (call.layers < 1 || call.directions < 1 || call.directions > 2) refuse("layers and directions", "are out of range");
  Stack<T> stack{{}, call.layers, call.directions, {}, nullptr};
  const long rows = stack.rows();
  const long slots = call.slots();
  if (long(nb::len(call.parts)) != rows * slots) refuse("parts", "must be " + std::to_string(slots) + " a row");
  if (x.dims() != 3) refuse("x", "must be (batch, time, input)");
  const Lent first_R(call.parts[size_t(SLOT_R)], "R");
  Scan<T>& s = stack.all;
  s.kind = Kind(call.kind), s.activation = Activation(call.activation), s.reverse = call.reverse, s.threads = call.threads;
  s.batch = x.size(0), s.time = x.size(1), s.input = x.size(2);
  s.output = s.hidden = first_R && first_R.dims() == 2 ? first_R.size(1) : 0;
  const Lent first_P(RowOf<T>{call.parts, 0, slots}[SLOT_P], "weight_hr");
  if (first_P && first_P.dims() == 2) s.hidden = first_P.size(1);
  const long B = s.batch, N = s.time, H = s.hidden, O = s.output, G = gates_of(s.kind) * H;
  if (H < 1) refuse("R", "must be (gates x hidden, hidden)");
  s.x = x.take<const T>({B, N, s.input}, 2), s.x_row = x.stride(0), s.x_step = x.stride(1);
  const auto states = [&](nb::handle from, const char* name, long width) {
    return take_states<const T>(Lent(from, name), rows, B, width);
  };
  s.begin[0] = states(call.h, "h", O), s.begin[1] = states(call.c, "c", H);
  s.restart[0] = states(call.restart_h, "restart h", O), s.restart[1] = states(call.restart_c, "restart c", H);
  s.lengths = Lent(call.lengths, "lengths").take<const int64_t>({B});
  s.resets = Lent(call.resets, "resets").take<const uint8_t>({B, N});
  for (long r = 0; r < rows; ++r) {
    const long D = r < call.directions ? s.input : stack.width();
    const RowOf<T> row{call.parts, r * slots, slots};
    const T *W = row.read(SLOT_W, "W", {G, D}), *R = row.read(SLOT_R, "R", {G, O});
    if (!W || !R) refuse("W and R", "must be there");
    stack.parts.push_back({W, R, row.read(SLOT_B_IH, "b_ih", {G}), row.read(SLOT_B_HH, "b_hh", {G}),
                           row.read(SLOT_MASK, "mask", {B, O}), flags_of<T>(call.options), {}});
    if (slots == SLOTS) stack.parts[r].options = read_options(stack.parts[r].options, s.kind, H, O, row);
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

template <class T>
void forward(const Call& call, const Lent& x, nb::handle y, nb::handle end_h, nb::handle end_c, nb::handle kept) {
  std::vector<int64_t> order;
  Stack<T> stack = read<T>(call, x, order);
  Scan<T>& s = stack.all;
  if (y.is_none()) refuse("y", "must be there");
  take_output(stack, y, kept, true);
  s.end[0] = take_states<T>(Lent(end_h, "end h", true), stack.rows(), s.batch, s.output);
  s.end[1] = take_states<T>(Lent(end_c, "end c", true), stack.rows(), s.batch, s.hidden);
  if (!s.batch) return;
  nb::gil_scoped_release others_may_run;
  stack.forward();
}

struct Out {  // the backward's own arrays
  nb::handle y, kept, dy, dend_h, dend_c, dx, dbegin_h, dbegin_c, drestart_h, drestart_c;
  nb::tuple dparts;  // as parts; None where not asked for
};

template <class T> void backward(const Call& call, const Lent& x, const Out& out, bool may_lose) {
  std::vector<int64_t> order;
  Stack<T> stack = read<T>(call, x, order);
  Scan<T>& s = stack.all;
  const long B = s.batch, N = s.time, H = s.hidden, O = s.output, G = gates_of(s.kind) * H, rows = stack.rows();
  if (out.y.is_none()) refuse("y", "must be there");
  take_output(stack, out.y, out.kept, false);
  if (B && N && !stack.kept && stack.plan().numbers()) refuse("kept", "must be there: the forward kept nothing");
  Gradient<T> g{};
  const Lent dy(out.dy, "dy");
  g.dy = dy.take<const T>({B, N, stack.width()}, 2);
  if (dy) g.dy_row = dy.stride(0), g.dy_step = dy.stride(1);
  g.dend[0] = take_states<const T>(Lent(out.dend_h, "dh"), rows, B, O);
  g.dend[1] = take_states<const T>(Lent(out.dend_c, "dc"), rows, B, H);
  g.dx = Lent(out.dx, "dx", true).take<T>({B, N, s.input});
  const auto states = [&](nb::handle to, const char* name, long width) {
    return take_states<T>(Lent(to, name, true), rows, B, width);
  };
  g.dbegin[0] = states(out.dbegin_h, "dbegin h", O), g.dbegin[1] = states(out.dbegin_c, "dbegin c", H);
  g.drestart[0] = states(out.drestart_h, "drestart h", O), g.drestart[1] = states(out.drestart_c, "drestart c", H);
  if (nb::len(out.dparts) != nb::len(call.parts)) refuse("dparts", "must be as many as parts");
  const auto widths = norm_widths(s.kind, H);
  for (long r = 0; r < rows; ++r) {
    Gradient<T>& to = stack.parts[r].to;
    const RowOf<T> row{out.dparts, r * call.slots(), call.slots()};
    to.dW = row.write(SLOT_W, "dW", {G, r < call.directions ? s.input : stack.width()});
    to.dR = row.write(SLOT_R, "dR", {G, O});
    to.db_ih = row.write(SLOT_B_IH, "db_ih", {G}), to.db_hh = row.write(SLOT_B_HH, "db_hh", {G});
    to.dpeephole = row.write(SLOT_PEEPHOLE, "dpeephole", {3, H}), to.dP = row.write(SLOT_P, "dweight_hr", {O, H});
    for (int i = 0; i < 3; ++i) {
      to.dgain[i] = row.write(SLOT_NORMS + 2 * i, "the gradient of a norm's weight", {widths[i]});
      to.dshift[i] = row.write(SLOT_NORMS + 2 * i + 1, "the gradient of a norm's bias", {widths[i]});
    }
  }
  nb::gil_scoped_release others_may_run;
  stack.backward(g, may_lose);
}

// A lent matrix by both strides: 1 where there is one row or column, so that some stride always is.
struct Strides {
  long row, column;
  explicit Strides(const Lent& m) : row(m.size(0) > 1 ? m.stride(0) : 1), column(m.size(1) > 1 ? m.stride(1) : 1) {}
};

// out = bias + a b, by the strides that the matrices have.
template <class T> void multiply(const Lent& a, nb::handle b_from, nb::handle bias, nb::handle to, int threads) {
  const Lent b(b_from, "b"), out(to, "out", true);
  if (a.dims() != 2 || b.dims() != 2 || a.size(1) != b.size(0)) refuse("a and b", "do not fit");
  Product<T> p{};
  p.rows = a.size(0), p.inner = a.size(1), p.columns = b.size(1);
  const Strides of_a(a), of_b(b);
  if ((of_a.row != 1 && of_a.column != 1) || (of_b.row != 1 && of_b.column != 1)) throw NotDense{};
  p.a_row = of_a.row, p.a_step = of_a.column, p.b_step = of_b.row, p.b_column = of_b.column;
  p.a = a.take<const T>({p.rows, p.inner}, 2), p.b = b.take<const T>({p.inner, p.columns}, 2);
  p.bias = Lent(bias, "bias").template take<const T>({p.columns});
  p.out = out.take<T>({p.rows, p.columns}), p.out_row = p.columns;
  if (!p.rows || !p.columns) return;
  if (!p.out) refuse("out", "must be there");
  const double work = double(p.rows) * p.inner * p.columns;
  p.threads = std::max(1, int(std::min({double(threads), double(MOST_THREADS), work / 4e5 + 1})));
  const auto run = of_type<T>(chosen()).multiply;
  nb::gil_scoped_release others_may_run;
  const Block scratch(run(p, nullptr));
  run(p, scratch.data());
}

// A mask (sequence, unit) of 1 / (1 - p), and 0 with probability p: ops/random.py's numbers.
template <class T> void fill_mask(const Lent& out, int64_t key, uint32_t stream, double p) {
  const long rows = out.size(0), units = out.size(1);
  T* to = out.take<T>({rows, units});
  const uint32_t seed = mix(uint32_t(key) + GOLDEN * (stream + 1));
  const uint64_t below = uint64_t(p * 4294967296.0);
  const T kept = T(1) / T(std::max(1 - p, 1e-6));
  for (long b = 0; b < rows && units; ++b) {
    const uint32_t row = mix(seed + GOLDEN * uint32_t(b + 1));
    for (long j = 0; j < units; ++j) *to++ = mix(row + GOLDEN * uint32_t(j + 1)) >= below ? kept : T(0);
  }
}

// f(number of x's type); false where an input is not dense, and then nothing was done.
template <class F> bool by_type(nb::handle from, const F& f) {
  const Lent x(from, "x");
  try {
    if (x.of<double>()) f(x, double());
    else if (x.of<float>()) f(x, float());
    else refuse("x", "must be float32 or float64");
  } catch (NotDense) {
    return false;
  }
  return true;
}

// A float array whose memory comes from the pool and goes back when the array dies.
template <class T> nb::ndarray<nb::numpy, T> pooled(size_t size) {
  auto* block = new Block(size * sizeof(T));
  nb::capsule owner(block, [](void* p) noexcept { delete static_cast<Block*>(p); });
  return nb::ndarray<nb::numpy, T>(block->data(), {size}, owner);
}

// Stream<T> as Python sees it: arrays in and out, the answer always in the same array.
template <class T> class PyStream {
 public:
  PyStream(long batch, long input, bool residual) : stream_(batch, input, residual) {
    if (batch < 1 || input < 1) refuse("batch and input", "must be at least 1");
    x_.resize(batch * input);
  }

  // One more layer: `part` as one row of a call's parts, `start` h or (h, c) to begin from.
  void add(int kind, int activation, nb::tuple part, nb::handle options, nb::tuple start) try {
    if (kind < RNN || kind > GRU || activation < TANH || activation > IDENTITY) refuse("kind", "is unknown");
    if (long(nb::len(part)) != SLOTS) refuse("part", "must be " + std::to_string(SLOTS) + " tensors");
    if (long(nb::len(start)) != (kind == LSTM ? 2 : 1)) refuse("start", "must be h, or h and c");
    const RowOf<T> row{part, 0, SLOTS};
    const Lent recurrent(row[SLOT_R], "R"), projection(row[SLOT_P], "weight_hr");
    if (!recurrent || recurrent.dims() != 2) refuse("R", "must be (gates x hidden, output)");
    Scan<T> s{};
    s.kind = Kind(kind), s.activation = Activation(activation), s.output = s.hidden = recurrent.size(1);
    if (projection && projection.dims() == 2) s.hidden = projection.size(1);
    const long H = s.hidden, O = s.output, G = gates_of(s.kind) * H;
    s.W = row.read(SLOT_W, "W", {G, stream_.width()}), s.R = row.read(SLOT_R, "R", {G, O});
    s.b_ih = row.read(SLOT_B_IH, "b_ih", {G}), s.b_hh = row.read(SLOT_B_HH, "b_hh", {G});
    s.options = read_options(flags_of<T>(options), s.kind, H, O, row);
    s.begin[0] = Lent(start[0], "start h").template take<const T>({O});
    if (kind == LSTM) s.begin[1] = Lent(start[1], "start c").template take<const T>({H});
    if (!s.W || !s.R || !s.begin[0] || (kind == LSTM && !s.begin[1])) refuse("W, R and start", "must be there");
    stream_.add(s);
    auto* y = new std::vector<T>(stream_.batch() * O);
    nb::capsule owner(y, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    answer_ = nb::cast(nb::ndarray<nb::numpy, T>(y->data(), {size_t(stream_.batch()), size_t(O)}, owner));
    y_ = y->data();
  } catch (NotDense) {
    refuse("a weight", "is not dense");
  }

  nb::object step(const Array& x) {
    if (x.ndim() != 2 || long(x.shape(0)) != stream_.batch() || long(x.shape(1)) != stream_.input())
      refuse("x", "must be (" + std::to_string(stream_.batch()) + ", " + std::to_string(stream_.input()) + ")");
    if (x.dtype() == nb::dtype<float>()) gather(static_cast<const float*>(x.data()), x.stride(0), x.stride(1));
    else if (x.dtype() == nb::dtype<double>()) gather(static_cast<const double*>(x.data()), x.stride(0), x.stride(1));
    else refuse("x", "must be float32 or float64");
    stream_.step(x_.data(), y_);
    return answer_;
  }

  void reset(long row) {
    if (row < 0 || row >= stream_.batch()) refuse("row", std::to_string(row) + " is no stream of this batch");
    stream_.reset(row);
  }

  // A view of h (which = 0) or c of one layer; it lives as long as the stream.
  nb::ndarray<nb::numpy, T> state(nb::handle self, size_t layer, int which) {
    if (layer >= stream_.layers() || which < 0 || which >= stream_.states(layer)) refuse("state", "is not there");
    return {stream_.state(layer, which), {size_t(stream_.batch()), size_t(stream_.size(layer, which))}, self};
  }

 private:
  template <class U> void gather(const U* from, int64_t row, int64_t column) {
    T* to = x_.data();
    for (long b = 0; b < stream_.batch(); ++b)
      for (long j = 0; j < stream_.input(); ++j) *to++ = T(from[b * row + j * column]);
  }

  Stream<T> stream_;
  std::vector<T> x_;
  nb::object answer_;
  T* y_ = nullptr;
};

template <class T> void bind_stream(nb::module_& m, const char* name) {
  nb::class_<PyStream<T>>(m, name, "A stack of layers that takes one step at a time.")
      .def(nb::init<long, long, bool>(), nb::arg("batch"), nb::arg("input"), nb::arg("residual"))
      .def("add", &PyStream<T>::add, nb::arg("kind"), nb::arg("activation"), nb::arg("part"),
           nb::arg("options").none(), nb::arg("start"))
      .def("step", &PyStream<T>::step, nb::arg("x").noconvert())
      .def("reset", &PyStream<T>::reset, nb::arg("row"))
      .def("state", [](nb::handle self, size_t layer, int which) {
        return nb::cast<PyStream<T>&>(self).state(self, layer, which);
      }, nb::arg("layer"), nb::arg("which"));
}

}  // namespace

#define OST_CALL                                                                                                    \
  int kind, int activation, bool reverse, long layers, long directions, int threads, nb::handle x, nb::handle h,     \
      nb::handle c, nb::handle restart_h, nb::handle restart_c, nb::handle lengths, nb::handle resets, nb::tuple parts, \
      nb::handle options
#define OST_PACK                                                                                                   \
  Call { kind, activation, reverse, layers, directions, threads, x, h, c, restart_h, restart_c, lengths, resets, parts, options }
#define OST_ARGS                                                                                                    \
  nb::arg("kind"), nb::arg("activation"), nb::arg("reverse"), nb::arg("layers"), nb::arg("directions"),             \
      nb::arg("threads"), nb::arg("x"), OST_OPTIONAL("h"), OST_OPTIONAL("c"), OST_OPTIONAL("restart_h"),             \
      OST_OPTIONAL("restart_c"), OST_OPTIONAL("lengths"), OST_OPTIONAL("resets"), nb::arg("parts"),         \
      OST_OPTIONAL("options")
#define OST_OPTIONAL(name) nb::arg(name).none()

NB_MODULE(_kernels, m) {
  m.doc() = "The fused kernels: plain pointers and sizes, no torch.";
  m.def("instruction_set", [] { return std::string(chosen().name); }, "The instruction set that was chosen.");
  m.def("saved", [](int kind, bool reset_before, bool projected, bool normed, bool zoned) {
    const Saved saved(Kind(kind), reset_before, projected, normed, zoned);
    return std::pair(saved.slots, saved.numbers);
  }, nb::arg("kind"), nb::arg("reset_before"), nb::arg("projected"), nb::arg("normed"), nb::arg("zoned"),
     "What is kept of a step: (times hidden, numbers beside).");
  m.def("kept_numbers", [](long steps, long width, long layers, long directions, long above) {
    return Kept(steps, width, layers, directions, above).numbers();
  }, nb::arg("steps"), nb::arg("width"), nb::arg("layers"), nb::arg("directions"), nb::arg("above"),
     "How many numbers a forward keeps for its backward, of which `width` for each step and row; `above` is y's width.");
  m.def("mask", [](nb::handle out, int64_t key, uint32_t stream, double p) {
    const Lent lent(out, "mask", true);
    if (lent.dims() != 2) refuse("mask", "must be (sequence, unit)");
    lent.of<double>() ? fill_mask<double>(lent, key, stream, p) : fill_mask<float>(lent, key, stream, p);
  }, nb::arg("out"), nb::arg("key"), nb::arg("stream"), nb::arg("p"), "A dropout mask of one number a sequence and unit.");
  m.def("multiply", [](nb::handle a, nb::handle b, nb::handle bias, nb::handle out, int threads) {
    return by_type(a, [&](const Lent& lent, auto number) { multiply<decltype(number)>(lent, b, bias, out, threads); });
  }, nb::arg("a"), nb::arg("b"), OST_OPTIONAL("bias"), nb::arg("out"), nb::arg("threads"),
     "out = bias + a b, with the same bits at any number of threads. False: no stride of a or b is 1, nothing was done.");
  m.def("fma_peak", &fma_peak, nb::arg("threads"), nb::arg("seconds"), nb::call_guard<nb::gil_scoped_release>(),
        "Multiplications and additions a second that this machine reaches in registers alone, measured now.");
  m.def("pooled_f32", &pooled<float>, nb::arg("size"), "So many float32 in memory that is used again.");
  m.def("pooled_f64", &pooled<double>, nb::arg("size"), "So many float64 in memory that is used again.");
  bind_stream<float>(m, "StreamF32");
  bind_stream<double>(m, "StreamF64");
  m.def("forward", [](OST_CALL, nb::handle y, nb::handle end_h, nb::handle end_c, nb::handle kept) {
    return by_type(x, [&](const Lent& lent, auto number) {
      forward<decltype(number)>(OST_PACK, lent, y, end_h, end_c, kept);
    });
  }, OST_ARGS, nb::arg("y"), OST_OPTIONAL("end_h"), OST_OPTIONAL("end_c"), OST_OPTIONAL("kept"),
     "A stack of layers forward, into y, the end states and what a backward needs. False: an input is not dense, "
     "nothing was done.");
  m.def("backward", [](OST_CALL, nb::handle y, nb::handle kept, nb::handle dy, nb::handle dend_h, nb::handle dend_c,
                       nb::handle dx, nb::handle dbegin_h, nb::handle dbegin_c, nb::handle drestart_h,
                       nb::handle drestart_c, nb::tuple dparts, bool may_lose) {
    const Out out{y, kept, dy, dend_h, dend_c, dx, dbegin_h, dbegin_c, drestart_h, drestart_c, dparts};
    return by_type(x, [&](const Lent& lent, auto number) { backward<decltype(number)>(OST_PACK, lent, out, may_lose); });
  }, OST_ARGS, nb::arg("y"), OST_OPTIONAL("kept"), OST_OPTIONAL("dy"), OST_OPTIONAL("dend_h"), OST_OPTIONAL("dend_c"),
     OST_OPTIONAL("dx"), OST_OPTIONAL("dbegin_h"), OST_OPTIONAL("dbegin_c"), OST_OPTIONAL("drestart_h"),
     OST_OPTIONAL("drestart_c"), nb::arg("dparts"), nb::arg("may_lose"),
     "A stack of layers backward, into the gradients that are asked for; False as forward's. `may_lose`: what was kept "
     "may be written over.");
}
