// Products of float32 on units that multiply tiles of bfloat16 (AMX), with the sums that float32 has.
//
// A float is 24 bits, a bfloat16 has eight of them: a = a0 + a1 + a2, each rounded from what is left by those before it,
// is exact. Of the nine products of two such sums the six with i + j <= 2 are added, in float32; what is left out is
// below 2^-23 of a b. Six products of tiles still take less than half the time of one in vectors.
//
// A tile is 16 rows of 16 pairs. Both factors of a product have the same k in the same half of a pair: k and k + 16 of a
// block of 32 stand together, so that a pair is made of two vectors lane by lane.
#pragma once

#include <type_traits>

#include "simd.h"

namespace {

constexpr int PARTS = 3;
constexpr int TILE = 16;   // rows, and pairs in a row
constexpr long DEEP = 32;  // k in a tile
constexpr long BLOCKS_AT_ONCE = 4;  // of k: two rows' tiles of so many stay in the first cache

struct alignas(64) Tile {
  uint32_t pairs[TILE][TILE];
};

#ifdef __AMX_BF16__
template <class T> constexpr bool TILES = sizeof(T) == 4;
#else
template <class T> constexpr bool TILES = false;
#endif

inline long blocks_of(long K) { return (K + DEEP - 1) / DEEP; }
inline long tiles_of(long rows) { return (rows + TILE - 1) / TILE; }

// Rows are dealt evenly to the tiles that they need, so that none is nearly empty: so many to each.
inline int height_of(long rows) { return rows ? int((rows + tiles_of(rows) - 1) / tiles_of(rows)) : 1; }
// With those of the last tile that are not there.
inline long filled(long rows) { return tiles_of(rows) * height_of(rows); }

#ifdef __AMX_BF16__

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
    if (height_) asm volatile("tilerelease");
  }
  // For products of so many rows: sums and left factors, in tiles 0 to 2, have `height_of` them; the right one is whole.
  void use(long rows) {
    const int height = height_of(rows);
    if (height == height_) return;
    height_ = height;
    Shapes shapes;
    for (int i = 0; i < 4; ++i) shapes.bytes[i] = 64, shapes.rows[i] = uint8_t(i > 2 ? TILE : height);
    asm volatile("ldtilecfg %0" ::"m"(shapes));
  }
};

template <int N> OST_INLINE void tile_load(const void* from, long bytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(bytes), "i"(N) : "memory");
}
template <int N> OST_INLINE void tile_store(void* to, long bytes) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(bytes), "i"(N) : "memory");
}
// Sum C += left A times right B.
template <int C, int A, int B> OST_INLINE void tile_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}

// Splitting ---------------------------------------------------------------------------------------

struct Pairs {
  __m512i part[PARTS];
};

// Lane by lane: v is the lower half of a pair, w the upper one.
OST_INLINE Pairs split(__m512 v, __m512 w) {
  const __m512i half = _mm512_set1_epi32(0x8000), top = _mm512_set1_epi32(int(0xffff0000));
  Pairs to;
#pragma GCC unroll 2
  for (int i = 0; i + 1 < PARTS; ++i) {
    const __m512i a = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(v), half), top);
    const __m512i b = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(w), half), top);
    to.part[i] = _mm512_or_si512(_mm512_srli_epi32(a, 16), b);
    v = _mm512_sub_ps(v, _mm512_castsi512_ps(a)), w = _mm512_sub_ps(w, _mm512_castsi512_ps(b));
  }
  const __m512i a = _mm512_castps_si512(v), b = _mm512_castps_si512(w);  // eight bits at most are left
  to.part[PARTS - 1] = _mm512_or_si512(_mm512_srli_epi32(a, 16), _mm512_and_si512(b, top));
  return to;
}

// The first n numbers at p, n of any size: past them 0.
OST_INLINE __m512 first_of(const float* p, long n) {
  if (n >= TILE) return _mm512_loadu_ps(p);
  return _mm512_maskz_loadu_ps(__mmask16(n > 0 ? (1u << n) - 1 : 0), p);
}

// Row `row` of some tiles: K numbers, then zeros. False where a number is none, or too large for its parts: then all
// are 0.
OST_INLINE bool split_row(const float* from, long K, long blocks, Tile* to, int row) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff), most = _mm512_set1_epi32(0x7f7f0000);
  __mmask16 odd = 0;
  for (long k = 0, at = 0; k < blocks * DEEP; k += DEEP, at += PARTS) {
    const __m512 v = first_of(from + k, K - k), w = first_of(from + k + TILE, K - k - TILE);
    odd |= _mm512_cmpge_epi32_mask(_mm512_and_si512(_mm512_castps_si512(v), magnitude), most);
    odd |= _mm512_cmpge_epi32_mask(_mm512_and_si512(_mm512_castps_si512(w), magnitude), most);
    const Pairs pairs = split(v, w);
    for (int i = 0; i < PARTS; ++i) _mm512_store_si512(to[at + i].pairs[row], pairs.part[i]);
  }
  for (long i = 0; odd && i < blocks * PARTS; ++i) std::memset(to[i].pairs[row], 0, sizeof(to[i].pairs[row]));
  return !odd;
}

