// The call that models make most, whole sequences from zeros: its tensors, in the order that `forward` takes them.
//
// Between a model's other work nothing of a call is in the caches any more, and each question that Python asks a tensor
// costs up to a microsecond: here all are asked at once.
#pragma once

#include "call.h"

namespace {

class Straight {
 public:
  // `layer` has `own` parameters under the names that it was made with, and others (a norm's, or what a parametrization
  // makes) where the names' dots lead. `asked`: whether it matters that a tensor wants a gradient.
  Straight(nb::handle layer, nb::dict own, bool asked) : layer_(layer), own_(std::move(own)), asked_(asked) {}

  // x, None for the rest that rows share, and the layer's own; nothing where a closer look is needed.
  std::optional<nb::tuple> tensors(nb::handle x, long input, const nb::list& names) {
    if (!fits(x, true) || t_.ndim != 3 || t_.shape[2] != input) return std::nullopt;
    const size_t count = nb::len(names);
    nb::tuple all = nb::steal<nb::tuple>(PyTuple_New(Py_ssize_t(FIRST_ROW + count)));
    if (!all) throw nb::python_error();
    size_t place = 0;
    const auto put = [&](nb::object one) { PyTuple_SET_ITEM(all.ptr(), Py_ssize_t(place++), one.release().ptr()); };
    put(nb::borrow(x));
    while (place < FIRST_ROW) put(nb::none());
    for (nb::handle name : names) {
      nb::object found = name.is_none() ? nb::none() : named(name);
      if (!found.is_none() && !fits(found, false)) return std::nullopt;
      put(std::move(found));
    }
    return all;
  }

  // Whether one of them wants a gradient, where it was asked.
  bool tracked() const { return tracked_; }

 private:
  nb::object named(nb::handle name) const {
    if (PyObject* found = PyDict_GetItemWithError(own_.ptr(), name.ptr())) return nb::borrow(found);
    if (PyErr_Occurred()) throw nb::python_error();
    nb::object at = nb::borrow(layer_);
    for (nb::handle part : nb::borrow<nb::list>(name.attr("split")("."))) at = nb::getattr(at, part);
    return at;
  }

  // Whether a tensor's memory holds its values, in the type of the `first` one. What has none to lend (sparse, nested, on
  // another device, left over from a transform) says so by an error.
  bool fits(nb::handle v, bool first) {
    const dlpack::Exchange* exchange = exchange_of(Py_TYPE(v.ptr()));
    if (!exchange) return false;
    if (exchange->lend(v.ptr(), &t_)) {
      PyErr_Clear();
      return false;
    }
    if (first) bits_ = t_.bits;
    if (t_.device != dlpack::CPU || t_.code != dlpack::FLOAT || t_.bits != bits_ || (bits_ != 32 && bits_ != 64)) return false;
    static PyObject* const negative = PyUnicode_InternFromString("is_neg");
    if (yes(PyObject_CallMethodNoArgs(v.ptr(), negative))) return false;
    static PyObject* const wants = PyUnicode_InternFromString("requires_grad");
    if (asked_ && !tracked_) tracked_ = yes(PyObject_GetAttr(v.ptr(), wants));
    return true;
  }
  static bool yes(PyObject* answer) {
    if (!answer) throw nb::python_error();
    return nb::steal(answer).is(nb::handle(Py_True));
  }

  nb::handle layer_;
  nb::dict own_;
  bool asked_, tracked_ = false;
  uint8_t bits_ = 0;
  dlpack::Tensor t_{};
};

}  // namespace
