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

#include "pool.h"

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
struct Managed {  // a tensor and who gives its memory back
  uint32_t major, minor;
  void* owner;
  void (*give_back)(Managed*);
  uint64_t flags;
  Tensor tensor;
};
struct Exchange {
  uint32_t major, minor;
  Exchange* older;
  void *allocate, *share;
  int (*take_over)(Managed* tensor, void** object);
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

template <class T> constexpr int code_of() {
  return std::is_floating_point_v<T> ? int(dlpack::FLOAT) : std::is_signed_v<T> ? int(dlpack::INT) : int(dlpack::BOOL);
}
template <class T> bool is(const dlpack::Tensor& t) {
  return t.code == code_of<T>() && t.bits == 8 * sizeof(T) && t.lanes == 1;
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

// Makes arrays of a call: of the kind that an array it took is, in memory of the pool, which they give back by
// themselves. What a fresh tensor costs is less its memory than the way through the library that makes it.
class Maker {
 public:
  explicit Maker(nb::handle like) : exchange_(exchange_of(Py_TYPE(like.ptr()))) {}

  // Of this shape, dense, not zeroed; `to` is its memory, or null where it is empty.
  template <class T> nb::object make(std::initializer_list<long> shape, T*& to) const {
    if (shape.size() > MOST) throw std::logic_error("an array of so many dimensions");
    double all = sizeof(T);
    for (long n : shape) all *= double(n);
    if (all > MOST_BYTES) throw NoRoom(all);
    long numbers = 1;
    for (long n : shape) numbers *= n;
    const size_t data = (size_t(numbers) * sizeof(T) + 63) & ~size_t(63), bytes = data + sizeof(Owner);
    char* block = static_cast<char*>(Pool::shared().take(bytes));
    auto* owner = new (block + data) Owner{{1, 0, nullptr, give_back, 0, {}}, {}, {}, block, bytes};
    dlpack::Tensor& t = owner->managed.tensor;
    owner->managed.owner = owner;
    t.data = block, t.device = dlpack::CPU, t.ndim = int32_t(shape.size());
    t.code = code_of<T>(), t.bits = 8 * sizeof(T), t.lanes = 1, t.shape = owner->shape, t.strides = owner->strides;
    long i = 0, stride = numbers;
    for (long n : shape) owner->shape[i] = n, owner->strides[i++] = stride = n ? stride / n : 1;
    to = numbers ? reinterpret_cast<T*>(block) : nullptr;
    return exchange_ ? by_exchange(owner) : as_numpy<T>(owner);
  }

 private:
  static constexpr size_t MOST = 3;
  static constexpr double MOST_BYTES = 1e18;  // beyond, sizes pass what 64 bits hold
  struct Owner {  // at the end of the array's own block
    dlpack::Managed managed;
    int64_t shape[MOST], strides[MOST];
    void* block;
    size_t bytes;
  };
  static void give_back(dlpack::Managed* managed) {
    auto* owner = static_cast<Owner*>(managed->owner);
    Pool::shared().give(owner->block, owner->bytes);
  }

  nb::object by_exchange(Owner* owner) const {
    void* object = nullptr;
    if (exchange_->take_over(&owner->managed, &object)) throw nb::python_error();  // whose it is now nobody says
    return nb::steal(static_cast<PyObject*>(object));
  }
  template <class T> static nb::object as_numpy(Owner* owner) {
    const dlpack::Tensor& t = owner->managed.tensor;
    size_t shape[MOST];
    for (int i = 0; i < t.ndim; ++i) shape[i] = size_t(t.shape[i]);
    nb::capsule capsule(owner, [](void* p) noexcept { give_back(&static_cast<Owner*>(p)->managed); });
    return nb::cast(nb::ndarray<nb::numpy, T>(t.data, size_t(t.ndim), shape, capsule));
  }

  const dlpack::Exchange* exchange_;
};

}  // namespace
