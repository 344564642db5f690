// What module.cpp asks of a kernel build: one layer, one direction, a whole sequence, forward and backward.
//
// Shapes, all row-major: x (batch, time, input) and y (batch, time, output) by their strides in elements, the
// last dimension dense; W (gates x hidden, input), R (gates x hidden, output), biases (gates x hidden); h, its
// restart and mask (batch, output), c and its restart (batch, hidden). `output` is hidden, or less where h' = P m.
// Pointers may be null where it is said. The caller owns everything.
#pragma once

#include <cstddef>
#include <cstdint>

enum Kind { RNN, LSTM, GRU, KINDS };  // the last: how many there are
enum Activation { TANH, RELU, SIGMOID, IDENTITY };

// LN(v) = gain (v - mean) / sqrt(var + 1e-5) + shift (Ba 2016); null: no norm.
template <class T> struct Norm {
  const T *gain, *shift;
};

// s' = k s + (1 - k) s~ of one tensor of the state (Krueger 2017): k is the rate, or drawn anew at each place.
struct Zoneout {
  double rate;
  bool drawn;
  uint32_t seed;   // mix(key + GOLDEN (stream + 1))
  uint32_t first;  // what the steps are counted from: a sequence may come in pieces
};

// What the plain cells have not: cells/*.py has the equations. All off where it is zero.
template <class T> struct Options {
  const T* peephole;           // LSTM: (3, hidden) for i f o; null: none
  bool coupled;                // LSTM: i = 1 - f
  bool reset_before;           // GRU: n sees R_n (r h)
  const T* P;                  // LSTM: (output, hidden), there where output is not hidden
  Norm<T> norm_x, norm_h;      // over the gates of W x and of R h; the RNN's only one is norm_x, of their sum
  Norm<T> norm_c;              // LSTM: of c'
  bool zoned;                  // whether there is zoneout
  Zoneout zoneout[2];          // of h and c
  bool normed() const { return norm_x.gain != nullptr; }
};

template <class T> struct Scan {
  Kind kind;
  Activation activation;  // of the RNN
  long batch, time, input, hidden, output;
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
  int threads;  // that share the rows of the batch
  int team;     // that share what one row has: its units, or sums over all steps
  T* y;
  long y_row, y_step;
  T* end[2];  // h and c after the last step; may be null
  T* saved;  // (batch, time, Saved::width): what the backward needs; null: not kept
  Options<T> options;

  long steps(long b) const { return lengths ? long(lengths[b]) : time; }
  bool projected() const { return output != hidden; }
  bool plain() const {
    const auto& o = options;
    return !(o.peephole || o.coupled || o.reset_before || projected() || o.normed() || o.zoned);
  }
};

template <class T> struct Gradient {
  const T* dy;  // (batch, time, output) by strides
  long dy_row, dy_step;
  const T* dend[2];  // null: zeros
  T* dz;             // (batch, time, Slots::width), room for the gates' gradients; null: over what was saved, if `may_lose`
  T *dx, *dW, *dR, *db_ih, *db_hh;  // dx dense (batch, time, input); any may be null
  T *dbegin[2], *drestart[2];       // as the states; drestart may be null
  T *dpeephole, *dP, *dgain[3], *dshift[3];  // of norm_x, norm_h, norm_c; any may be null

  bool of_weights() const {  // whether any is asked for
    bool any = dW || dR || db_ih || db_hh || dpeephole || dP;
    for (int i = 0; i < 3; ++i) any = any || dgain[i] || dshift[i];
    return any;
  }
};

// out[r, c] = bias[c] + sum over k of a[r, k] b[k, c], the sums in the order of k. Of a's strides one is 1, and of b's.
template <class T> struct Product {
  long rows, inner, columns;
  const T* a;
  long a_row, a_step;
  const T* b;
  long b_step, b_column;
  const T* bias;  // null: none
  T* out;
  long out_row;  // its columns lie side by side
  int threads;
};

// A dropout mask (sequence, step, unit), dense: 0 with probability `rate`, else 1 / (1 - rate).
template <class T> struct Mask {
  long sequences, steps, units;  // steps 0: a number for each sequence and unit
  uint32_t seed;                 // mix(key + GOLDEN (stream + 1))
  double rate;
  T* to;
  int threads;
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
  size_t (*multiply_f32)(const Product<float>&, char* scratch);
  size_t (*multiply_f64)(const Product<double>&, char* scratch);
  void (*mask_f32)(const Mask<float>&);
  void (*mask_f64)(const Mask<double>&);
};

inline int gates_of(Kind kind) { return kind == RNN ? 1 : kind == LSTM ? 4 : 3; }

constexpr int NUMBERS = 16;  // beside the slots of a step whose rows are normed: a whole line of memory

// What is kept of a step for the backward: slots of `hidden` numbers each, in this order, then some single numbers. Of a
// normed cell these are c' and the normed rows alone: its own slots are made of them again.
struct Saved {
  int own, raw;      // the cell's own slots: LSTM i f g o c', GRU r z n q; which of them is c~ or h~ before zoneout
  int c;             // c'
  int out;           // o tanh(c'), which P sees
  int hat_x, hat_h;  // the normed rows, without gain and shift
  int slots, numbers;
  long width(long hidden) const { return slots * hidden + numbers; }

  // Whether the gates' gradients find room over what was saved: over the gates, or a normed cell's normed rows. A
  // reset before the product needs its gate once more.
  template <class T> static bool may_lose(const Scan<T>& s) {
    return !s.projected() && (s.options.normed() || (s.kind != RNN && !s.options.reset_before));
  }
  long dz(bool normed, long hidden) const { return normed ? hat_x * hidden : 0; }

  Saved(Kind kind, bool reset_before, bool projected, bool normed, bool zoned) {
    own = kind == LSTM ? 5 : kind == GRU ? (reset_before ? 3 : 4) : 0;
    raw = own, own += zoned && kind != GRU;
    c = normed ? 0 : 4;
    slots = normed ? kind == LSTM : own;
    out = slots, slots += projected;
    hat_x = slots, slots += normed ? gates_of(kind) : 0;
    hat_h = slots, slots += normed && kind != RNN ? gates_of(kind) : 0;
    numbers = normed ? NUMBERS : 0;
  }
  template <class T> static Saved of(const Scan<T>& s) {
    return {s.kind, s.options.reset_before, s.projected(), s.options.normed(), s.options.zoned};
  }
};

// Where the gates' gradients of a step lie, in numbers from its beginning: those of W x at 0, those of R h at h.
struct Slots {
  long h, out, width;

  template <class T> static Slots of(const Scan<T>& s) {
    const long row = gates_of(s.kind) * s.hidden;
    const bool apart = s.options.normed() && s.kind != RNN;
    const bool extra = s.kind == GRU && !apart && !s.options.reset_before;  // r z q n: both in one
    const long out = apart ? 2 * row : extra ? row + s.hidden : row;
    return {apart ? row : 0, out, out + (s.projected() ? (s.output + 15) / 16 * 16 : 0)};
  }
};
