// Vectors of the instruction set this file is compiled for, and exp, tanh, sigmoid on them.
//
// Written with the compiler's vector types, so that one source serves AVX-512, AVX2 and 128-bit
// vectors (SSE2, NEON). Everything is in an unnamed namespace: each build keeps its own copy, and the
// linker can never hand an AVX-512 function to a machine without it.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// What works on vectors in registers: a call would put them into memory.
#define OST_INLINE inline __attribute__((always_inline))

namespace {

// STEP_BITS: where a register's numbers can be chosen by others, 2^x is one of 2^STEP_BITS powers, 0 to 1 apart, times a
// small one (`exp_of`).
#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, STEP_BITS = 5;
#elif defined(__AVX2__)
constexpr int VECTOR_BYTES = 32, STEP_BITS = 3;
#else
constexpr int VECTOR_BYTES = 16, STEP_BITS = 0;
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool MANY_REGISTERS = true;   // 32 in place of 16
#else
constexpr bool MANY_REGISTERS = false;
#endif

template <class T> struct Simd;
template <> struct Simd<float> {
  typedef float Vec __attribute__((vector_size(VECTOR_BYTES)));
  typedef float Loose __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
  typedef int32_t Int __attribute__((vector_size(VECTOR_BYTES)));
  typedef int32_t Flags __attribute__((vector_size(VECTOR_BYTES)));  // 32 bits a lane, whatever T is
  typedef uint32_t Bits __attribute__((vector_size(VECTOR_BYTES)));
};
template <> struct Simd<double> {
  typedef double Vec __attribute__((vector_size(VECTOR_BYTES)));
  typedef double Loose __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
  typedef int64_t Int __attribute__((vector_size(VECTOR_BYTES)));
  typedef int32_t Flags __attribute__((vector_size(VECTOR_BYTES / 2)));
  typedef uint32_t Bits __attribute__((vector_size(VECTOR_BYTES / 2)));
};
template <class T> using Vec = typename Simd<T>::Vec;
template <class T> constexpr int LANES = VECTOR_BYTES / int(sizeof(T));

template <class T> inline Vec<T> splat(T s) { return s - Vec<T>{}; }  // s - 0 keeps -0, s + 0 does not
template <class T> inline Vec<T> load(const T* p) { return *reinterpret_cast<const typename Simd<T>::Loose*>(p); }
template <class T> inline void store(T* p, Vec<T> v) { *reinterpret_cast<typename Simd<T>::Loose*>(p) = v; }

// A vector that fills a line goes past the caches, which then need not read what it is written over: where more is kept
// than they hold. `settle` before another thread reads it.
constexpr bool PASSES = VECTOR_BYTES == 64;
template <class T> OST_INLINE void store_past(T* p, Vec<T> v) {
#if defined(__AVX512F__)
  if (reinterpret_cast<uintptr_t>(p) % sizeof v == 0) return _mm512_stream_si512((__m512i*)p, (__m512i)v);
#endif
  store(p, v);
}
OST_INLINE void settle() {
#if defined(__AVX512F__)
  _mm_sfence();
#endif
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// All bits of the first n lanes.
OST_INLINE __m256i first_lanes(int n, float) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
OST_INLINE __m256i first_lanes(int n, double) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
// The first n lanes, fewer than all: a half, a quarter, one. By a mask a store is forty instructions to AMD's processors.
OST_INLINE void store_halves(float* p, Vec<float> v, int n) {
  __m128 low = _mm256_castps256_ps128((__m256)v);
  if (n & 4) _mm_storeu_ps(p, low), low = _mm256_extractf128_ps((__m256)v, 1), p += 4;
  if (n & 2) _mm_storel_pi((__m64*)p, low), low = _mm_movehl_ps(low, low), p += 2;
  if (n & 1) _mm_store_ss(p, low);
}
OST_INLINE void store_halves(double* p, Vec<double> v, int n) {
  __m128d low = _mm256_castpd256_pd128((__m256d)v);
  if (n & 2) _mm_storeu_pd(p, low), low = _mm256_extractf128_pd((__m256d)v, 1), p += 2;
  if (n & 1) _mm_store_sd(p, low);
}
#endif

// The first n lanes (1 <= n <= LANES): memory past them is neither read nor written; lanes past them read 0.
template <class T> OST_INLINE Vec<T> load(const T* p, int n) {
  if (n == LANES<T>) return load(p);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
  else return (Vec<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_maskload_ps(p, first_lanes(n, T()));
  else return (Vec<T>)_mm256_maskload_pd(p, first_lanes(n, T()));
#else
  Vec<T> v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
template <class T> OST_INLINE void store(T* p, Vec<T> v, int n) {
  if (n == LANES<T>) return store(p, v);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
  else _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#elif defined(__AVX2__)
  store_halves(p, v, n);
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// f(j, n) for each vector of `length` numbers: j where it begins, n how many of its lanes count. Only the last may be
// short, so that in all others n is known when the code is made and costs nothing.
template <int N> struct Whole {
  constexpr operator int() const { return N; }
};
template <class T, class F> inline void by_vectors(long length, const F& f) {
  long j = 0;
  for (; j + LANES<T> <= length; j += LANES<T>) f(j, Whole<LANES<T>>{});
  if (j < length) f(j, int(length - j));
}

// A few numbers, for which calling memcpy would take longer.
template <class T> OST_INLINE void copy(T* to, const T* from, long length) {
  by_vectors<T>(length, [&](long j, auto n) { store(to + j, load(from + j, n), n); });
}

// Number by number.
template <class T> OST_INLINE void add(T* to, const T* from, long length) {
  by_vectors<T>(length, [&](long j, auto n) { store(to + j, load(to + j, n) + load(from + j, n), n); });
}
template <class T> OST_INLINE void multiply(T* to, const T* from, long length) {
  by_vectors<T>(length, [&](long j, auto n) { store(to + j, load(to + j, n) * load(from + j, n), n); });
}

// Two vectors whose lanes are blocks of D: the blocks that stand crosswise change places.
template <class T, int D> inline void exchange(Vec<T>& a, Vec<T>& b) {
  typename Simd<T>::Int low, high;
  for (int i = 0; i < LANES<T>; ++i) {
    low[i] = i & D ? LANES<T> + i - D : i;
    high[i] = i & D ? LANES<T> + i : i + D;
  }
#if defined(__clang__)
  Vec<T> x, y;
  for (int i = 0; i < LANES<T>; ++i) {
    x[i] = i & D ? b[i - D] : a[i];
    y[i] = i & D ? b[i] : a[i + D];
  }
#else
  const Vec<T> x = __builtin_shuffle(a, b, low), y = __builtin_shuffle(a, b, high);
#endif
  a = x, b = y;
}
template <class T, int D> inline void exchange_all(Vec<T>* v) {
  if constexpr (D < LANES<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < LANES<T>; ++i)
      if (!(i & D)) exchange<T, D>(v[i], v[i + D]);
    exchange_all<T, 2 * D>(v);
  }
}
// A square of as many vectors as a vector has lanes, turned over its diagonal (Eklundh 1972).
template <class T> inline void transpose(Vec<T>* v) { exchange_all<T, 1>(v); }

// x cut off at -most and most; NaN stays NaN (of two operands min and max hand on the second).
OST_INLINE Vec<float> within(Vec<float> x, float most) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_max_ps((__m512)splat(-most), _mm512_min_ps((__m512)splat(most), (__m512)x));
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_max_ps((__m256)splat(-most), _mm256_min_ps((__m256)splat(most), (__m256)x));
#else
  x = x > splat(most) ? splat(most) : x;
  return x < splat(-most) ? splat(-most) : x;
#endif
}

constexpr int MANTISSA = 23, STEPS = 1 << STEP_BITS;

// So many bits of n count steps. NEAR_ZERO, where what is wanted is exp - 1: three at most, for the first power beside 1 is
// rounded, and the nearer it is to 1 the less is left of it.
template <bool NEAR_ZERO> constexpr int FINE = NEAR_ZERO && STEP_BITS > 3 ? 3 : STEP_BITS;

// 2^r - 1 for r within half a step, 0 at 0. For exp 2^r counts, and is within 1e-7 (least largest relative error, Lawson
// 1961). NEAR_ZERO: what is returned counts by itself, within 1e-6 of it, and the less the nearer r is to 0.
template <bool NEAR_ZERO> OST_INLINE Vec<float> small_power(Vec<float> r) {
#if defined(__AVX2__)
  // Taylor's series to r^3, of the next two terms what a shorter one can have (Lanczos 1938).
  constexpr double H = 0.5 / (1 << FINE<NEAR_ZERO>), FOURTH = 9.618129107628477e-3, FIFTH = 1.3333558146428443e-3;
  constexpr float SECOND = float(2.402265069591007e-1 + 0.75 * H * H * FOURTH);
  constexpr float THIRD = float(5.550410866482158e-2 + H * H * FIFTH);
  if constexpr (FINE<NEAR_ZERO> < 5) return ((r * THIRD + SECOND) * r + 6.931471805599453e-1f) * r;
  return (r * 2.4022650695910071e-1f + 6.931573404593462e-1f) * r;
#else
  Vec<float> p = splat(1.326472731307149e-3f);
  p = p * r + 9.671512991189957e-3f;
  p = p * r + 5.550733581185341e-2f;
  p = p * r + 2.4022242426872253e-1f;
  p = p * r + 6.931470036506653e-1f;
  return p * r;
#endif
}

#if defined(__AVX2__)
// The bits of 2^(i / STEPS), less i where they take on those of a whole number of steps.
struct Powers {
  alignas(64) int32_t bits[STEPS];
};
constexpr Powers POWERS = [] {
  Powers all{};
  double root = 2;  // 2^(1 / STEPS), by taking the root so many times
  for (int i = 0; i < STEP_BITS; ++i) {
    double x = root;
    for (int k = 0; k < 60; ++k) x = (x + root / x) / 2;
    root = x;
  }
  double power = 1;
  for (int i = 0; i < STEPS; ++i, power *= root) {
    const double scaled = (power - 1) * (1 << MANTISSA);
    all.bits[i] = (127 << MANTISSA) + int32_t(scaled + 0.5) - (i << (MANTISSA - STEP_BITS));
  }
  return all;
}();
// Each lane's power: its last bits say which.
OST_INLINE Simd<float>::Int power_of(Simd<float>::Int which) {
  using I = Simd<float>::Int;
#if defined(__AVX512F__)
  const auto table = [](int i) { return _mm512_load_si512(POWERS.bits + i); };
  return (I)_mm512_permutex2var_epi32(table(0), (__m512i)which, table(16));
#else
  return (I)_mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i*)POWERS.bits), (__m256i)which);
#endif
}
#endif

