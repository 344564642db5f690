// What the machine can do at most: fused multiplications and additions a second that touch registers alone.
#pragma once

#include <chrono>
#include <string>

#include "choice.h"
#include "threads.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int CHAINS = 12;  // independent sums: two units with four steps of delay need eight

// `rounds` times CHAINS vectors v = v * a + b. What comes back depends on all of them.
#if defined(__x86_64__)
__attribute__((target("avx512f"), noinline)) inline float chains_512(long rounds) {
  __m512 v[CHAINS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (int i = 0; i < CHAINS; ++i) v[i] = _mm512_set1_ps(float(i));
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) v[i] = _mm512_fmadd_ps(v[i], a, b);
  float sum = 0;
  for (int i = 0; i < CHAINS; ++i) sum += _mm512_cvtss_f32(v[i]);
  return sum;
}
__attribute__((target("avx2,fma"), noinline)) inline float chains_256(long rounds) {
  __m256 v[CHAINS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int i = 0; i < CHAINS; ++i) v[i] = _mm256_set1_ps(float(i));
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) v[i] = _mm256_fmadd_ps(v[i], a, b);
  float sum = 0;
  for (int i = 0; i < CHAINS; ++i) sum += _mm256_cvtss_f32(v[i]);
  return sum;
}
#endif
__attribute__((noinline)) inline float chains_128(long rounds) {
  typedef float V __attribute__((vector_size(16)));
  V v[CHAINS], a = V{} + 0.999f, b = V{} + 0.001f;
  for (int i = 0; i < CHAINS; ++i) v[i] = V{} + float(i);
  for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) v[i] = v[i] * a + b;
  float sum = 0;
  for (int i = 0; i < CHAINS; ++i) sum += v[i][0];
  return sum;
}

// Operations a second (a multiplication and an addition are two), over some `seconds`, with the instruction set that
// the kernels use.
inline double fma_peak(int threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  long lanes = 4;
  float (*run)(long) = chains_128;
#if defined(__x86_64__)
  const std::string isa = chosen().name;
  if (isa == "avx512" || isa == "amx") run = chains_512, lanes = 16;
  if (isa == "avx2") run = chains_256, lanes = 8;
#endif
  if (threads < 1 || threads > MOST_THREADS) throw std::invalid_argument("threads must be in 1.." + std::to_string(MOST_THREADS));
  float sums[MOST_THREADS];
  const auto time = [&](long rounds) {
    const auto began = Clock::now();
    parallel_for(threads, [&](int i) { sums[i] = run(rounds); });
    return std::chrono::duration<double>(Clock::now() - began).count();
  };
  time(1000);  // wakes the threads
  const double once = time(100000);
  const long rounds = long(100000 * seconds / once) + 1000;
  const double taken = time(rounds);
  volatile float keep = 0;
  for (int i = 0; i < threads; ++i) keep = keep + sums[i];
  return 2.0 * CHAINS * lanes * threads * rounds / taken;
}

}  // namespace
