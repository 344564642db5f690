// Arrays as Python lends them for one call: numpy's, or torch's by DLPack's C exchange API, which asks for no
// capsule, no copy and no reference (50 times cheaper than `__dlpack__`).
//
// No argument is ever converted: an output array that was silently copied would be silently lost.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace nb = nanobind;

namespace {

[[noreturn]] inline void refuse(const std::string& name, const std::string& words) {
  throw std::invalid_argument(name + " " + words);
}

// An input that is not dense: Python makes a dense copy and calls again.
struct NotDense {};

// DLPack 1.x, https://dmlc.github.io/dlpack: the parts of its binary interface that are read here.
namespace dlpack {
enum { CPU = 1 };
enum { INT = 0, UINT = 1, FLOAT = 2, BOOL = 6 };
struct Tensor {
  void* data;
  int32_t device, device_id, ndim;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;  // strides in elements; null: dense
  uint64_t offset;           // of the first element, in bytes
};
struct Exchange {
  uint32_t major, minor;
  Exchange* older;
  void *allocate, *share, *take_over;
  int (*lend)(void* object, Tensor* out);
};
}  // namespace dlpack

// How arrays of this Python type lend their memory; null: by the buffer protocol, as numpy's do.
inline const dlpack::Exchange* exchange_of(PyTypeObject* type) {
  static std::vector<std::pair<PyTypeObject*, const dlpack::Exchange*>> known;  // read under Python's lock
  for (const auto& [t, exchange] : known)
    if (t == type) return exchange;
  const dlpack::Exchange* found = nullptr;
  nb::object capsule = nb::getattr(nb::handle(reinterpret_cast<PyObject*>(type)), "__dlpack_c_exchange_api__", nb::none());
  if (PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) {
    found = static_cast<const dlpack::Exchange*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
    while (found && found->major > 1) found = found->older;
  }
  if (known.size() < 16) {
    Py_INCREF(type);  // a type that is remembered must not give its address to another
    known.emplace_back(type, found);
  }
  return found;
}

template <class T> bool is(const dlpack::Tensor& t) {
  const int code = std::is_floating_point_v<T> ? int(dlpack::FLOAT) : std::is_signed_v<T> ? int(dlpack::INT) : int(dlpack::BOOL);
  return t.code == code && t.bits == 8 * sizeof(T) && t.lanes == 1;
}

// One lent array, or none. It must not outlive the call.
class Lent {
 public:
  explicit Lent(nb::handle from, const char* name, bool to_write = false) : name_(name), there_(!from.is_none()), to_write_(to_write) {
    if (!there_) return;
    if (const auto* exchange = exchange_of(Py_TYPE(from.ptr()))) {
      if (exchange->lend(from.ptr(), &t_)) throw nb::python_error();
    } else if (to_write) {
      hold(result_, from);
    } else {
      hold(array_, from);
    }
    if (t_.device != dlpack::CPU) refuse(name_, "is not on the CPU");
  }

  explicit operator bool() const { return there_; }
  long dims() const { return t_.ndim; }
  long size(long axis) const { return long(t_.shape[axis]); }
  long stride(long axis) const {
    if (t_.strides) return long(t_.strides[axis]);
    long stride = 1;
    for (long i = t_.ndim - 1; i > axis; --i) stride *= size(i);
    return stride;
  }
  template <class T> bool of() const { return is<T>(t_); }

  // The memory of an array of this type and shape whose last dimensions are dense: all but the first `free`.
  // Null where the array is absent or empty.
  template <class T> T* take(std::initializer_list<long> shape, long free = 0) const {
    using Plain = std::remove_const_t<T>;
    if (!there_) return nullptr;
    if (!is<Plain>(t_)) refuse(name_, "has another type than x");
    if (dims() != long(shape.size())) refuse(name_, "has the wrong number of dimensions");
    long axis = 0, numbers = 1;
    for (long wanted : shape) {
      if (size(axis++) != wanted) refuse(name_, "has the wrong shape");
      numbers *= wanted;
    }
    if (numbers == 0) return nullptr;
    if (!dense(free)) {
      if (to_write_) refuse(name_, "is not dense");
      throw NotDense{};
    }
    return memory<T>();
  }

  // At least so many numbers side by side, in any shape.
  template <class T> T* room(long wanted) const {
    long numbers = 1;
    for (long i = 0; i < dims(); ++i) numbers *= size(i);
    if (!there_ || !is<std::remove_const_t<T>>(t_) || numbers < wanted || !dense(0)) refuse(name_, "has no such room");
    return wanted ? memory<T>() : nullptr;
  }

 private:
  template <class A> void hold(std::optional<A>& owner, nb::handle from) {
    A made;
    if (!nb::try_cast(from, made, false)) refuse(name_, "is no array on the CPU that can be used as it is");
    owner.emplace(std::move(made));
    t_.data = const_cast<void*>(static_cast<const void*>(owner->data()));
    t_.device = dlpack::CPU, t_.ndim = int32_t(owner->ndim()), t_.lanes = 1;
    t_.code = owner->dtype().code, t_.bits = owner->dtype().bits;
    t_.shape = const_cast<int64_t*>(owner->shape_ptr()), t_.strides = const_cast<int64_t*>(owner->stride_ptr());
  }

  bool dense(long free) const {
    long wanted = 1;
    for (long i = dims() - 1; i >= free; wanted *= size(i--))
      if (size(i) > 1 && stride(i) != wanted) return false;
    return true;
  }

  template <class T> T* memory() const {
    if (!t_.data) refuse(name_, "has no memory");
    return reinterpret_cast<T*>(static_cast<char*>(t_.data) + t_.offset);
  }

  const char* name_;
  bool there_, to_write_;
  dlpack::Tensor t_{};
  std::optional<nb::ndarray<nb::ro, nb::device::cpu>> array_;
  std::optional<nb::ndarray<nb::device::cpu>> result_;
};

}  // namespace