// exp(k x) = power (1 + rest), power = 2^n, n = k x / ln 2 to the next step. NaN stays NaN; out of range gives a number next
// to the largest or smallest there is, which is as good as infinity or 0 for the functions below. k costs nothing.
//
// n counts steps: where they are smaller than 1, 2^(n / STEPS) comes from a table, and 2^r takes two or three products.
template <class T> struct Exponential {
  Vec<T> power, rest;
};
template <bool NEAR_ZERO> OST_INLINE Exponential<float> exponential(Vec<float> x, float k) {
  using V = Vec<float>;
  using I = typename Simd<float>::Int;
  const float by = k * 1.44269504088896341f, most = 125.0f / (by < 0 ? -by : by);
  x = within(x, most);
  constexpr int BITS = FINE<NEAR_ZERO>;
  const V magic = splat(float(3 << (MANTISSA - 1 - BITS)));  // the sum's last bits are n
  const V t = x * by + magic, r = x * by - (t - magic);  // one rounding: the compiler fuses it
  const I whole = (I)t << (MANTISSA - BITS);
#if defined(__AVX2__)
  return {(V)(power_of((I)t << (STEP_BITS - BITS)) + whole), small_power<NEAR_ZERO>(r)};
#else
  return {(V)((I)splat(1.0f) + whole), small_power<NEAR_ZERO>(r)};
#endif
}
template <bool> OST_INLINE Exponential<double> exponential(Vec<double> x, double k) {
  using V = Vec<double>;
  using I = typename Simd<double>::Int;
  x *= k;
  x = x > splat(708.0) ? splat(708.0) : x;
  x = x < splat(-708.0) ? splat(-708.0) : x;
  const V magic = splat(6755399441055744.0);  // 1.5 * 2^52
  const V t = x * 1.4426950408889634 + magic, n = t - magic;
  const V r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  V p = splat(1.0 / 6227020800.0);  // Taylor to r^13: the rest is below 1e-17
  const double c[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                      1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5,         1.0};
  for (double k : c) p = p * r + k;
  return {(V)(((I)t << 52) + 0x3ff0000000000000), p * r};
}
template <class T> OST_INLINE Vec<T> exp_of(Vec<T> x, T k) {
  const auto e = exponential<false>(x, k);
  return e.power * e.rest + e.power;
}

// 1 / x: for float an estimate and one Newton step where the machine has one (error below 2^-22).
OST_INLINE Vec<double> reciprocal(Vec<double> x) { return 1.0 / x; }
OST_INLINE Vec<float> reciprocal(Vec<float> x) {
#if defined(__AVX512F__)
  const Vec<float> e = (Vec<float>)_mm512_rcp14_ps((__m512)x);
  return e * (2.0f - x * e);
#else
  return 1.0f / x;
#endif
}

template <class T> OST_INLINE Vec<T> sigmoid_of(Vec<T> x) { return reciprocal(T(1) + exp_of(x, T(-1))); }
// tanh x = m / (m + 2) with m = exp(2 x) - 1: as exact beside x as beside 1, where 1 - 2 / (exp(2 x) + 1) would leave nothing
// of an x below 1e-7. Never beyond 1, whatever the estimate of the reciprocal is.
template <class T> OST_INLINE Vec<T> tanh_of(Vec<T> x) {
  const auto e = exponential<true>(x, T(2));
  const Vec<T> m = e.power * e.rest + (e.power - T(1));
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return within(m * reciprocal(m + T(2)), 1.0f);
#endif
  return m / (m + T(2));
}

}  // namespace
