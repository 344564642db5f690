// One random call of the kernels: a cell with any of its options, odd sizes, lengths, resets, states, directions.
#pragma once

#include <deque>
#include <random>
#include <sstream>

#include "../hash.h"
#include "../stack.h"
#include "room.h"

class Dice {
 public:
  explicit Dice(uint64_t seed) : source_(seed) {}
  long upto(long n) { return long(source_() % uint64_t(n)); }  // 0..n - 1
  bool one_in(long n) { return upto(n) == 0; }
  template <class V> V of(std::initializer_list<V> all) { return all.begin()[upto(long(all.size()))]; }
  double number() { return double(source_() >> 11) / 4503599627370496.0 - 1; }  // -1..1

 private:
  std::mt19937_64 source_;
};

// What all rows of a stack have in common, and the memory of everything that is read or written.
template <class T> class Case {
 public:
  Stack<T> stack{};
  Gradient<T> g{};

  Case(uint64_t seed, long most_layers, bool streaming = false) : dice_(seed) {
    draw_sizes(most_layers, streaming);
    draw_options();
    Scan<T>& s = stack.all;
    const long rows = stack.rows(), B = s.batch, N = s.time;
    // Sometimes x lies with gaps, as a view of something larger.
    const long gap = streaming ? 0 : dice_.of<long>({0, 0, 3});
    s.x_step = s.input + gap, s.x_row = N * s.x_step + gap;
    s.x = random(B && N ? (B - 1) * s.x_row + (N - 1) * s.x_step + s.input : 0);
    const bool begun = streaming || dice_.one_in(2), again = dice_.one_in(2), masked = !streaming && dice_.one_in(3);
    for (int i = 0; i < states(); ++i) {
      const long wide = rows * (streaming ? 1 : B) * (i ? s.hidden : s.output);
      if (begun) s.begin[i] = random(wide);
      if (again) s.restart[i] = random(wide);
    }
    if (!streaming && dice_.one_in(2)) draw_lengths();
    if (!streaming && dice_.one_in(2)) s.resets = marks(B * N);
    for (long r = 0; r < rows; ++r) stack.parts.push_back(part(r, masked));
    s.options = stack.parts[0].options;
  }

  int states() const { return stack.all.kind == LSTM ? 2 : 1; }

  // Room for the answers, full of NaN; `train` also for gradients, each of which is left out now and then.
  void make_room(bool train) {
    Scan<T>& s = stack.all;
    const long rows = stack.rows(), B = s.batch, N = s.time;
    s.y_step = stack.width(), s.y_row = N * s.y_step;
    s.y = result(B * s.y_row);
    for (int i = 0; i < states(); ++i) s.end[i] = result(rows * B * (i ? s.hidden : s.output));
    if (!train) return;
    kept_ = room(stack.plan().numbers());
    stack.kept = kept_;
    const long gap = dice_.of<long>({0, 0, 5});
    g.dy_step = stack.width() + gap, g.dy_row = N * g.dy_step;
    if (!dice_.one_in(8)) g.dy = random(B && N ? (B * N - 1) * g.dy_step + stack.width() : 0);
    if (dice_.one_in(2)) g.dx = result(B * N * s.input);
    for (int i = 0; i < states(); ++i) {
      const long wide = rows * B * (i ? s.hidden : s.output);
      if (dice_.one_in(2)) g.dend[i] = random(wide);
      if (s.begin[i] && dice_.one_in(2)) g.dbegin[i] = result(wide);
      if (s.restart[i] && dice_.one_in(2)) g.drestart[i] = result(wide);
    }
    for (long r = 0; r < rows; ++r) ask(r);
  }

  // The same call once more: every answer is poisoned again.
  void again(int threads) {
    stack.all.threads = threads;
    for (Room<T>* each : results_) each->poison();
    for (Room<T>& each : rooms_)
      if (each.data() == kept_) each.poison();
  }

  std::vector<T> answers() const {
    std::vector<T> all;
    for (const Room<T>* each : results_) all.insert(all.end(), each->begin(), each->end());
    return all;
  }

  std::string said() const {
    const Scan<T>& s = stack.all;
    const Options<T>& o = s.options;
    std::ostringstream text;
    text << (sizeof(T) == 4 ? "f32 " : "f64 ") << (s.kind == RNN ? "rnn" : s.kind == LSTM ? "lstm" : "gru") << ' '
         << stack.layers << 'x' << stack.directions << " batch " << s.batch << " time " << s.time << " input " << s.input
         << " hidden " << s.hidden << " output " << s.output << " threads " << s.threads << (s.lengths ? " lengths" : "")
         << (s.resets ? " resets" : "") << (s.reverse ? " reverse" : "") << (o.peephole ? " peephole" : "")
         << (o.coupled ? " coupled" : "") << (o.reset_before ? " reset-before" : "") << (o.normed() ? " normed" : "")
         << (o.zoned ? " zoned" : "");
    return text.str();
  }

  T* random(long count, double scale = 1) {
    T* to = room(count);
    for (long i = 0; i < count; ++i) to[i] = T(dice_.number() * scale);
    return to;
  }

 private:
  void draw_sizes(long most_layers, bool streaming) {
    Scan<T>& s = stack.all;
    s.kind = Kind(dice_.upto(KINDS));
    s.activation = s.kind == RNN ? dice_.of({TANH, RELU, SIGMOID, IDENTITY}) : TANH;
    stack.layers = 1 + dice_.upto(most_layers);
    stack.directions = streaming || most_layers == 1 ? 1 : 1 + dice_.upto(2);
    s.batch = dice_.of<long>({1, 1, 2, 3, 5, 6, 7, 13, 17, 33});
    s.time = dice_.of<long>({0, 1, 1, 2, 3, 5, 9, 31, 33, 130});
    s.input = dice_.of<long>({1, 2, 3, 7, 15, 16, 17, 31, 33, 65, dice_.one_in(8) ? 300L : 64L});
    s.hidden = dice_.of<long>({1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 65, 100, 130, dice_.one_in(8) ? 257L : 50L});
    s.output = s.kind == LSTM && dice_.one_in(4) && s.hidden > 1 ? 1 + dice_.upto(s.hidden - 1) : s.hidden;
    s.reverse = !streaming && dice_.one_in(2);
    s.threads = s.team = 1;
  }

  void draw_options() {
    normed_ = dice_.one_in(4);
    if (normed_) {  // over many steps the norm of a few numbers makes a gradient grow without end
      stack.all.hidden = stack.all.output = std::max(stack.all.hidden, 7L);
      stack.all.time = std::min(stack.all.time, 9L);
    }
    peephole_ = stack.all.kind == LSTM && dice_.one_in(3);
    Options<T>& o = all_;
    o.coupled = stack.all.kind == LSTM && dice_.one_in(3);
    o.reset_before = stack.all.kind == GRU && !normed_ && dice_.one_in(3);
    o.zoned = dice_.one_in(3);
    for (int i = 0; o.zoned && i < 2; ++i)
      o.zoneout[i] = {dice_.of({0.2, 0.7, 1.0}), dice_.one_in(2), uint32_t(dice_.upto(1L << 32)), uint32_t(dice_.upto(9))};
  }

  void draw_lengths() {
    Scan<T>& s = stack.all;
    lengths_ = Room<int64_t>(s.batch), order_ = Room<int64_t>(s.batch);
    for (int64_t& n : lengths_) n = dice_.upto(s.time + 1);
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int64_t a, int64_t b) { return lengths_.data()[a] > lengths_.data()[b]; });
    s.lengths = lengths_.data(), s.order = order_.data();
  }

  const uint8_t* marks(long count) {
    marks_ = Room<uint8_t>(count);
    for (uint8_t& m : marks_) m = dice_.one_in(4);
    return marks_.data();
  }

  Part<T> part(long r, bool masked) {
    const Scan<T>& s = stack.all;
    const long H = s.hidden, O = s.output, G = gates_of(s.kind) * H, D = r < stack.directions ? s.input : stack.width();
    const double scale = 1 / std::sqrt(double(H));
    const bool biased = !dice_.one_in(4);
    Part<T> p{random(G * D, scale), random(G * O, scale), biased ? random(G) : nullptr, biased ? random(G) : nullptr,
              masked ? random(s.batch * O) : nullptr, all_, {}};
    if (O != H) p.options.P = random(O * H, scale);
    if (peephole_) p.options.peephole = random(3 * H);
    Norm<T>* norms[] = {&p.options.norm_x, &p.options.norm_h, &p.options.norm_c};
    for (int i = 0; normed_ && i < 3; ++i)
      if (const long n = norm_width(i)) *norms[i] = {random(n), random(n)};
    return p;
  }
  long norm_width(int i) const {
    const Scan<T>& s = stack.all;
    const long G = gates_of(s.kind) * s.hidden;
    return i == 0 ? G : i == 1 ? (s.kind == RNN ? 0 : G) : s.kind == LSTM ? s.hidden : 0;
  }

  // Which gradients of row r are wanted.
  void ask(long r) {
    const Scan<T>& s = stack.all;
    Part<T>& p = stack.parts[r];
    const long H = s.hidden, O = s.output, G = gates_of(s.kind) * H, D = r < stack.directions ? s.input : stack.width();
    const auto now_and_then = [&](long count) { return dice_.one_in(6) ? nullptr : result(count); };
    p.to.dW = now_and_then(G * D), p.to.dR = now_and_then(G * O);
    if (p.b_ih) p.to.db_ih = now_and_then(G);
    if (p.b_hh) p.to.db_hh = now_and_then(G);
    if (p.options.P) p.to.dP = now_and_then(O * H);
    if (p.options.peephole) p.to.dpeephole = now_and_then(3 * H);
    for (int i = 0; normed_ && i < 3; ++i)
      if (const long n = norm_width(i)) p.to.dgain[i] = now_and_then(n), p.to.dshift[i] = now_and_then(n);
  }

  T* room(long count) {
    rooms_.emplace_back(count);
    return rooms_.back().data();
  }
  T* result(long count) {
    T* data = room(count);
    results_.push_back(&rooms_.back());
    return data;
  }

  Dice dice_;
  std::deque<Room<T>> rooms_;
  std::vector<Room<T>*> results_;
  Room<int64_t> lengths_{0}, order_{0};
  Room<uint8_t> marks_{0};
  Options<T> all_{};
  T* kept_ = nullptr;
  bool normed_ = false, peephole_ = false;
};
