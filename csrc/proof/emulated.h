// What the kernels use of AVX-512 and AMX, one plain function for each instruction: with OSTINATO_EMULATED those builds run,
// slowly, on a processor that has no such instructions, and the tests see what they compute. Included before all else.
//
// It proves the kernels' own logic, not the compiler's code. What an instruction would refuse (memory that is not aligned,
// tiles whose shapes do not fit) ends the program.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace emulated {

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Bits __attribute__((vector_size(64)));

// f(lane) for each of 16.
template <class V, class F> inline V lanes(const F& f) {
  V v{};
  for (int i = 0; i < 16; ++i) v[i] = f(i);
  return v;
}
template <class F> inline __m512 floats(const F& f) { return (__m512)lanes<Floats>(f); }
template <class F> inline __m512i ints(const F& f) { return (__m512i)lanes<Ints>(f); }
template <class F> inline __mmask16 mask(const F& f) {
  unsigned m = 0;
  for (int i = 0; i < 16; ++i) m |= unsigned(f(i)) << i;
  return __mmask16(m);
}
inline int at(__m512i v, int i) { return ((Ints)v)[i]; }
inline void expect(bool so) {
  if (!so) __builtin_trap();
}
inline const void* whole_line(const void* p) { return expect(reinterpret_cast<uintptr_t>(p) % 64 == 0), p; }
template <class V> inline V read(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class V> inline void write(void* p, V v) { std::memcpy(p, &v, sizeof v); }

// Floats ------------------------------------------------------------------------------------------
inline __m512 set1_ps(float a) { return floats([&](int) { return a; }); }
inline __m512 setzero_ps() { return __m512{}; }
inline __m512 add_ps(__m512 a, __m512 b) { return a + b; }
inline __m512 mul_ps(__m512 a, __m512 b) { return a * b; }
inline __m512 div_ps(__m512 a, __m512 b) { return a / b; }
inline __m512 max_ps(__m512 a, __m512 b) { return floats([&](int i) { return a[i] > b[i] ? a[i] : b[i]; }); }
inline __m512 min_ps(__m512 a, __m512 b) { return floats([&](int i) { return a[i] < b[i] ? a[i] : b[i]; }); }
inline __m512 fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return floats([&](int i) { return __builtin_fmaf(a[i], b[i], c[i]); });
}
// Right to 14 bits, and no better.
inline __m512 rcp14_ps(__m512 a) {
  return floats([&](int i) {
    const float y = 1 / a[i];
    const uint32_t bits = read<uint32_t>(&y) & 0xfffffe00u;
    return read<float>(&bits);
  });
}
inline float cvtss_f32(__m512 a) { return a[0]; }
inline float reduce_add_ps(__m512 a) {
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; ++i) a[i] += a[i + half];
  return a[0];
}

// Whole numbers -----------------------------------------------------------------------------------
inline __m512i set1_epi32(int a) { return ints([&](int) { return a; }); }
inline __m512i setzero_si512() { return __m512i{}; }
inline __m512i and_si512(__m512i a, __m512i b) { return a & b; }
inline __m512i xor_si512(__m512i a, __m512i b) { return a ^ b; }
inline __m512i add_epi32(__m512i a, __m512i b) { return (__m512i)((Bits)a + (Bits)b); }
inline __m512i sub_epi32(__m512i a, __m512i b) { return (__m512i)((Bits)a - (Bits)b); }
inline __m512i max_epi32(__m512i a, __m512i b) { return ints([&](int i) { return at(a, i) > at(b, i) ? at(a, i) : at(b, i); }); }
inline __m512i min_epi32(__m512i a, __m512i b) { return ints([&](int i) { return at(a, i) < at(b, i) ? at(a, i) : at(b, i); }); }
inline __m512i srli_epi32(__m512i a, uint32_t n) { return (__m512i)((Bits)a >> n); }
inline __m512i slli_epi32(__m512i a, uint32_t n) { return (__m512i)((Bits)a << n); }
inline __m512i srai_epi32(__m512i a, int n) { return (__m512i)((Ints)a >> n); }
inline __m512i sllv_epi32(__m512i a, __m512i n) {
  return ints([&](int i) { return uint32_t(at(n, i)) < 32 ? int(uint32_t(at(a, i)) << at(n, i)) : 0; });
}
inline __m512i ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int what) { return expect(what == 0xf8), a | (b & c); }
inline int reduce_max_epi32(__m512i a) {
  int most = at(a, 0);
  for (int i = 1; i < 16; ++i) most = at(a, i) > most ? at(a, i) : most;
  return most;
}
inline __m512i cvtps_epi32(__m512 a) { return ints([&](int i) { return _mm_cvtss_si32(_mm_set_ss(a[i])); }); }
inline __m512 cvtepi32_ps(__m512i a) { return floats([&](int i) { return float(at(a, i)); }); }
inline __mmask16 cmpge_epi32_mask(__m512i a, __m512i b) { return mask([&](int i) { return at(a, i) >= at(b, i); }); }
inline __mmask16 cmplt_epi32_mask(__m512i a, __m512i b) { return mask([&](int i) { return at(a, i) < at(b, i); }); }

