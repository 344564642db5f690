// The extension ostinato._kernels: checks arrays, picks the instruction set, hands pointers to a kernel build.
//
// No argument is ever converted: an output array that was silently copied would be silently lost.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "choice.h"
#include "kernels.h"
#include "pool.h"
#include "stream.h"
#include "threads.h"

namespace nb = nanobind;
using Array = nb::ndarray<nb::ro, nb::device::cpu>;  // read from
using Result = nb::ndarray<nb::device::cpu>;         // written to
using Maybe = std::optional<Array>;
using MaybeResult = std::optional<Result>;

namespace {

[[noreturn]] void refuse(const char* name, const std::string& words) {
  throw std::invalid_argument(std::string(name) + " " + words);
}

// The pointer of an array of this type and shape whose last dimension is dense; null where it is absent or empty.
template <class T, class A>
T* take(const std::optional<A>& array, const char* name, std::initializer_list<long> shape, bool dense = true) {
  if (!array) return nullptr;
  if (array->dtype() != nb::dtype<std::remove_const_t<T>>()) refuse(name, "has another type than x");
  if (array->ndim() != shape.size()) refuse(name, "has the wrong number of dimensions");
  size_t axis = 0;
  for (long size : shape)
    if (long(array->shape(axis++)) != size) refuse(name, "has the wrong shape");
  if (array->size() == 0) return nullptr;
  long stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= long(array->shape(i))) {
    if (array->shape(i) > 1 && array->stride(i) != stride) refuse(name, "is not dense");
    if (!dense) break;
  }
  return static_cast<T*>(array->data());
}

struct Call {  // what forward and backward both take, as Python hands it over
  int kind, activation;
  Array x, W, R;
  Maybe b_ih, b_hh, begin_h, begin_c, lengths, resets, restart_h, restart_c, mask;
  bool reverse;
  int threads;
};

template <class T> const T* take(const Array& array, const char* name, std::initializer_list<long> shape, bool dense = true) {
  return take<const T>(Maybe(array), name, shape, dense);
}

template <class T> Scan<T> read(const Call& call, std::vector<int64_t>& order) {
  if (call.x.ndim() != 3) refuse("x", "must be (batch, time, input)");
  Scan<T> s{};
  s.kind = Kind(call.kind), s.activation = Activation(call.activation);
  s.batch = long(call.x.shape(0)), s.time = long(call.x.shape(1)), s.input = long(call.x.shape(2));
  s.hidden = call.R.ndim() == 2 ? long(call.R.shape(1)) : 0;
  const long B = s.batch, H = s.hidden, G = gates_of(s.kind) * H;
  s.x = take<T>(call.x, "x", {B, s.time, s.input}, false);
  s.x_row = call.x.stride(0), s.x_step = call.x.stride(1);
  s.W = take<T>(call.W, "W", {G, s.input});
  s.R = take<T>(call.R, "R", {G, H});
  s.b_ih = take<const T>(call.b_ih, "b_ih", {G}), s.b_hh = take<const T>(call.b_hh, "b_hh", {G});
  s.begin[0] = take<const T>(call.begin_h, "h", {B, H}), s.begin[1] = take<const T>(call.begin_c, "c", {B, H});
  s.restart[0] = take<const T>(call.restart_h, "restart h", {B, H});
  s.restart[1] = take<const T>(call.restart_c, "restart c", {B, H});
  s.mask = take<const T>(call.mask, "mask", {B, H});
  s.lengths = take<const int64_t>(call.lengths, "lengths", {B});
  if (call.resets) {
    if (call.resets->ndim() != 2 || call.resets->itemsize() != 1) refuse("resets", "must be (batch, time) bool");
    s.resets = static_cast<const uint8_t*>(call.resets->data());
  }
  s.reverse = call.reverse;
  if (s.lengths) {
    order.resize(B);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return s.lengths[a] > s.lengths[b]; });
    if (B && (s.lengths[order[0]] > s.time || s.lengths[order[B - 1]] < 0)) refuse("lengths", "lie outside 0..time");
    s.order = order.data();
  }
  return s;
}

// As many threads as there is work for: starting one costs what about half a million multiplications do.
template <class T> int threads_for(const Scan<T>& s, int asked) {
  double steps = double(s.batch) * s.time;
  if (s.lengths) steps = double(std::accumulate(s.lengths, s.lengths + s.batch, int64_t(0)));
  const double work = steps * gates_of(s.kind) * s.hidden * (s.input + s.hidden);
  const double most = std::min({double(asked), double(MOST_THREADS), double(s.batch), work / 4e5 + 1});
  return std::max(1, int(most));
}

