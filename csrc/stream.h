// A stack of layers that takes one step at a time: it owns its packed weights and its state.
#pragma once

#include <memory>
#include <vector>

#include "choice.h"
#include "pool.h"

template <class T> class Stream {
 public:
  Stream(long batch, long input, bool residual) : batch_(batch), input_(input), residual_(residual) {}

  // One more layer on top; W and R may go away afterwards. `start` has one or two rows: h and c to begin from.
  void add(Kind kind, Activation activation, long hidden, const T* W, const T* R, const T* b_ih, const T* b_hh,
           const T* start) {
    Scan<T> s{};
    s.kind = kind, s.activation = activation, s.batch = batch_, s.time = 1, s.input = width(), s.hidden = hidden;
    s.W = W, s.R = R, s.b_ih = b_ih, s.b_hh = b_hh, s.threads = 1;
    const auto run = of_type<T>(chosen());
    auto layer = std::make_unique<Layer>();
    layer->packed = std::make_unique<Block>(run.pack(s, nullptr));
    run.pack(s, layer->packed->data());
    s.packed = layer->packed->data(), s.W = s.R = s.b_ih = s.b_hh = nullptr;
    layer->states = kind == LSTM ? 2 : 1;
    layer->start.assign(start, start + layer->states * hidden);
    layer->state.resize(layer->states * batch_ * hidden);
    layer->y.resize(batch_ * hidden);
    layer->scan = s;
    scratch_ = std::max(scratch_, run.forward(s, nullptr));
    layers_.push_back(std::move(layer));
    for (long b = 0; b < batch_; ++b) reset(b);
    room_ = std::make_unique<Block>(scratch_);
  }

  long batch() const { return batch_; }
  long input() const { return input_; }
  long width() const { return layers_.empty() ? input_ : layers_.back()->scan.hidden; }
  size_t layers() const { return layers_.size(); }
  long hidden(size_t k) const { return layers_[k]->scan.hidden; }
  int states(size_t k) const { return layers_[k]->states; }
  // h (which = 0) or c of layer k, (batch, hidden).
  T* state(size_t k, int which) { return layers_[k]->state.data() + which * batch_ * hidden(k); }

  // Stream b begins anew.
  void reset(long b) {
    for (size_t k = 0; k < layers_.size(); ++k)
      for (int i = 0; i < states(k); ++i) {
        const T* from = layers_[k]->start.data() + i * hidden(k);
        std::copy(from, from + hidden(k), state(k, i) + b * hidden(k));
      }
  }

  // x (batch, input), dense -> y (batch, width).
  void step(const T* x, T* y) {
    const auto forward = of_type<T>(chosen()).forward;
    for (size_t k = 0; k < layers_.size(); ++k) {
      Layer& layer = *layers_[k];
      Scan<T>& s = layer.scan;
      T* to = k + 1 == layers_.size() ? y : layer.y.data();
      s.x = x, s.x_row = s.input, s.x_step = s.input;
      s.y = to, s.y_row = s.hidden, s.y_step = s.hidden;
      for (int i = 0; i < layer.states; ++i) s.begin[i] = s.end[i] = state(k, i);
      forward(s, room_->data());
      if (residual_ && k && s.input == s.hidden)
        for (long i = 0; i < batch_ * s.hidden; ++i) to[i] += x[i];
      x = to;
    }
  }

 private:
  struct Layer {
    Scan<T> scan;
    int states;
    std::unique_ptr<Block> packed;
    std::vector<T> start, state, y;
  };

  long batch_, input_;
  bool residual_;
  size_t scratch_ = 0;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::unique_ptr<Block> room_;
};
