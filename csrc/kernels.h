// What module.cpp asks of a kernel build: one layer, one direction, a whole sequence, forward and backward.
//
// Shapes, all row-major: x (batch, time, input) and y (batch, time, hidden) by their strides in elements, the
// last dimension dense; W (gates x hidden, input), R (gates x hidden, hidden), biases (gates x hidden); states,
// restart and mask (batch, hidden). Pointers may be null where it is said. The caller owns everything.
#pragma once

#include <cstddef>
#include <cstdint>

enum Kind { RNN, LSTM, GRU };
enum Activation { TANH, RELU, SIGMOID, IDENTITY };

template <class T> struct Scan {
  Kind kind;
  Activation activation;  // of the RNN
  long batch, time, input, hidden;
  const T* x;
  long x_row, x_step;
  const T *W, *R, *b_ih, *b_hh;  // biases may be null
  const char* packed;            // what `pack` made of them; null: packed for this call
  const T* begin[2];             // h and c before the first step; null: zeros
  const int64_t* lengths;        // (batch); null: all full
  const int64_t* order;          // (batch) rows, longest first; null where lengths is
  const uint8_t* resets;         // (batch, time); null: none
  const T* restart[2];           // h and c after a reset; null: zeros
  const T* mask;                 // the product sees mask * h; null: h itself
  bool reverse;
  int threads;
  T* y;
  long y_row, y_step;
  T* end[2];  // h and c after the last step; may be null
  T* saved;  // (batch, time, saved_slots x hidden): what the backward needs; null: not kept

  long steps(long b) const { return lengths ? long(lengths[b]) : time; }
};

template <class T> struct Gradient {
  const T* dy;  // (batch, time, hidden) by strides
  long dy_row, dy_step;
  const T* dend[2];  // null: zeros
  T* dz;             // (batch, time, dz_slots x hidden), room for the gates' gradients
  T *dx, *dW, *dR, *db_ih, *db_hh;  // dx dense (batch, time, input); any may be null
  T *dbegin[2], *drestart[2];       // (batch, hidden); drestart may be null
};

// The kernels of one instruction set. Called with scratch == nullptr they only return the bytes of scratch that
// they need (64-byte aligned); else they run.
struct Kernels {
  const char* name;
  size_t (*pack_f32)(const Scan<float>&, char* to);
  size_t (*pack_f64)(const Scan<double>&, char* to);
  size_t (*forward_f32)(const Scan<float>&, char* scratch);
  size_t (*forward_f64)(const Scan<double>&, char* scratch);
  size_t (*backward_f32)(const Scan<float>&, const Gradient<float>&, char* scratch);
  size_t (*backward_f64)(const Scan<double>&, const Gradient<double>&, char* scratch);
};

// How many times hidden each cell keeps of a step, and how many its gates' gradients take.
inline int saved_slots(Kind kind) { return kind == LSTM ? 5 : kind == GRU ? 4 : 0; }
inline int dz_slots(Kind kind) { return kind == RNN ? 1 : 4; }
inline int gates_of(Kind kind) { return kind == RNN ? 1 : kind == LSTM ? 4 : 3; }