template <class T>
void forward(const Call& call, const Result& y, const MaybeResult& end_h, const MaybeResult& end_c,
             const MaybeResult& saved) {
  std::vector<int64_t> order;
  Scan<T> s = read<T>(call, order);
  s.y = take<T>(MaybeResult(y), "y", {s.batch, s.time, s.hidden}, false);
  s.y_row = y.stride(0), s.y_step = y.stride(1);
  s.end[0] = take<T>(end_h, "end h", {s.batch, s.hidden}), s.end[1] = take<T>(end_c, "end c", {s.batch, s.hidden});
  s.saved = take<T>(saved, "saved", {s.batch, s.time, saved_slots(s.kind) * s.hidden});
  if (!s.batch) return;
  s.threads = threads_for(s, call.threads);
  nb::gil_scoped_release others_may_run;
  const auto run = of_type<T>(chosen()).forward;
  Block scratch(run(s, nullptr));
  run(s, scratch.data());
}

struct Out {  // the backward's own arrays
  Array y;
  Maybe saved, dy, dend_h, dend_c;
  MaybeResult dx, dW, dR, db_ih, db_hh, dbegin_h, dbegin_c, drestart_h, drestart_c;
};

template <class T> void backward(const Call& call, const Out& out) {
  std::vector<int64_t> order;
  Scan<T> s = read<T>(call, order);
  const long B = s.batch, N = s.time, D = s.input, H = s.hidden, G = gates_of(s.kind) * H;
  s.y = const_cast<T*>(take<T>(out.y, "y", {B, N, H}, false));
  s.y_row = out.y.stride(0), s.y_step = out.y.stride(1);
  s.saved = const_cast<T*>(take<const T>(out.saved, "saved", {B, N, saved_slots(s.kind) * H}));
  Gradient<T> g{};
  g.dy = take<const T>(out.dy, "dy", {B, N, H}, false);
  if (out.dy) g.dy_row = out.dy->stride(0), g.dy_step = out.dy->stride(1);
  g.dend[0] = take<const T>(out.dend_h, "dh", {B, H}), g.dend[1] = take<const T>(out.dend_c, "dc", {B, H});
  g.dx = take<T>(out.dx, "dx", {B, N, D});
  g.dW = take<T>(out.dW, "dW", {G, D}), g.dR = take<T>(out.dR, "dR", {G, H});
  g.db_ih = take<T>(out.db_ih, "db_ih", {G}), g.db_hh = take<T>(out.db_hh, "db_hh", {G});
  g.dbegin[0] = take<T>(out.dbegin_h, "dbegin h", {B, H}), g.dbegin[1] = take<T>(out.dbegin_c, "dbegin c", {B, H});
  g.drestart[0] = take<T>(out.drestart_h, "drestart h", {B, H});
  g.drestart[1] = take<T>(out.drestart_c, "drestart c", {B, H});
  s.threads = threads_for(s, call.threads);
  nb::gil_scoped_release others_may_run;
  const auto run = of_type<T>(chosen()).backward;
  Block dz(size_t(B) * N * dz_slots(s.kind) * H * sizeof(T));
  g.dz = reinterpret_cast<T*>(dz.data());
  Block scratch(run(s, g, nullptr));
  run(s, g, scratch.data());
}

bool is_double(const Array& x) {
  if (x.dtype() == nb::dtype<double>()) return true;
  if (x.dtype() == nb::dtype<float>()) return false;
  refuse("x", "must be float32 or float64");
}

// A float array whose memory comes from the pool and goes back when the array dies.
template <class T> nb::ndarray<nb::numpy, T> pooled(size_t a, size_t b, size_t c) {
  auto* block = new Block(std::max<size_t>(1, a * b * c * sizeof(T)));
  nb::capsule owner(block, [](void* p) noexcept { delete static_cast<Block*>(p); });
  return nb::ndarray<nb::numpy, T>(block->data(), {a, b, c}, owner);
}

// Stream<T> as Python sees it: arrays in and out, the answer always in the same array.
template <class T> class PyStream {
 public:
  PyStream(long batch, long input, bool residual) : stream_(batch, input, residual) {
    if (batch < 1 || input < 1) refuse("batch and input", "must be at least 1");
    x_.resize(batch * input);
  }

  void add(int kind, int activation, Array W, Array R, Maybe b_ih, Maybe b_hh, Array start) {
    if (R.ndim() != 2) refuse("R", "must be (gates x hidden, hidden)");
    const long H = long(R.shape(1)), G = gates_of(Kind(kind)) * H;
    stream_.add(Kind(kind), Activation(activation), H, take<T>(W, "W", {G, stream_.width()}),
                take<T>(R, "R", {G, H}), take<const T>(b_ih, "b_ih", {G}), take<const T>(b_hh, "b_hh", {G}),
                take<T>(start, "start", {kind == LSTM ? 2 : 1, H}));
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
      .def("add", &PyStream<T>::add, nb::arg("kind"), nb::arg("activation"), nb::arg("W").noconvert(),
           nb::arg("R").noconvert(), nb::arg("b_ih").noconvert().none(), nb::arg("b_hh").noconvert().none(),
           nb::arg("start").noconvert())
      .def("step", &PyStream<T>::step, nb::arg("x").noconvert())
      .def("reset", &PyStream<T>::reset, nb::arg("row"))
      .def("state", [](nb::handle self, size_t layer, int which) {
        return nb::cast<PyStream<T>&>(self).state(self, layer, which);
      }, nb::arg("layer"), nb::arg("which"));
}

}  // namespace