// Where numbers lie -------------------------------------------------------------------------------
inline __m512 load_ps(const void* p) { return read<__m512>(whole_line(p)); }
inline __m512 loadu_ps(const void* p) { return read<__m512>(p); }
inline __m512i load_si512(const void* p) { return read<__m512i>(whole_line(p)); }
inline void store_ps(void* p, __m512 v) { whole_line(p), write(p, v); }
inline void storeu_ps(void* p, __m512 v) { write(p, v); }
inline void store_si512(void* p, __m512i v) { whole_line(p), write(p, v); }
inline __m512 maskz_loadu_ps(__mmask16 m, const float* p) { return floats([&](int i) { return m >> i & 1 ? p[i] : 0; }); }
inline __m512d maskz_loadu_pd(__mmask8 m, const double* p) {
  __m512d v{};
  for (int i = 0; i < 8; ++i) v[i] = m >> i & 1 ? p[i] : 0;
  return v;
}
inline void mask_storeu_ps(float* p, __mmask16 m, __m512 v) {
  for (int i = 0; i < 16; ++i)
    if (m >> i & 1) p[i] = v[i];
}
inline void mask_storeu_pd(double* p, __mmask8 m, __m512d v) {
  for (int i = 0; i < 8; ++i)
    if (m >> i & 1) p[i] = v[i];
}
inline __m512 mask_mov_ps(__m512 a, __mmask16 m, __m512 b) { return floats([&](int i) { return m >> i & 1 ? b[i] : a[i]; }); }
inline __m512 maskz_mov_ps(__mmask16 m, __m512 a) { return mask_mov_ps(__m512{}, m, a); }
inline __m512i maskz_sub_epi32(__mmask16 m, __m512i a, __m512i b) {
  return ints([&](int i) { return m >> i & 1 ? at(a, i) - at(b, i) : 0; });
}
inline __m512 castps128_ps512(__m128 a) { return floats([&](int i) { return i < 4 ? a[i] : 0; }); }
inline __m512 mask_broadcast_f32x4(__m512 a, __mmask16 m, __m128 b) {
  return floats([&](int i) { return m >> i & 1 ? b[i % 4] : a[i]; });
}
inline __m512 unpacklo_ps(__m512 a, __m512 b) { return floats([&](int i) { return (i % 2 ? b : a)[i / 4 * 4 + i % 4 / 2]; }); }
inline __m512 unpackhi_ps(__m512 a, __m512 b) { return floats([&](int i) { return (i % 2 ? b : a)[i / 4 * 4 + i % 4 / 2 + 2]; }); }
inline __m512d unpack_pd(__m512d a, __m512d b, int second) {
  __m512d v{};
  for (int i = 0; i < 8; ++i) v[i] = (i % 2 ? b : a)[i / 2 * 2 + second];
  return v;
}
inline __m512d unpacklo_pd(__m512d a, __m512d b) { return unpack_pd(a, b, 0); }
inline __m512d unpackhi_pd(__m512d a, __m512d b) { return unpack_pd(a, b, 1); }
inline __m512i permutex2var_epi32(__m512i a, __m512i which, __m512i b) {
  return ints([&](int i) { return at(at(which, i) & 16 ? b : a, at(which, i) & 15); });
}

// Tiles: one unit for each thread. ------------------------------------------------------------------
struct Shapes {
  uint8_t palette, start, unused[14];
  uint16_t bytes[16];
  uint8_t rows[16];
};
struct Unit {
  Shapes shapes{};
  uint8_t tiles[8][16][64]{};
  void use(int n) const { expect(shapes.palette == 1 && shapes.rows[n] && shapes.rows[n] <= 16 && shapes.bytes[n] == 64); }
};
inline thread_local Unit unit;

