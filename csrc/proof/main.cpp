// The kernels without Python: thousands of random calls in memory of exactly the size that each asks for.
//
//   kernel_proof [CASES] [FIRST SEED]
//
// Every answer must be finite (its memory was full of NaN), the same bits on one thread and on several, and to rounding
// what the plain build says; a stream must take the steps that a whole sequence takes. Built with a sanitizer, this is
// what `make check` runs.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <thread>

#include "case.h"
#include "../stream.h"

namespace {

std::atomic<int> failures{0};

void fail(const std::string& what, uint64_t seed, const std::string& said) {
  std::fprintf(stderr, "kernel_proof: %s: seed %llu: %s\n", what.c_str(), (unsigned long long)seed, said.c_str());
  ++failures;
}

template <class T> bool finite(const std::vector<T>& all) {
  return std::all_of(all.begin(), all.end(), [](T v) { return std::isfinite(v); });
}
template <class T> bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || !std::memcmp(a.data(), b.data(), a.size() * sizeof(T)));
}

// The largest difference, in parts of the largest number.
template <class T> double apart(const std::vector<T>& a, const std::vector<T>& b) {
  double most = 1, found = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::fabs(double(b[i])));
    found = std::max(found, std::fabs(double(a[i]) - double(b[i])));
  }
  return found / most;
}

// One row, by the kernels themselves: scratch and the gates' gradients lie in memory of exactly their size.
// `may_lose`: dz lies over what was saved, where it finds room there.
template <class T> void by_kernels(Case<T>& c, int threads, bool may_lose, const Kernels& kernels = chosen()) {
  c.again(threads);
  Scan<T> s = c.stack.all;
  const Part<T>& part = c.stack.parts[0];
  s.W = part.W, s.R = part.R, s.b_ih = part.b_ih, s.b_hh = part.b_hh, s.mask = part.mask;
  s.saved = c.stack.kept;
  s.threads = int(std::min<long>(threads, std::max(1L, s.batch))), s.team = threads;
  const auto run = of_type<T>(kernels);
  const Room<char> scratch(long(run.forward(s, nullptr)), true);
  run.forward(s, scratch.data());
  Gradient<T> g = part.to;
  g.dy = c.g.dy, g.dy_row = c.g.dy_row, g.dy_step = c.g.dy_step, g.dx = c.g.dx;
  for (int i = 0; i < 2; ++i) g.dend[i] = c.g.dend[i], g.dbegin[i] = c.g.dbegin[i], g.drestart[i] = c.g.drestart[i];
  const Room<T> dz(s.batch * s.time * Slots::of(s).width);
  s.options = part.options;
  g.dz = may_lose && Saved::may_lose(s) ? nullptr : dz.data();
  const Room<char> more(long(run.backward(s, g, nullptr)), true);
  run.backward(s, g, more.data());
}

template <class T> void prove_row(uint64_t seed) {
  Case<T> c(seed, 1);
  c.make_room(true);
  by_kernels(c, 1, false);
  const auto one = c.answers();
  if (!finite(one)) fail("not finite", seed, c.said());
  by_kernels(c, 1, false, available().back());
  if (!(apart(one, c.answers()) < (sizeof(T) == 4 ? 1e-5 : 1e-13))) fail("not what the plain build says", seed, c.said());
  for (int threads = 1; threads <= 5; threads += 1 + seed % 3) {
    by_kernels(c, threads, true);
    if (!same(one, c.answers())) fail("other bits", seed, c.said());
  }
}

template <class T> void prove_stack(uint64_t seed) {
  Case<T> c(seed, 3);
  const bool train = seed % 4 != 0;
  c.make_room(train);
  std::vector<T> first;
  for (int threads : {1, 4}) {
    c.again(threads);
    c.stack.forward();
    if (train) c.stack.backward(c.g, threads > 1);
    const auto all = c.answers();
    // Of a layer under the lowest that a gradient is asked of nothing is written.
    if (threads == 1) first = all;
    else if (!same(first, all)) fail("a stack's other bits", seed, c.said());
  }
  const long y = c.stack.all.batch * c.stack.all.y_row;
  if (!finite(std::vector<T>(first.begin(), first.begin() + y))) fail("a stack's y not finite", seed, c.said());
}

// A stream against the whole sequence; what it was made from is gone by then.
template <class T> void prove_stream(uint64_t seed) {
  auto made = std::make_unique<Case<T>>(seed, 3, true);
  Scan<T> s = made->stack.all;
  const long B = s.batch, N = s.time, D = s.input, O = s.output;
  Stream<T> stream(B, D, false);
  for (long k = 0; k < made->stack.layers; ++k) {
    Scan<T> layer = s;
    const Part<T>& part = made->stack.parts[k];
    layer.W = part.W, layer.R = part.R, layer.b_ih = part.b_ih, layer.b_hh = part.b_hh, layer.options = part.options;
    layer.begin[0] = s.begin[0] + k * O;
    if (s.kind == LSTM) layer.begin[1] = s.begin[1] + k * s.hidden;
    stream.add(layer);
  }
  const Room<T> x(B * N * D), y(B * O), step(B * D);
  std::copy_n(s.x, B * N * D, x.data());
  made.reset();
  std::vector<T> first;
  for (int turn = 0; turn < 2; ++turn) {
    std::vector<T> all;
    for (long t = 0; t < N; ++t) {
      for (long b = 0; b < B; ++b) std::copy_n(x.data() + (b * N + t) * D, D, step.data() + b * D);
      stream.step(step.data(), y.data());
      all.insert(all.end(), y.begin(), y.end());
    }
    if (!finite(all)) fail("a stream's step not finite", seed, "");
    if (turn == 0) first = all;
    else if (!same(first, all)) fail("a stream that was reset differs", seed, "");
    for (long b = 0; b < B; ++b) stream.reset(b);
  }
}

