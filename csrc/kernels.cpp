// The kernels of one instruction set: CMake compiles this file once for each, with OST_ISA as its name.
#include "backward.h"
#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "forward.h"

namespace {

template <class T> size_t forward(const Scan<T>& s, char* scratch) {
  switch (s.kind) {
    case RNN: return Forward<T, Rnn<T>>(s).run(scratch);
    case LSTM: return Forward<T, Lstm<T>>(s).run(scratch);
    default: return Forward<T, Gru<T>>(s).run(scratch);
  }
}

template <class T> size_t pack(const Scan<T>& s, char* to) {
  switch (s.kind) {
    case RNN: return Forward<T, Rnn<T>>(s).pack(to);
    case LSTM: return Forward<T, Lstm<T>>(s).pack(to);
    default: return Forward<T, Gru<T>>(s).pack(to);
  }
}

template <class T> size_t backward(const Scan<T>& s, const Gradient<T>& g, char* scratch) {
  switch (s.kind) {
    case RNN: return Backward<T, Rnn<T>>(s, g).run(scratch);
    case LSTM: return Backward<T, Lstm<T>>(s, g).run(scratch);
    default: return Backward<T, Gru<T>>(s, g).run(scratch);
  }
}

}  // namespace

#define OST_JOIN(a, b) a##b
#define OST_NAME(a, b) OST_JOIN(a, b)
#define OST_TEXT_(a) #a
#define OST_TEXT(a) OST_TEXT_(a)

extern const Kernels OST_NAME(kernels_, OST_ISA);
const Kernels OST_NAME(kernels_, OST_ISA) = {OST_TEXT(OST_ISA), pack<float>,     pack<double>,    forward<float>,
                                             forward<double>,   backward<float>, backward<double>};