// Packing -----------------------------------------------------------------------------------------
//
// A right factor's panel of Q vectors: for each block of k, for each vector, the parts' tiles.

// Rows of k, `n` numbers of each, become the q-th vector of a panel.
inline void tiles_of_rows(const float* from, long step, long K, int n, Tile* panel, int q, int Q) {
  const auto row = [&](long k) { return k < K ? first_of(from + k * step, n) : _mm512_setzero_ps(); };
  for (long k = 0; k < K; k += DEEP, panel += Q * PARTS)
    for (int j = 0; j < TILE; ++j) {
      const Pairs pairs = split(row(k + j), row(k + j + TILE));
      for (int i = 0; i < PARTS; ++i) _mm512_store_si512(panel[q * PARTS + i].pairs[j], pairs.part[i]);
    }
}

// Of 16 rows the `wide` numbers from `from` on, turned. Whole rows are loaded in four pieces, each to where it belongs,
// which leaves squares of four to be turned: half the shuffles.
OST_INLINE void turn(const float* const* row, long from, long wide, __m512 (&to)[TILE]) {
  if (wide < TILE) {
    Vec<float> square[TILE];
    for (int i = 0; i < TILE; ++i) square[i] = (Vec<float>)first_of(row[i] + from, wide);
    transpose<float>(square);
    for (int i = 0; i < TILE; ++i) to[i] = (__m512)square[i];
    return;
  }
#pragma GCC unroll 4
  for (int piece = 0; piece < 4; ++piece) {
    __m512 v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto load = [&](int row_of) { return _mm_loadu_ps(row[row_of] + from + 4 * piece); };
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

// A tile of each part from what two squares, turned, have in the same place.
OST_INLINE void store_pairs(const __m512 (&low)[TILE], const __m512 (&high)[TILE], Tile* to) {
  for (int j = 0; j < TILE; ++j) {
    const Pairs pairs = split(low[j], high[j]);
    for (int i = 0; i < PARTS; ++i) _mm512_store_si512(to[i].pairs[j], pairs.part[i]);
  }
}

constexpr float NOTHING[TILE] = {};

// `n` rows of K numbers each become the lanes of the q-th vector of a panel.
inline void tiles_of_lanes(const float* from, long row, long K, int n, Tile* panel, int q, int Q) {
  for (long k = 0; k < K; k += DEEP, panel += Q * PARTS) {
    const float *rows[TILE], *later[TILE];
    const bool more = K - k > TILE;
    for (int lane = 0; lane < TILE; ++lane) {
      rows[lane] = lane < n ? from + lane * row + k : NOTHING;
      later[lane] = lane < n && more ? rows[lane] + TILE : NOTHING;
    }
    __m512 low[TILE], high[TILE];
    turn(rows, 0, K - k, low), turn(later, 0, more ? K - k - TILE : TILE, high);
    store_pairs(low, high, panel + q * PARTS);
  }
}

// What lies at `from` in the rows of a block of k, of which there are fewer in the last block.
struct BlockOfRows {
  const float* short_[DEEP];
  const float* const* rows;
  long from;
  BlockOfRows(const float* const* all, long from, long k, long K) : rows(all + k), from(from) {
    if (k + DEEP <= K) return;
    for (long i = 0; i < DEEP; ++i) short_[i] = k + i < K ? all[k + i] + from : NOTHING;
    rows = short_, this->from = 0;
  }
};

// Of K rows the `wide` columns from `from` on become the rows of a left factor's tiles.
inline void tiles_of_columns(const float* const* rows, long from, long wide, long K, Tile* to) {
  for (long k = 0; k < K; k += DEEP, to += PARTS) {
    const BlockOfRows block(rows, from, k, K);
    __m512 low[TILE], high[TILE];
    turn(block.rows, block.from, wide, low), turn(block.rows + TILE, block.from, wide, high);
    store_pairs(low, high, to);
  }
}

// They become the q-th vector of a panel of Q.
inline void tiles_of_rows(const float* const* rows, long from, long wide, long K, Tile* panel, int q, int Q) {
  for (long k = 0; k < K; k += DEEP, panel += Q * PARTS) {
    const BlockOfRows block(rows, from, k, K);
    for (int j = 0; j < TILE; ++j) {
      const float *v = block.rows[j] + block.from, *w = block.rows[j + TILE] + block.from;
      const Pairs pairs = split(first_of(v, wide), first_of(w, wide));
      for (int i = 0; i < PARTS; ++i) _mm512_store_si512(panel[q * PARTS + i].pairs[j], pairs.part[i]);
    }
  }
}

// Products ----------------------------------------------------------------------------------------

// Calls a tile into the first cache: a load that waits for a far one holds up all tiles behind it.
OST_INLINE void call_tile(const Tile* tile) {
#pragma GCC unroll 16
  for (int i = 0; i < TILE; ++i) __builtin_prefetch(tile->pairs[i], 0, 3);
}

// The products of parts that are added, each beside one that it shares a part with: so the fewest tiles are loaded.
struct PartsOf {
  int a, b;
};
constexpr PartsOf IN_TURN[] = {{0, 0}, {2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}};

// R tiles of sums, in tiles 0 and 1 of the unit; the left factor comes to tile 2, the right one to tile 3. No more than
// these four are ever filled: where another thread runs on the same core, the unit seems to have few tiles beyond those
// that are filled, and with all eight of them filled no load or product begins before the last one ends.
// `b`: the vector's tiles, `wide` tiles to a block of k. Each sum runs over k, and in a block of it over the parts in
// their turn, whatever R is. `far`: b's next block is called.
template <int R>
inline void sums_of_tiles(long blocks, const Tile* a, long a_next, const Tile* b, long wide, const float* init,
                          long init_row, float* z, long z_row, int height, bool far) {
  const long init_bytes = init_row * 4, z_bytes = z_row * 4;
  tile_load<0>(init, init_bytes);
  if constexpr (R == 2) tile_load<1>(init + height * init_row, init_bytes);
  for (long k = 0; k < blocks; ++k, a += PARTS, b += wide) {
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      const PartsOf now = IN_TURN[i];
      const bool other_a = i == 0 || now.a != IN_TURN[i - 1].a, other_b = i == 0 || now.b != IN_TURN[i - 1].b;
      if (other_b) tile_load<3>(b + now.b, 64);
      if (far && i % 2 == 0) call_tile(b + wide + i / 2);
      if (R == 2 && i % 2) {  // the row that came last comes first
        if (other_a) tile_load<2>(a + a_next + now.a, 64);
        tile_multiply<1, 2, 3>(), tile_load<2>(a + now.a, 64), tile_multiply<0, 2, 3>();
      } else {
        if (other_a) tile_load<2>(a + now.a, 64);
        tile_multiply<0, 2, 3>();
        if constexpr (R == 2) tile_load<2>(a + a_next + now.a, 64), tile_multiply<1, 2, 3>();
      }
    }
  }
  tile_store<0>(z, z_bytes);
  if constexpr (R == 2) tile_store<1>(z + height * z_row, z_bytes);
}

// z = init + a b, for a panel of Q vectors. Rows that only fill the last tile are 0 in a: they become init. Some k at a
// time, so that a's tiles stay in the first cache from vector to vector. `far`: b is not in the second.
inline void product_of_tiles(long rows, long K, const Tile* a, const Tile* b, int Q, const float* init, long init_row,
                             float* z, long z_row, bool far) {
  const long all = blocks_of(K), each = all * PARTS, wide = Q * PARTS;
  const int height = height_of(rows);
  for (long left = tiles_of(rows); left > 0; left -= 2, a += 2 * each, init += 2 * height * init_row, z += 2 * height * z_row)
    for (long k = 0; k < all; k += BLOCKS_AT_ONCE) {
      const long blocks = all - k < BLOCKS_AT_ONCE ? all - k : BLOCKS_AT_ONCE, row = k ? z_row : init_row;
      for (int q = 0; q < Q; ++q) {
        const auto sums = left > 1 ? sums_of_tiles<2> : sums_of_tiles<1>;
        sums(blocks, a + k * PARTS, each, b + k * wide + q * PARTS, wide, (k ? z : init) + q * TILE, row, z + q * TILE, z_row,
             height, far);
      }
    }
}

// z += a b for a row that cannot be split, in vectors: the parts together are b again.
inline void add_row(long K, const float* a, const Tile* b, int Q, float* z) {
  const __m512i top = _mm512_set1_epi32(int(0xffff0000));
  for (int q = 0; q < Q; ++q) {
    __m512 sum = _mm512_loadu_ps(z + q * TILE);
    for (long k = 0; k < K; ++k) {
      const Tile* parts = b + (k / DEEP * Q + q) * PARTS;
      __m512 weight = _mm512_setzero_ps();
      for (int i = 0; i < PARTS; ++i) {
        const __m512i pairs = _mm512_load_si512(parts[i].pairs[k % TILE]);
        const __m512i half = k % DEEP < TILE ? _mm512_slli_epi32(pairs, 16) : _mm512_and_si512(pairs, top);
        weight = _mm512_add_ps(weight, _mm512_castsi512_ps(half));
      }
      sum = _mm512_fmadd_ps(_mm512_set1_ps(a[k]), weight, sum);
    }
    _mm512_storeu_ps(z + q * TILE, sum);
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
