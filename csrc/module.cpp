// The extension ostinato._kernels: what Python calls, each handing checked pointers to the chosen kernel build.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "call.h"
#include "peak.h"
#include "straight.h"
#include "stream.h"

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

namespace {

// (y, h, c or None, what was kept or None): y is made where no room for it is given, the others always.
template <class T> nb::tuple forward(const Call& call, const Lent& x, nb::handle room, bool keep) {
  std::vector<int64_t> order;
  Stack<T> stack = read<T>(call, x, order);
  Scan<T>& s = stack.all;
  const nb::handle like = call.tensors[size_t(X)];
  const Maker maker(like);
  const long B = s.batch, rows = stack.rows();
  const bool single = rows == 1 && [&] { const Lent h(call.tensors[size_t(H_BEGIN)], "h"); return h && h.dims() == 2; }();
  const auto states = [&](long width, T*& to) {
    return single ? maker.make<T>({B, width}, to) : maker.make<T>({rows, B, width}, to);
  };
  nb::object y = nb::borrow(room), h, c = nb::none(), kept = nb::none();
  if (room.is_none()) {
    y = maker.make<T>({B, s.time, stack.width()}, s.y);
    s.y_step = stack.width(), s.y_row = s.time * s.y_step;
  } else {
    take_output(stack, room, nb::none(), true);
  }
  h = states(s.output, s.end[0]);
  if (s.kind == LSTM) c = states(s.hidden, s.end[1]);
  if (const long numbers = keep ? stack.plan().numbers() : 0) kept = maker.make<T>({numbers}, stack.kept);
  if (B) {
    nb::gil_scoped_release others_may_run;
    stack.forward();
  }
  return nb::make_tuple(y, h, c, kept);
}

// The gradients of a call's tensors: those that are asked for are made as they are come to, the others stay None.
template <class T> class Asked {
 public:
  Asked(const Call& call, nb::tuple wanted)
      : tensors_(call.tensors), wanted_(std::move(wanted)), maker_(tensors_[size_t(X)]), made_(nb::len(tensors_), nb::none()) {
    if (nb::len(wanted_) != made_.size()) refuse("wanted", "must be as many as the tensors");
  }
  // Null where it is not asked for, or empty.
  T* at(long place, std::initializer_list<long> shape) {
    T* to = nullptr;
    if (asked(place)) made_[place] = maker_.make<T>(shape, to);
    return to;
  }
  // Of the shape that the tensor has: (rows, batch, size), or (batch, size).
  T* states(long place, const char* name, long rows, long batch, long size) {
    if (!asked(place)) return nullptr;
    return Lent(tensors_[size_t(place)], name).dims() == 2 ? at(place, {batch, size}) : at(place, {rows, batch, size});
  }
  nb::tuple all() const {
    nb::object tuple = nb::steal(PyTuple_New(Py_ssize_t(made_.size())));
    if (!tuple) throw nb::python_error();
    for (size_t i = 0; i < made_.size(); ++i) PyTuple_SET_ITEM(tuple.ptr(), Py_ssize_t(i), nb::object(made_[i]).release().ptr());
    return nb::borrow<nb::tuple>(tuple);
  }

 private:
  bool asked(long place) const {
    return PyObject_IsTrue(nb::handle(wanted_[size_t(place)]).ptr()) == 1 && !tensors_[size_t(place)].is_none();
  }

  nb::tuple tensors_, wanted_;
  Maker maker_;
  std::vector<nb::object> made_;
};

struct Out {  // what a backward begins from: the forward's, and the gradients of y, h and c
  nb::handle y, kept;
  nb::tuple gradients;
};

template <class T> nb::tuple backward(const Call& call, const Lent& x, const Out& out, nb::tuple wanted, bool may_lose) {
  std::vector<int64_t> order;
  Stack<T> stack = read<T>(call, x, order);
  Scan<T>& s = stack.all;
  const long B = s.batch, N = s.time, H = s.hidden, O = s.output, G = gates_of(s.kind) * H, rows = stack.rows();
  if (out.y.is_none()) refuse("y", "must be there");
  take_output(stack, out.y, out.kept, false);
  if (B && N && !stack.kept && stack.plan().numbers()) refuse("kept", "must be there: the forward kept nothing");
  if (nb::len(out.gradients) != 3) refuse("gradients", "must be those of y, h and c");
  Gradient<T> g{};
  const Lent dy(out.gradients[0], "dy");
  g.dy = dy.take<const T>({B, N, stack.width()}, 2);
  if (dy) g.dy_row = dy.stride(0), g.dy_step = dy.stride(1);
  g.dend[0] = take_states<const T>(Lent(out.gradients[1], "dh"), rows, B, O);
  g.dend[1] = take_states<const T>(Lent(out.gradients[2], "dc"), rows, B, H);
  Asked<T> asked(call, std::move(wanted));
  g.dx = asked.at(X, {B, N, s.input});
  g.dbegin[0] = asked.states(H_BEGIN, "h", rows, B, O), g.dbegin[1] = asked.states(C_BEGIN, "c", rows, B, H);
  g.drestart[0] = asked.states(H_RESTART, "restart h", rows, B, O);
  g.drestart[1] = asked.states(C_RESTART, "restart c", rows, B, H);
  const auto widths = norm_widths(s.kind, H);
  for (long r = 0; r < rows; ++r) {
    Gradient<T>& to = stack.parts[r].to;
    const long first = FIRST_ROW + r * call.slots();
    to.dW = asked.at(first + SLOT_W, {G, r < call.directions ? s.input : stack.width()});
    to.dR = asked.at(first + SLOT_R, {G, O});
    to.db_ih = asked.at(first + SLOT_B_IH, {G}), to.db_hh = asked.at(first + SLOT_B_HH, {G});
    if (call.slots() == PLAIN_SLOTS) continue;
    to.dpeephole = asked.at(first + SLOT_PEEPHOLE, {3, H}), to.dP = asked.at(first + SLOT_P, {O, H});
    for (int i = 0; i < 3; ++i) {
      to.dgain[i] = asked.at(first + SLOT_NORMS + 2 * i, {widths[i]});
      to.dshift[i] = asked.at(first + SLOT_NORMS + 2 * i + 1, {widths[i]});
    }
  }
  {
    nb::gil_scoped_release others_may_run;
    stack.backward(g, may_lose);
  }
  return asked.all();
}

// A lent matrix by both strides: 1 where there is one row or column, so that some stride always is.
struct Strides {
  long row, column;
  explicit Strides(const Lent& m) : row(m.size(0) > 1 ? m.stride(0) : 1), column(m.size(1) > 1 ? m.stride(1) : 1) {}
};

// bias + a b, by the strides that the matrices have.
template <class T> nb::object multiply(nb::handle like, const Lent& a, nb::handle b_from, nb::handle bias, int threads) {
  const Lent b(b_from, "b");
  if (a.dims() != 2 || b.dims() != 2 || a.size(1) != b.size(0)) refuse("a and b", "do not fit");
  Product<T> p{};
  p.rows = a.size(0), p.inner = a.size(1), p.columns = b.size(1);
  const Strides of_a(a), of_b(b);
  if ((of_a.row != 1 && of_a.column != 1) || (of_b.row != 1 && of_b.column != 1)) throw NotDense{};
  p.a_row = of_a.row, p.a_step = of_a.column, p.b_step = of_b.row, p.b_column = of_b.column;
  p.a = a.take<const T>({p.rows, p.inner}, 2), p.b = b.take<const T>({p.inner, p.columns}, 2);
  p.bias = Lent(bias, "bias").template take<const T>({p.columns});
  nb::object out = Maker(like).make<T>({p.rows, p.columns}, p.out);
  p.out_row = p.columns;
  if (!p.out) return out;
  const double work = double(p.rows) * p.inner * p.columns;
  p.threads = std::max(1, int(std::min({double(threads), double(MOST_THREADS), work / 4e5 + 1})));
  const auto run = of_type<T>(chosen()).multiply;
  {
    nb::gil_scoped_release others_may_run;
    const Block scratch(run(p, nullptr));
    run(p, scratch.data());
  }
  return out;
}

// A mask (sequence, unit) or (sequence, step, unit) of 1 / (1 - p), and 0 with probability p: ops/random.py's numbers.
template <class T> void fill_mask(const Lent& out, int64_t key, uint32_t stream, double p, int threads) {
  const bool of_steps = out.dims() == 3;
  Mask<T> m{};
  m.sequences = out.size(0), m.steps = of_steps ? out.size(1) : 0, m.units = out.size(of_steps ? 2 : 1);
  m.to = of_steps ? out.take<T>({m.sequences, m.steps, m.units}) : out.take<T>({m.sequences, m.units});
  if (!m.to) return;  // there are no numbers in it
  m.seed = mix(uint32_t(key) + GOLDEN * (stream + 1)), m.rate = p;
  const double numbers = double(m.sequences) * std::max(m.steps, 1L) * m.units;
  m.threads = std::max(1, int(std::min({double(threads), double(MOST_THREADS), numbers / 1e5 + 1})));
  const auto run = of_type<T>(chosen()).mask;
  nb::gil_scoped_release others_may_run;
  run(m);
}

// f(x, a number of its type); nothing where an input is not dense, and then nothing was done.
template <class Found, class F> std::optional<Found> by_type(nb::handle from, const F& f) {
  const Lent x(from, "x");
  try {
    if (x.of<double>()) return f(x, double());
    if (x.of<float>()) return f(x, float());
  } catch (NotDense) {
    return std::nullopt;
  }
  refuse("x", "must be float32 or float64");
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
    if (kind < RNN || kind >= KINDS || activation < TANH || activation > IDENTITY) refuse("kind", "is unknown");
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

  nb::object step(nb::handle given) {
    Array x;
    if (!nb::try_cast(given, x, false)) {
      std::string found = nb::type_name(given.type()).c_str();
      if (nb::hasattr(given, "dtype")) found += " of " + dtype_of(given);
      throw nb::type_error(("x must be an array of float32 or float64 on the CPU, found " + found).c_str());
    }
    if (x.ndim() != 2 || long(x.shape(0)) != stream_.batch() || long(x.shape(1)) != stream_.input())
      refuse("x", "must be " + shape({stream_.batch(), stream_.input()}) + ", found " + shape(x));
    if (x.dtype() == nb::dtype<float>()) gather(static_cast<const float*>(x.data()), x.stride(0), x.stride(1));
    else if (x.dtype() == nb::dtype<double>()) gather(static_cast<const double*>(x.data()), x.stride(0), x.stride(1));
    else refuse("x", "must be float32 or float64, found " + dtype_of(given));
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
  static std::string dtype_of(nb::handle array) {
    const nb::object dtype = array.attr("dtype");
    return nb::str(nb::handle(dtype)).c_str();
  }
  static std::string shape(const std::vector<long>& sizes) {
    std::string words;
    for (long n : sizes) words += (words.empty() ? "" : ", ") + std::to_string(n);
    return "(" + words + (sizes.size() == 1 ? ",)" : ")");
  }
  static std::string shape(const Array& x) {
    std::vector<long> sizes;
    for (size_t i = 0; i < x.ndim(); ++i) sizes.push_back(long(x.shape(i)));
    return shape(sizes);
  }

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
      .def("step", &PyStream<T>::step, nb::arg("x").none())
      .def("reset", &PyStream<T>::reset, nb::arg("row"))
      .def("state", [](nb::handle self, size_t layer, int which) {
        return nb::cast<PyStream<T>&>(self).state(self, layer, which);
      }, nb::arg("layer"), nb::arg("which"));
}

}  // namespace

#define OST_OPTIONAL(name) nb::arg(name).none()

NB_MODULE(_kernels, m) {
  nb::set_leak_warnings(false);  // a stream that a script's globals hold at its end is no leak of ours
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
  m.def("mask", [](nb::handle out, int64_t key, uint32_t stream, double p, int threads) {
    const Lent lent(out, "mask", true);
    if (lent.dims() != 2 && lent.dims() != 3) refuse("mask", "must be (sequence, unit) or (sequence, step, unit)");
    if (!(p >= 0 && p <= 1)) refuse("p", "must be a probability");
    lent.of<double>() ? fill_mask<double>(lent, key, stream, p, threads) : fill_mask<float>(lent, key, stream, p, threads);
  }, nb::arg("out"), nb::arg("key"), nb::arg("stream"), nb::arg("p"), nb::arg("threads"),
     "A dropout mask of one number a sequence and unit, or a step besides.");
  m.def("multiply", [](nb::handle a, nb::handle b, nb::handle bias, int threads) {
    return by_type<nb::object>(a, [&](const Lent& lent, auto number) {
      return multiply<decltype(number)>(a, lent, b, bias, threads);
    });
  }, nb::arg("a"), nb::arg("b"), OST_OPTIONAL("bias"), nb::arg("threads"),
     "bias + a b, with the same bits at any number of threads. None: no stride of a or b is 1, nothing was done.");
  m.def("fma_peak", &fma_peak, nb::arg("threads"), nb::arg("seconds"), nb::call_guard<nb::gil_scoped_release>(),
        "Multiplications and additions a second that this machine reaches in registers alone, measured now.");
  m.def("poison", [](bool on) { Pool::shared().poison(on); }, nb::arg("on"),
        "For tests: whether memory that is handed out is full of NaN, so that what is read before it is written shows.");
  bind_stream<float>(m, "StreamF32");
  bind_stream<double>(m, "StreamF64");
  m.def("straight", [](nb::tuple plan, int threads, nb::handle x, long input, nb::handle layer, nb::dict own, nb::list names,
                       bool asked) -> std::optional<nb::tuple> {
    Straight straight(layer, std::move(own), asked);
    const auto tensors = straight.tensors(x, input, names);
    if (!tensors) return std::nullopt;
    if (straight.tracked()) return nb::make_tuple(nb::none(), nb::none(), *tensors);
    const Call call(plan, threads, *tensors);
    const auto made = by_type<nb::tuple>(x, [&](const Lent& lent, auto number) {
      return forward<decltype(number)>(call, lent, nb::none(), false);
    });
    if (!made) return std::nullopt;
    const auto& [y, h, c, kept] = nb::cast<std::tuple<nb::object, nb::object, nb::object, nb::object>>(*made);
    return nb::make_tuple(y, c.is_none() ? nb::make_tuple(h) : nb::make_tuple(h, c), nb::none());
  }, nb::arg("plan"), nb::arg("threads"), nb::arg("x"), nb::arg("input"), nb::arg("layer"), nb::arg("own"), nb::arg("names"),
     nb::arg("asked"),
     "A layer's stack forward, over whole sequences from zeros: (y, end states, None). Where it is asked and one of the "
     "tensors wants a gradient nothing is done: (None, None, the tensors as `forward` takes them). None: they need a "
     "closer look.");
  m.def("forward", [](nb::tuple plan, int threads, nb::tuple tensors, nb::handle y, bool keep) {
    const Call call(plan, threads, std::move(tensors));
    return by_type<nb::tuple>(call.tensors[size_t(X)], [&](const Lent& x, auto number) {
      return forward<decltype(number)>(call, x, y, keep);
    });
  }, nb::arg("plan"), nb::arg("threads"), nb::arg("tensors"), OST_OPTIONAL("y"), nb::arg("keep"),
     "A stack of layers forward: (y, end h, end c or None, what a backward needs, where it is to be kept). `y`: room for "
     "the output. None: an input is not dense, nothing was done.");
  m.def("backward", [](nb::tuple plan, int threads, nb::tuple tensors, nb::handle y, nb::handle kept, nb::tuple gradients,
                       nb::tuple wanted, bool may_lose) {
    const Call call(plan, threads, std::move(tensors));
    const Out out{y, kept, std::move(gradients)};
    return by_type<nb::tuple>(call.tensors[size_t(X)], [&](const Lent& x, auto number) {
      return backward<decltype(number)>(call, x, out, std::move(wanted), may_lose);
    });
  }, nb::arg("plan"), nb::arg("threads"), nb::arg("tensors"), nb::arg("y"), OST_OPTIONAL("kept"), nb::arg("gradients"),
     nb::arg("wanted"), nb::arg("may_lose"),
     "A stack of layers backward, from the gradients of y, h and c: those of the tensors that are wanted, else None. "
     "`may_lose`: what was kept may be written over. None: an input is not dense, nothing was done.");
}
