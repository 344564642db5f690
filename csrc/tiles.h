// The unit that multiplies tiles (AMX), and squares of numbers turned on their way there.
#pragma once

#include "simd.h"

namespace {

constexpr int TILE = 16;  // rows, and lanes of 32 bits in a row

struct alignas(64) Tile {
  uint32_t rows[TILE][TILE];
};

#ifdef __AMX_INT8__
template <class T> constexpr bool TILES = sizeof(T) == 4;
#else
template <class T> constexpr bool TILES = false;
#endif

inline long tiles_of(long rows) { return (rows + TILE - 1) / TILE; }

// Rows are dealt evenly to the tiles that they need, so that none is nearly empty: so many to each.
inline int height_of(long rows) { return rows ? int((rows + tiles_of(rows) - 1) / tiles_of(rows)) : 1; }

#ifdef __AMX_INT8__

#ifdef OST_EMULATED
using emulated::tile_config, emulated::tile_release, emulated::tile_zero, emulated::tile_load, emulated::tile_store,
    emulated::tile_multiply;
#else
template <class Shapes> OST_INLINE void tile_config(const Shapes* shapes) { asm volatile("ldtilecfg %0" ::"m"(*shapes)); }
OST_INLINE void tile_release() { asm volatile("tilerelease"); }
template <int N> OST_INLINE void tile_load(const void* from, long bytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(bytes), "i"(N) : "memory");
}
template <int N> OST_INLINE void tile_store(void* to, long bytes) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(bytes), "i"(N) : "memory");
}

template <int C> OST_INLINE void tile_zero() { asm volatile("tilezero %%tmm%c0" ::"i"(C)); }
// Sum C += left A times right B, of bytes with signs.
template <int C, int A, int B> OST_INLINE void tile_multiply() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}
#endif

// The tiles' sizes, for as long as this object lives: a thread's own.
class TileShapes {
  struct alignas(64) Shapes {
    uint8_t palette = 1, start = 0, unused[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
  };
  int height_ = 0;

 public:
  TileShapes() = default;
  TileShapes(const TileShapes&) = delete;
  TileShapes& operator=(const TileShapes&) = delete;
  ~TileShapes() {
    if (height_) tile_release();
  }
  // For products of so many rows: sums and left factors, in tiles 0 to 3, have `height_of` them; the right one, in 4, is whole.
  void use(long rows) {
    const int height = height_of(rows);
    if (height == height_) return;
    height_ = height;
    Shapes shapes;
    for (int i = 0; i < 5; ++i) shapes.bytes[i] = 64, shapes.rows[i] = uint8_t(i > 3 ? TILE : height);
    tile_config(&shapes);
  }
};

// The first n numbers at p, n of any size: past them 0.
OST_INLINE __m512 first_of(const float* p, long n) {
  if (n >= TILE) return _mm512_loadu_ps(p);
  return _mm512_maskz_loadu_ps(__mmask16(n > 0 ? (1u << n) - 1 : 0), p);
}

// Of `rows` rows at `from`, `step` from one to the next, 16 at most, the first `wide` numbers, turned. Whole rows are loaded in
// four pieces, each to where it belongs, which leaves squares of four to be turned: half the shuffles.
OST_INLINE void turn(const float* from, long step, long rows, long wide, __m512 (&to)[TILE]) {
  if (wide < TILE || rows < TILE) {
    Vec<float> square[TILE];
    for (int i = 0; i < TILE; ++i) square[i] = i < rows ? (Vec<float>)first_of(from + i * step, wide) : Vec<float>{};
    transpose<float>(square);
    for (int i = 0; i < TILE; ++i) to[i] = (__m512)square[i];
    return;
  }
#pragma GCC unroll 4
  for (int piece = 0; piece < 4; ++piece) {
    __m512 v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto load = [&](int row_of) { return _mm_loadu_ps(from + row_of * step + 4 * piece); };
      v[i] = _mm512_castps128_ps512(load(i));
      v[i] = _mm512_mask_broadcast_f32x4(v[i], 0x00f0, load(i + 4));
      v[i] = _mm512_mask_broadcast_f32x4(v[i], 0x0f00, load(i + 8));
      v[i] = _mm512_mask_broadcast_f32x4(v[i], 0xf000, load(i + 12));
    }
    const __m512 low = _mm512_unpacklo_ps(v[0], v[1]), high = _mm512_unpackhi_ps(v[0], v[1]);
    const __m512 low2 = _mm512_unpacklo_ps(v[2], v[3]), high2 = _mm512_unpackhi_ps(v[2], v[3]);
    const auto pairs = [](__m512 x, __m512 y, bool upper) {
      const __m512d a = _mm512_castps_pd(x), b = _mm512_castps_pd(y);
      return _mm512_castpd_ps(upper ? _mm512_unpackhi_pd(a, b) : _mm512_unpacklo_pd(a, b));
    };
    to[4 * piece] = pairs(low, low2, false), to[4 * piece + 1] = pairs(low, low2, true);
    to[4 * piece + 2] = pairs(high, high2, false), to[4 * piece + 3] = pairs(high, high2, true);
  }
}

#else

// Never asked for: TILES is false.
class TileShapes {
 public:
  void use(long) {}
};
#endif

}  // namespace