inline void tile_config(const void* shapes) { unit = Unit{read<Shapes>(shapes)}; }
inline void tile_release() { unit = Unit{}; }
template <int N> inline void tile_zero() { unit.use(N), std::memset(unit.tiles[N], 0, sizeof unit.tiles[N]); }
template <int N> inline void tile_load(const void* from, long bytes) {
  tile_zero<N>();
  for (int r = 0; r < unit.shapes.rows[N]; ++r) std::memcpy(unit.tiles[N][r], static_cast<const char*>(from) + r * bytes, 64);
}
template <int N> inline void tile_store(void* to, long bytes) {
  unit.use(N);
  for (int r = 0; r < unit.shapes.rows[N]; ++r) std::memcpy(static_cast<char*>(to) + r * bytes, unit.tiles[N][r], 64);
}
template <int C, int A, int B> inline void tile_multiply() {
  unit.use(A), unit.use(B), unit.use(C);
  expect(unit.shapes.rows[A] == unit.shapes.rows[C] && unit.shapes.rows[B] == 16);
  for (int r = 0; r < unit.shapes.rows[C]; ++r) {
    Ints sum = read<Ints>(unit.tiles[C][r]);
    for (int k = 0; k < 64; ++k) {
      const int left = int8_t(unit.tiles[A][r][k]);
      const uint8_t* right = unit.tiles[B][k / 4] + k % 4;
      for (int i = 0; i < 16; ++i) sum[i] += left * int8_t(right[4 * i]);
    }
    write(unit.tiles[C][r], sum);
  }
}

}  // namespace emulated

#define __AVX512F__ 1
#ifdef OST_EMULATED_TILES
#define __AMX_INT8__ 1
#endif
// Some of them the compiler's header has as macros.
#undef _mm512_ternarylogic_epi32
#undef _mm512_srli_epi32
#undef _mm512_slli_epi32
#undef _mm512_srai_epi32
#define _mm512_castps_si512(a) ((__m512i)(a))
#define _mm512_castsi512_ps(a) ((__m512)(a))
#define _mm512_castps_pd(a) ((__m512d)(a))
#define _mm512_castpd_ps(a) ((__m512)(a))
#define _mm512_stream_si512 emulated::store_si512
#define _mm512_set1_ps emulated::set1_ps
#define _mm512_setzero_ps emulated::setzero_ps
#define _mm512_add_ps emulated::add_ps
#define _mm512_mul_ps emulated::mul_ps
#define _mm512_div_ps emulated::div_ps
#define _mm512_max_ps emulated::max_ps
#define _mm512_min_ps emulated::min_ps
#define _mm512_fmadd_ps emulated::fmadd_ps
#define _mm512_rcp14_ps emulated::rcp14_ps
#define _mm512_cvtss_f32 emulated::cvtss_f32
#define _mm512_reduce_add_ps emulated::reduce_add_ps
#define _mm512_set1_epi32 emulated::set1_epi32
#define _mm512_setzero_si512 emulated::setzero_si512
#define _mm512_and_si512 emulated::and_si512
#define _mm512_xor_si512 emulated::xor_si512
#define _mm512_add_epi32 emulated::add_epi32
#define _mm512_sub_epi32 emulated::sub_epi32
#define _mm512_max_epi32 emulated::max_epi32
#define _mm512_min_epi32 emulated::min_epi32
#define _mm512_srli_epi32 emulated::srli_epi32
#define _mm512_slli_epi32 emulated::slli_epi32
#define _mm512_srai_epi32 emulated::srai_epi32
#define _mm512_sllv_epi32 emulated::sllv_epi32
#define _mm512_ternarylogic_epi32 emulated::ternarylogic_epi32
#define _mm512_reduce_max_epi32 emulated::reduce_max_epi32
#define _mm512_cvtps_epi32 emulated::cvtps_epi32
#define _mm512_cvtepi32_ps emulated::cvtepi32_ps
#define _mm512_cmpge_epi32_mask emulated::cmpge_epi32_mask
#define _mm512_cmplt_epi32_mask emulated::cmplt_epi32_mask
#define _mm512_load_ps emulated::load_ps
#define _mm512_loadu_ps emulated::loadu_ps
#define _mm512_load_si512 emulated::load_si512
#define _mm512_store_ps emulated::store_ps
#define _mm512_storeu_ps emulated::storeu_ps
#define _mm512_store_si512 emulated::store_si512
#define _mm512_maskz_loadu_ps emulated::maskz_loadu_ps
#define _mm512_maskz_loadu_pd emulated::maskz_loadu_pd
#define _mm512_mask_storeu_ps emulated::mask_storeu_ps
#define _mm512_mask_storeu_pd emulated::mask_storeu_pd
#define _mm512_mask_mov_ps emulated::mask_mov_ps
#define _mm512_maskz_mov_ps emulated::maskz_mov_ps
#define _mm512_maskz_sub_epi32 emulated::maskz_sub_epi32
#define _mm512_castps128_ps512 emulated::castps128_ps512
#define _mm512_mask_broadcast_f32x4 emulated::mask_broadcast_f32x4
#define _mm512_unpacklo_ps emulated::unpacklo_ps
#define _mm512_unpackhi_ps emulated::unpackhi_ps
#define _mm512_unpacklo_pd emulated::unpacklo_pd
#define _mm512_unpackhi_pd emulated::unpackhi_pd
#define _mm512_permutex2var_epi32 emulated::permutex2var_epi32
