// A stack of layers that takes one step at a time: it owns its packed weights and its state.
#pragma once

#include <memory>
#include <vector>

#include "choice.h"
#include "pool.h"

template <class T> class Stream {
 public:
  Stream(long batch, long input, bool residual) : batch_(batch), input_(input), residual_(residual) {}

  // One more layer on top, of which a scan says the cell, its weights and (as `begin`) one row of each state to start
  // from. All of them may go away afterwards.
  void add(Scan<T> s) {
    s.batch = batch_, s.time = 1, s.input = width(), s.threads = s.team = 1;
    auto layer = std::make_unique<Layer>();
    layer->states = s.kind == LSTM ? 2 : 1;
    layer->state.resize(batch_ * (s.output + s.hidden));
    layer->y.resize(batch_ * s.output);
    layer->start.assign(s.begin[0], s.begin[0] + s.output);
    if (layer->states > 1) layer->start.insert(layer->start.end(), s.begin[1], s.begin[1] + s.hidden);
    const auto run = of_type<T>(chosen());
    layer->packed = std::make_unique<Block>(run.pack(s, nullptr));
    run.pack(s, layer->packed->data());
    s.packed = layer->packed->data(), s.W = s.R = s.b_ih = s.b_hh = nullptr;
    own(layer->small, s.options.peephole, 3 * s.hidden);
    for (Norm<T>* norm : {&s.options.norm_x, &s.options.norm_h, &s.options.norm_c}) {
      const long width = norm == &s.options.norm_c ? s.hidden : gates_of(s.kind) * s.hidden;
      own(layer->small, norm->gain, width), own(layer->small, norm->shift, width);
    }
    layer->scan = s;
    scratch_ = std::max(scratch_, run.forward(s, nullptr));
    layers_.push_back(std::move(layer));
    for (long b = 0; b < batch_; ++b) reset(b);
    room_ = std::make_unique<Block>(scratch_);
  }

  long batch() const { return batch_; }
  long input() const { return input_; }
  long width() const { return layers_.empty() ? input_ : layers_.back()->scan.output; }
  size_t layers() const { return layers_.size(); }
  int states(size_t k) const { return layers_[k]->states; }
  // Numbers in one row of h (which = 0) or c of layer k.
  long size(size_t k, int which) const { return which == 0 ? layers_[k]->scan.output : layers_[k]->scan.hidden; }
  // h (which = 0) or c of layer k, (batch, size).
  T* state(size_t k, int which) { return layers_[k]->state.data() + which * batch_ * size(k, 0); }

  // Stream b begins anew.
  void reset(long b) {
    for (size_t k = 0; k < layers_.size(); ++k)
      for (int i = 0; i < states(k); ++i) {
        const T* from = layers_[k]->start.data() + i * size(k, 0);
        std::copy(from, from + size(k, i), state(k, i) + b * size(k, i));
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
      s.y = to, s.y_row = s.output, s.y_step = s.output;
      for (int i = 0; i < layer.states; ++i) s.begin[i] = s.end[i] = state(k, i);
      forward(s, room_->data());
      if (residual_ && k && s.input == s.output)
        for (long i = 0; i < batch_ * s.output; ++i) to[i] += x[i];
      x = to;
    }
  }

 private:
  struct Layer {
    Scan<T> scan;
    int states;
    std::unique_ptr<Block> packed;
    std::vector<T> start, state, y;
    std::vector<std::vector<T>> small;  // what the kernels read unpacked
  };

  // A copy in place of the original, where there is one.
  static void own(std::vector<std::vector<T>>& copies, const T*& numbers, long count) {
    if (!numbers) return;
    copies.emplace_back(numbers, numbers + count);
    numbers = copies.back().data();
  }

  long batch_, input_;
  bool residual_;
  size_t scratch_ = 0;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::unique_ptr<Block> room_;
};