// A product of odd sizes, either matrix turned round or with gaps, against a plain sum.
template <class T> void prove_product(uint64_t seed) {
  Dice dice(seed);
  const auto size = [&] { return dice.of<long>({0, 1, 2, 5, 15, 16, 17, 40, 97, 130, 600}); };
  Product<T> p{};
  p.rows = 1 + size(), p.inner = size(), p.columns = 1 + size();
  const auto matrix = [&](long rows, long columns, long& row, long& column) {
    const bool turned = dice.one_in(2);
    const long gap = dice.of<long>({0, 0, 3});
    (turned ? row : column) = 1, (turned ? column : row) = (turned ? rows : columns) + gap;
    Room<T> made(rows && columns ? (rows - 1) * row + (columns - 1) * column + 1 : 0);
    for (T& v : made) v = T(dice.number());
    return made;
  };
  const Room<T> a = matrix(p.rows, p.inner, p.a_row, p.a_step), b = matrix(p.inner, p.columns, p.b_step, p.b_column);
  Room<T> bias(dice.one_in(2) ? p.columns : 0);
  for (T& v : bias) v = T(dice.number());
  p.a = a.data(), p.b = b.data(), p.bias = bias.data(), p.out_row = p.columns;
  const auto run = of_type<T>(chosen()).multiply;
  std::vector<T> first;
  for (int threads = 1; threads <= 5; threads += 1 + int(seed % 3)) {
    const Room<T> out(p.rows * p.columns);
    p.out = out.data(), p.threads = threads;
    const Room<char> scratch(long(run(p, nullptr)), true);
    run(p, scratch.data());
    const std::vector<T> all(out.begin(), out.end());
    if (threads > 1 && !same(first, all)) fail("a product's other bits", seed, "");
    if (threads == 1) first = all;
  }
  for (long r = 0; r < p.rows; ++r) {
    const long c = dice.upto(p.columns);
    double sum = p.bias ? p.bias[c] : 0;
    for (long k = 0; k < p.inner; ++k) sum += double(p.a[r * p.a_row + k * p.a_step]) * p.b[k * p.b_step + c * p.b_column];
    if (!(std::fabs(first[r * p.columns + c] - sum) < 1e-3)) fail("a product's sum", seed, "");
  }
}

// A mask's numbers one by one, on one thread and on several.
template <class T> void prove_mask(uint64_t seed) {
  Dice dice(seed);
  const auto size = [&] { return 1 + dice.of<long>({0, 1, 4, 14, 15, 16, 40}); };
  Mask<T> m{};
  m.sequences = size(), m.steps = dice.one_in(2) ? 0 : size(), m.units = size();
  m.seed = mix(uint32_t(seed)), m.rate = dice.of({0.0, 0.3, 0.999, 1.0});
  const long steps = std::max(m.steps, 1L);
  for (int threads = 1; threads <= 5; threads += 1 + int(seed % 3)) {
    const Room<T> out(m.sequences * steps * m.units);
    m.to = out.data(), m.threads = threads;
    of_type<T>(chosen()).mask(m);
    for (long i = 0; i < m.sequences * steps * m.units; ++i) {
      uint32_t place = mix(m.seed + GOLDEN * uint32_t(i / m.units / steps + 1));
      if (m.steps) place = mix(place + GOLDEN * uint32_t(i / m.units % steps + 1));
      const bool kept = mix(place + GOLDEN * uint32_t(i % m.units + 1)) >= uint64_t(m.rate * 4294967296.0);
      if (m.to[i] != (kept ? T(1) / T(1 - m.rate) : T(0))) return fail("a mask's number", seed, "");
    }
  }
}

template <class T> void prove(uint64_t seed) {
  prove_product<T>(seed);
  prove_mask<T>(seed);
  prove_row<T>(seed);
  prove_stack<T>(seed);
  prove_stream<T>(seed);
}

// Several callers at once share the pool and nothing else.
void prove_callers(uint64_t seed, int count) {
  std::vector<std::thread> callers;
  for (int i = 0; i < count; ++i)
    callers.emplace_back([=] { i % 2 ? prove_stack<float>(seed + i) : prove_stack<double>(seed + i); });
  for (std::thread& each : callers) each.join();
}

}  // namespace

int main(int count, char** words) {
  const uint64_t cases = count > 1 ? std::strtoull(words[1], nullptr, 10) : 200;
  const uint64_t first = count > 2 ? std::strtoull(words[2], nullptr, 10) : 1;
  for (uint64_t seed = first; seed < first + cases; ++seed) {
    seed % 2 ? prove<float>(seed) : prove<double>(seed);
    if (seed % 16 == 0) prove_callers(seed, 6);
  }
  std::printf("%s: %llu cases, %d failures\n", chosen().name, (unsigned long long)cases, failures.load());
  return failures != 0;
}