#define OST_CALL                                                                                                    \
  int kind, int activation, Array x, Array W, Array R, Maybe b_ih, Maybe b_hh, Maybe begin_h, Maybe begin_c,         \
      Maybe lengths, Maybe resets, Maybe restart_h, Maybe restart_c, Maybe mask, bool reverse, int threads
#define OST_PACK                                                                                                   \
  Call { kind, activation, x, W, R, b_ih, b_hh, begin_h, begin_c, lengths, resets, restart_h, restart_c, mask, reverse, threads }

#define OST_ARGS                                                                                                    \
  nb::arg("kind"), nb::arg("activation"), nb::arg("x").noconvert(), nb::arg("W").noconvert(),                       \
      nb::arg("R").noconvert(), OST_OPTIONAL("b_ih"), OST_OPTIONAL("b_hh"), OST_OPTIONAL("begin_h"),                 \
      OST_OPTIONAL("begin_c"), OST_OPTIONAL("lengths"), OST_OPTIONAL("resets"), OST_OPTIONAL("restart_h"),           \
      OST_OPTIONAL("restart_c"), OST_OPTIONAL("mask"), nb::arg("reverse"), nb::arg("threads")
#define OST_OPTIONAL(name) nb::arg(name).noconvert().none()

NB_MODULE(_kernels, m) {
  m.doc() = "The fused kernels: plain pointers and sizes, no torch.";
  m.def("instruction_set", [] { return std::string(chosen().name); }, "The instruction set that was chosen.");
  m.def("saved_slots", [](int kind) { return saved_slots(Kind(kind)); }, nb::arg("kind"), "Times hidden: what is kept of a step.");
  m.def("pooled_f32", &pooled<float>, nb::arg("a"), nb::arg("b"), nb::arg("c"),
        "An array (a, b, c) of float32 in memory that is used again.");
  m.def("pooled_f64", &pooled<double>, nb::arg("a"), nb::arg("b"), nb::arg("c"),
        "An array (a, b, c) of float64 in memory that is used again.");
  bind_stream<float>(m, "StreamF32");
  bind_stream<double>(m, "StreamF64");
  m.def("forward", [](OST_CALL, Result y, MaybeResult end_h, MaybeResult end_c, MaybeResult saved) {
    is_double(x) ? forward<double>(OST_PACK, y, end_h, end_c, saved) : forward<float>(OST_PACK, y, end_h, end_c, saved);
  }, OST_ARGS, nb::arg("y").noconvert(), OST_OPTIONAL("end_h"), OST_OPTIONAL("end_c"), OST_OPTIONAL("saved"),
     "A whole sequence forward, into y, the end states and what the backward needs.");
  m.def("backward", [](OST_CALL, Array y, Maybe saved, Maybe dy, Maybe dend_h, Maybe dend_c, MaybeResult dx,
                       MaybeResult dW, MaybeResult dR, MaybeResult db_ih, MaybeResult db_hh, MaybeResult dbegin_h,
                       MaybeResult dbegin_c, MaybeResult drestart_h, MaybeResult drestart_c) {
    const Out out{y, saved, dy, dend_h, dend_c, dx, dW, dR, db_ih, db_hh, dbegin_h, dbegin_c, drestart_h, drestart_c};
    is_double(x) ? backward<double>(OST_PACK, out) : backward<float>(OST_PACK, out);
  }, OST_ARGS, nb::arg("y").noconvert(), OST_OPTIONAL("saved"), OST_OPTIONAL("dy"), OST_OPTIONAL("dend_h"),
     OST_OPTIONAL("dend_c"), OST_OPTIONAL("dx"), OST_OPTIONAL("dW"), OST_OPTIONAL("dR"), OST_OPTIONAL("db_ih"),
     OST_OPTIONAL("db_hh"), OST_OPTIONAL("dbegin_h"), OST_OPTIONAL("dbegin_c"), OST_OPTIONAL("drestart_h"),
     OST_OPTIONAL("drestart_c"), "A whole sequence backward, into the gradients that are asked for.");
}
