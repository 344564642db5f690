// The extension ostinato._kernels: checks arrays, picks the instruction set, hands pointers to a kernel build.
#include <nanobind/stl/string.h>

#include "arrays.h"
#include "stack.h"
#include "stream.h"

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

namespace {

// A weight of a stream.
template <class T> const T* weight(nb::handle from, const char* name, std::initializer_list<long> shape) {
  try {
    return Lent(from, name).take<const T>(shape);
  } catch (NotDense) {
    refuse(name, "is not dense");
  }
}

// Tensors of one row as Python hands them over, in this order (ops/kernel.py has the same); None where absent.
enum Slot { SLOT_W, SLOT_R, SLOT_B_IH, SLOT_B_HH, SLOT_MASK, SLOTS };

struct Call {  // what forward and backward both take
  int kind, activation;
  bool reverse;
  long layers, directions;
  int threads;
  nb::handle x, h, c, restart_h, restart_c, lengths, resets;
  nb::tuple parts;
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
  if (long(nb::len(call.parts)) != rows * SLOTS) refuse("parts", "must be " + std::to_string(SLOTS) + " a row");
  if (x.dims() != 3) refuse("x", "must be (batch, time, input)");
  const Lent first_R(call.parts[size_t(SLOT_R)], "R");
  Scan<T>& s = stack.all;
  s.kind = Kind(call.kind), s.activation = Activation(call.activation), s.reverse = call.reverse, s.threads = call.threads;
  s.batch = x.size(0), s.time = x.size(1), s.input = x.size(2);
  s.hidden = first_R && first_R.dims() == 2 ? first_R.size(1) : 0;
  const long B = s.batch, N = s.time, H = s.hidden, G = gates_of(s.kind) * H;
  if (H < 1) refuse("R", "must be (gates x hidden, hidden)");
  s.x = x.take<const T>({B, N, s.input}, 2), s.x_row = x.stride(0), s.x_step = x.stride(1);
  const auto states = [&](nb::handle from, const char* name) { return take_states<const T>(Lent(from, name), rows, B, H); };
  s.begin[0] = states(call.h, "h"), s.begin[1] = states(call.c, "c");
  s.restart[0] = states(call.restart_h, "restart h"), s.restart[1] = states(call.restart_c, "restart c");
  s.lengths = Lent(call.lengths, "lengths").take<const int64_t>({B});
  s.resets = Lent(call.resets, "resets").take<const uint8_t>({B, N});
  for (long r = 0; r < rows; ++r) {
    const long D = r < call.directions ? s.input : stack.width();
    const auto part = [&](Slot slot, const char* name, std::initializer_list<long> shape) {
      return Lent(call.parts[r * SLOTS + slot], name).take<const T>(shape);
    };
    const T *W = part(SLOT_W, "W", {G, D}), *R = part(SLOT_R, "R", {G, H});
    if (!W || !R) refuse("W and R", "must be there");
    stack.parts.push_back({W, R, part(SLOT_B_IH, "b_ih", {G}), part(SLOT_B_HH, "b_hh", {G}),
                           part(SLOT_MASK, "mask", {B, H}), nullptr, nullptr, nullptr, nullptr});
  }
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
  s.end[0] = take_states<T>(Lent(end_h, "end h", true), stack.rows(), s.batch, s.hidden);
  s.end[1] = take_states<T>(Lent(end_c, "end c", true), stack.rows(), s.batch, s.hidden);
  if (!s.batch) return;
  nb::gil_scoped_release others_may_run;
  stack.forward();
}

struct Out {  // the backward's own arrays
  nb::handle y, kept, dy, dend_h, dend_c, dx, dbegin_h, dbegin_c, drestart_h, drestart_c;
  nb::tuple dparts;  // as parts; None where not asked for
};

template <class T> void backward(const Call& call, const Lent& x, const Out& out) {
  std::vector<int64_t> order;
  Stack<T> stack = read<T>(call, x, order);
  Scan<T>& s = stack.all;
  const long B = s.batch, N = s.time, H = s.hidden, G = gates_of(s.kind) * H, rows = stack.rows();
  if (out.y.is_none()) refuse("y", "must be there");
  take_output(stack, out.y, out.kept, false);
  if (B && N && !stack.kept && stack.plan().numbers()) refuse("kept", "must be there: the forward kept nothing");
  Gradient<T> g{};
  const Lent dy(out.dy, "dy");
  g.dy = dy.take<const T>({B, N, stack.width()}, 2);
  if (dy) g.dy_row = dy.stride(0), g.dy_step = dy.stride(1);
  g.dend[0] = take_states<const T>(Lent(out.dend_h, "dh"), rows, B, H);
  g.dend[1] = take_states<const T>(Lent(out.dend_c, "dc"), rows, B, H);
  g.dx = Lent(out.dx, "dx", true).take<T>({B, N, s.input});
  const auto states = [&](nb::handle to, const char* name) { return take_states<T>(Lent(to, name, true), rows, B, H); };
  g.dbegin[0] = states(out.dbegin_h, "dbegin h"), g.dbegin[1] = states(out.dbegin_c, "dbegin c");
  g.drestart[0] = states(out.drestart_h, "drestart h"), g.drestart[1] = states(out.drestart_c, "drestart c");
  if (long(nb::len(out.dparts)) != rows * SLOTS) refuse("dparts", "must be as many as parts");
  for (long r = 0; r < rows; ++r) {
    Part<T>& part = stack.parts[r];
    const auto room = [&](Slot slot, const char* name, std::initializer_list<long> shape) {
      return Lent(out.dparts[r * SLOTS + slot], name, true).take<T>(shape);
    };
    part.dW = room(SLOT_W, "dW", {G, r < call.directions ? s.input : stack.width()});
    part.dR = room(SLOT_R, "dR", {G, H});
    part.db_ih = room(SLOT_B_IH, "db_ih", {G}), part.db_hh = room(SLOT_B_HH, "db_hh", {G});
  }
  nb::gil_scoped_release others_may_run;
  stack.backward(g);
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

  void add(int kind, int activation, nb::handle W, nb::handle R, nb::handle b_ih, nb::handle b_hh, nb::handle start) {
    const Lent recurrent(R, "R");
    if (!recurrent || recurrent.dims() != 2) refuse("R", "must be (gates x hidden, hidden)");
    const long H = recurrent.size(1), G = gates_of(Kind(kind)) * H;
    stream_.add(Kind(kind), Activation(activation), H, weight<T>(W, "W", {G, stream_.width()}),
                weight<T>(R, "R", {G, H}), weight<T>(b_ih, "b_ih", {G}), weight<T>(b_hh, "b_hh", {G}),
                weight<T>(start, "start", {kind == LSTM ? 2 : 1, H}));
    auto* y = new std::vector<T>(stream_.batch() * H);
    nb::capsule owner(y, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    answer_ = nb::cast(nb::ndarray<nb::numpy, T>(y->data(), {size_t(stream_.batch()), size_t(H)}, owner));
    y_ = y->data();
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
    return {stream_.state(layer, which), {size_t(stream_.batch()), size_t(stream_.hidden(layer))}, self};
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
      .def("add", &PyStream<T>::add, nb::arg("kind"), nb::arg("activation"), nb::arg("W"),
           nb::arg("R"), nb::arg("b_ih").none(), nb::arg("b_hh").none(), nb::arg("start"))
      .def("step", &PyStream<T>::step, nb::arg("x").noconvert())
      .def("reset", &PyStream<T>::reset, nb::arg("row"))
      .def("state", [](nb::handle self, size_t layer, int which) {
        return nb::cast<PyStream<T>&>(self).state(self, layer, which);
      }, nb::arg("layer"), nb::arg("which"));
}

}  // namespace

#define OST_CALL                                                                                                    \
  int kind, int activation, bool reverse, long layers, long directions, int threads, nb::handle x, nb::handle h,     \
      nb::handle c, nb::handle restart_h, nb::handle restart_c, nb::handle lengths, nb::handle resets, nb::tuple parts
#define OST_PACK                                                                                                   \
  Call { kind, activation, reverse, layers, directions, threads, x, h, c, restart_h, restart_c, lengths, resets, parts }
#define OST_ARGS                                                                                                    \
  nb::arg("kind"), nb::arg("activation"), nb::arg("reverse"), nb::arg("layers"), nb::arg("directions"),             \
      nb::arg("threads"), nb::arg("x"), OST_OPTIONAL("h"), OST_OPTIONAL("c"), OST_OPTIONAL("restart_h"),             \
      OST_OPTIONAL("restart_c"), OST_OPTIONAL("lengths"), OST_OPTIONAL("resets"), nb::arg("parts")
#define OST_OPTIONAL(name) nb::arg(name).none()

NB_MODULE(_kernels, m) {
  m.doc() = "The fused kernels: plain pointers and sizes, no torch.";
  m.def("instruction_set", [] { return std::string(chosen().name); }, "The instruction set that was chosen.");
  m.def("saved_slots", [](int kind) { return saved_slots(Kind(kind)); }, nb::arg("kind"), "Times hidden: what is kept of a step.");
  m.def("kept_numbers", [](int kind, long layers, long directions, long batch, long time, long hidden) {
    return Kept(Kind(kind), layers, directions, batch, time, hidden).numbers();
  }, nb::arg("kind"), nb::arg("layers"), nb::arg("directions"), nb::arg("batch"), nb::arg("time"), nb::arg("hidden"),
     "How many numbers a forward keeps for its backward.");
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
                       nb::handle drestart_c, nb::tuple dparts) {
    const Out out{y, kept, dy, dend_h, dend_c, dx, dbegin_h, dbegin_c, drestart_h, drestart_c, dparts};
    return by_type(x, [&](const Lent& lent, auto number) { backward<decltype(number)>(OST_PACK, lent, out); });
  }, OST_ARGS, nb::arg("y"), OST_OPTIONAL("kept"), OST_OPTIONAL("dy"), OST_OPTIONAL("dend_h"), OST_OPTIONAL("dend_c"),
     OST_OPTIONAL("dx"), OST_OPTIONAL("dbegin_h"), OST_OPTIONAL("dbegin_c"), OST_OPTIONAL("drestart_h"),
     OST_OPTIONAL("drestart_c"), nb::arg("dparts"),
     "A stack of layers backward, into the gradients that are asked for; False as forward's.");
}
