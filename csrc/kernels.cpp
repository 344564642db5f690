// The kernels of one instruction set: CMake compiles this file once for each, with OST_ISA as its name.
#include "backward.h"
#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "forward.h"
#include "products.h"

namespace {

template <class T, bool OPTIONS, class Work> size_t with_cell(Kind kind, const Work& work) {
  switch (kind) {
    case RNN: return work(Rnn<T, OPTIONS>{});
    case LSTM: return work(Lstm<T, OPTIONS>{});
    default: return work(Gru<T, OPTIONS>{});
  }
}
// The plain cells are made once more without a thought of options; all else is a question at run time.
template <class T, class Work> size_t with_cell(const Scan<T>& s, const Work& work) {
  return s.plain() ? with_cell<T, false>(s.kind, work) : with_cell<T, true>(s.kind, work);
}

template <class T> size_t forward(const Scan<T>& s, char* scratch) {
  return with_cell(s, [&](auto cell) { return Forward<T, decltype(cell)>(s).run(scratch); });
}

template <class T> size_t pack(const Scan<T>& s, char* to) {
  return with_cell(s, [&](auto cell) { return Forward<T, decltype(cell)>(s).pack(to); });
}

template <class T> size_t backward(const Scan<T>& s, const Gradient<T>& g, char* scratch) {
  return with_cell(s, [&](auto cell) { return Backward<T, decltype(cell)>(s, g).run(scratch); });
}

template <class T> size_t multiply(const Product<T>& p, char* scratch) { return Multiply<T>(p).run(scratch); }

}  // namespace

#define OST_JOIN(a, b) a##b
#define OST_NAME(a, b) OST_JOIN(a, b)
#define OST_TEXT_(a) #a
#define OST_TEXT(a) OST_TEXT_(a)

extern const Kernels OST_NAME(kernels_, OST_ISA);
#ifdef __AMX_INT8__  // tiles are for float alone: for double the vectors' build serves
const Kernels OST_NAME(kernels_, OST_ISA) = {OST_TEXT(OST_ISA), pack<float>,     nullptr, forward<float>,
                                             nullptr,           backward<float>, nullptr, multiply<float>,
                                             nullptr,           fill<float>,     nullptr};
#else
const Kernels OST_NAME(kernels_, OST_ISA) = {OST_TEXT(OST_ISA), pack<float>,     pack<double>,    forward<float>,
                                             forward<double>,   backward<float>, backward<double>, multiply<float>,
                                             multiply<double>,  fill<float>,     fill<double>};
#endif
