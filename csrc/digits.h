// Products of float32 on units that multiply tiles of bytes (AMX), with errors as float32's sums have them.
//
// A row of the left factor, or a column of the right one, has a scale of its own: its numbers become whole ones of 24 bits,
// a = s (d0 2^16 + d1 2^8 + d2), with digits of -128..127. Of the nine products of two such sums the six with i + j <= 2 are
// made, and added for each i + j alone: sums of whole numbers, exact in any order (Ozaki et al. 2012; on units for bytes:
// Ootomo, Ozaki and Yokota 2024).
//
// Each k has a balance, a power of two by which the right factor's row is divided and the left one's column multiplied: the
// largest number of each row of b is then 1 to 2, whatever the units of a's columns are. So a product a[r, k] b[k, c] is
// right within 2^-21 of the largest that row r has with any column, in most cases within 2^-24 of it.
//
// A tile is 16 rows of 16 fours of bytes. Both factors have the same k in the same place of a four: k, k + 16, k + 32 and
// k + 48 of a block of 64 stand together, so that a four is made of four vectors lane by lane.
#pragma once

#include "tiles.h"

namespace {

constexpr int DIGITS = 3;
constexpr long WIDE = 64;             // k in a tile of bytes
constexpr long MOST_K = long(1) << 15;  // whose sums of three products stay within 32 bits

inline long fours_of(long K) { return (K + WIDE - 1) / WIDE; }  // blocks of k

// The tiles of a vector of columns are so many; after them come its units.
inline long tiles_of_vector(long K) { return fours_of(K) * DIGITS; }
template <class T> T* vector_after(T* vector, long K) { return reinterpret_cast<T*>(&vector[tiles_of_vector(K)].rows[1]); }

#ifdef __AMX_INT8__

// What numbers are scaled by, from the largest magnitude m of them as bits of floats, lane by lane: they times `to` are whole
// numbers that three digits reach when rounded, and `unit` is what the first digit counts. Lanes that have no scale: `odd`.
struct Scales {
  __m512 to, unit;
  __mmask16 odd;
};
constexpr float REACH = 127 << 16;  // what m becomes: a number of one digit, of whose products nothing is left out
OST_INLINE Scales scales_of(__m512i m) {
  const __m512 reach = _mm512_set1_ps(REACH), least = _mm512_set1_ps(0x1p-95f);
  const __m512 most = _mm512_max_ps(_mm512_castsi512_ps(m), least);
  return {_mm512_div_ps(reach, most), _mm512_mul_ps(most, _mm512_set1_ps(1.0f / 127)),
          _mm512_cmpge_epi32_mask(m, _mm512_castps_si512(_mm512_set1_ps(0x1p60f)))};
}

OST_INLINE __m512i magnitude(__m512 v) { return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff)); }

struct Fours {
  __m512i digit[DIGITS];
};
// Lane by lane, from the first of a four to the last; they are scaled already.
OST_INLINE Fours digits_of(__m512 a, __m512 b, __m512 c, __m512 d) {
  constexpr int OR_MASKED = 0xf8;  // x | (y & z)
  const __m512i offset = _mm512_set1_epi32(0x808080), sign = _mm512_set1_epi32(int(0x80808080));
  const __m512i low = _mm512_set1_epi32(0xff), second = _mm512_set1_epi32(0xff00), third = _mm512_set1_epi32(0xff0000);
  const __m512i top = _mm512_set1_epi32(int(0xff000000));
  const auto whole = [&](__m512 v) { return _mm512_add_epi32(_mm512_cvtps_epi32(v), offset); };  // each digit is 128 more
  const __m512i n = whole(a), o = whole(b), p = whole(c), q = whole(d);
  const auto together = [&](__m512i first, __m512i x, __m512i y, __m512i z) {
    first = _mm512_ternarylogic_epi32(first, x, second, OR_MASKED);
    first = _mm512_ternarylogic_epi32(first, y, third, OR_MASKED);
    return _mm512_xor_si512(_mm512_ternarylogic_epi32(first, z, top, OR_MASKED), sign);
  };
  return {{together(_mm512_srli_epi32(n, 16), _mm512_srli_epi32(o, 8), p, _mm512_slli_epi32(q, 8)),
           together(_mm512_and_si512(_mm512_srli_epi32(n, 8), low), o, _mm512_slli_epi32(p, 8), _mm512_slli_epi32(q, 16)),
           together(_mm512_and_si512(n, low), _mm512_slli_epi32(o, 8), _mm512_slli_epi32(p, 16), _mm512_slli_epi32(q, 24))}};
}
OST_INLINE void store_fours(const Fours& fours, Tile* to, int row) {
#pragma GCC unroll 3
  for (int i = 0; i < DIGITS; ++i) _mm512_store_si512(to[i].rows[row], fours.digit[i]);
}

// Left factors ------------------------------------------------------------------------------------

// Row `row` of some tiles: K numbers, balanced, then zeros. Its unit; 0 where a number is none, or too large.
OST_INLINE float digits_of_row(const float* from, const float* balance, long K, Tile* to, int row) {
  const auto at = [&](long k) { return _mm512_mul_ps(first_of(from + k, K - k), _mm512_load_ps(balance + k)); };
  __m512i most = _mm512_setzero_si512();
  for (long k = 0; k < K; k += TILE) most = _mm512_max_epi32(most, magnitude(at(k)));
  const Scales scales = scales_of(_mm512_set1_epi32(_mm512_reduce_max_epi32(most)));
  const auto scaled = [&](long k) { return _mm512_mul_ps(at(k), scales.to); };
  for (long k = 0; k < K; k += WIDE, to += DIGITS)
    store_fours(digits_of(scaled(k), scaled(k + TILE), scaled(k + 2 * TILE), scaled(k + 3 * TILE)), to, row);
  return scales.odd ? 0 : _mm512_cvtss_f32(scales.unit);
}

// Of K rows at `from` the first `wide` columns become the rows of a left factor's tiles; their units. No balance: all 1.
inline void digits_of_columns(const float* from, long step, long wide, const float* balance, long K, Tile* to, float* units) {
  const auto balanced = [&](__m512 v, long k) { return balance ? _mm512_mul_ps(v, _mm512_set1_ps(balance[k])) : v; };
  __m512i most = _mm512_setzero_si512();
  for (long k = 0; k < K; ++k) most = _mm512_max_epi32(most, magnitude(balanced(first_of(from + k * step, wide), k)));
  const Scales scales = scales_of(most);
  for (long k = 0; k < K; k += WIDE, to += DIGITS) {
    __m512 squares[WIDE / TILE][TILE];
    for (int i = 0; i < WIDE / TILE; ++i) {
      const long at = k + i * TILE;
      turn(from + at * step, step, K - at, wide, squares[i]);
      for (int j = 0; balance && j < TILE; ++j) squares[i][j] = _mm512_mul_ps(squares[i][j], _mm512_load_ps(balance + at));
    }
    for (int j = 0; j < TILE; ++j) {
      const __m512 by = _mm512_set1_ps(((Vec<float>)scales.to)[j]);
      const auto of = [&](int i) { return _mm512_mul_ps(squares[i][j], by); };
      store_fours(digits_of(of(0), of(1), of(2), of(3)), to, j);
    }
  }
  _mm512_mask_storeu_ps(units, __mmask16((1u << wide) - 1), _mm512_maskz_mov_ps(__mmask16(~scales.odd), scales.unit));
}

// Right factors -----------------------------------------------------------------------------------
//
// A panel of vectors of columns: for each, for each block of k, the digits' tiles; then the columns' units. A column with a
// number that is none, or above 2^60, has none: whatever it is multiplied by gives NaN.

// The balance of 16 k from the largest magnitudes that the right factor has there: within what floats have room for beside
// a scale, and 1 where they are none.
OST_INLINE __m512 balance_of(__m512i most) {
  const __m512i bias = _mm512_set1_epi32(127), room = _mm512_set1_epi32(60);
  const __mmask16 finite = _mm512_cmplt_epi32_mask(most, _mm512_set1_epi32(0x7f800000));
  __m512i power = _mm512_maskz_sub_epi32(finite, _mm512_srli_epi32(most, 23), bias);
  power = _mm512_max_epi32(_mm512_min_epi32(power, room), _mm512_sub_epi32(_mm512_setzero_si512(), room));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(power, bias), 23));
}
// Of a right factor whose columns are `n` rows of K numbers: for blocks of k from `first` to before `end`.
inline void balance_lanes(const float* from, long row, long n, long K, long first, long end, float* balance) {
  constexpr int TOGETHER = 8;  // vectors
  for (long k = first * WIDE; k < end * WIDE; k += TOGETHER * TILE) {
    __m512i most[TOGETHER] = {};
    for (long lane = 0; lane < n; ++lane)
      for (int i = 0; i < TOGETHER; ++i) {
        const long at = k + i * TILE;
        most[i] = _mm512_max_epi32(most[i], magnitude(first_of(from + lane * row + at, K - at)));
      }
    for (int i = 0; i < TOGETHER && k + i * TILE < end * WIDE; ++i)
      _mm512_store_ps(balance + k + i * TILE, balance_of(most[i]));
  }
}
// Of one that is K rows of `n` numbers.
inline void balance_rows(const float* from, long step, long n, long K, long first, long end, float* balance) {
  for (long k = first * WIDE; k < end * WIDE; ++k) {
    __m512i most = _mm512_setzero_si512();
    for (long j = 0; k < K && j < n; j += TILE) most = _mm512_max_epi32(most, magnitude(first_of(from + k * step + j, n - j)));
    balance[k] = _mm512_cvtss_f32(balance_of(_mm512_set1_epi32(_mm512_reduce_max_epi32(most))));
  }
}

OST_INLINE float upside_down(float power) {  // of a power of two
  uint32_t bits;
  std::memcpy(&bits, &power, sizeof(bits));
  bits = (254u << 23) - bits;
  std::memcpy(&power, &bits, sizeof(bits));
  return power;
}
OST_INLINE __m512 upside_down(__m512 powers) {
  return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32(254 << 23), _mm512_castps_si512(powers)));
}

OST_INLINE void store_units(const Scales& scales, Tile* to) {
  const __m512 none = _mm512_set1_ps(__builtin_nanf(""));
  _mm512_store_ps(to->rows[0], _mm512_mask_mov_ps(scales.unit, scales.odd, none));
}

// Rows of k, `n` numbers of each, become a vector of a panel.
inline void digits_of_rows(const float* from, long step, const float* balance, long K, int n, Tile* to) {
  const auto row = [&](long k) {
    return k < K ? _mm512_mul_ps(first_of(from + k * step, n), _mm512_set1_ps(upside_down(balance[k]))) : _mm512_setzero_ps();
  };
  __m512i most = _mm512_setzero_si512();
  for (long k = 0; k < K; ++k) most = _mm512_max_epi32(most, magnitude(row(k)));
  const Scales scales = scales_of(most);
  const auto scaled = [&](long k) { return _mm512_mul_ps(row(k), scales.to); };
  for (long k = 0; k < K; k += WIDE, to += DIGITS)
    for (int j = 0; j < TILE; ++j)
      store_fours(digits_of(scaled(k + j), scaled(k + j + TILE), scaled(k + j + 2 * TILE), scaled(k + j + 3 * TILE)), to, j);
  store_units(scales, to);
}

// `n` rows of K numbers each become the lanes of a vector of a panel.
inline void digits_of_lanes(const float* from, long row, const float* balance, long K, int n, Tile* to) {
  const auto at = [&](int lane, long k) {
    return _mm512_mul_ps(first_of(from + lane * row + k, K - k), upside_down(_mm512_load_ps(balance + k)));
  };
  alignas(64) int32_t largest[TILE] = {};
  for (int lane = 0; lane < n; ++lane) {
    __m512i most = _mm512_setzero_si512();
    for (long k = 0; k < K; k += TILE) most = _mm512_max_epi32(most, magnitude(at(lane, k)));
    largest[lane] = _mm512_reduce_max_epi32(most);
  }
  const Scales scales = scales_of(_mm512_load_si512(largest));
  for (long k = 0; k < K; k += WIDE, to += DIGITS) {
    __m512 squares[WIDE / TILE][TILE];
    for (int i = 0; i < WIDE / TILE; ++i) {
      const long at = k + i * TILE;
      turn(from + at, row, n, K - at, squares[i]);
      for (int j = 0; j < TILE; ++j)
        squares[i][j] = _mm512_mul_ps(squares[i][j], _mm512_set1_ps(upside_down(balance[at + j])));
    }
    for (int j = 0; j < TILE; ++j) {
      const auto of = [&](int i) { return _mm512_mul_ps(squares[i][j], scales.to); };
      store_fours(digits_of(of(0), of(1), of(2), of(3)), to, j);
    }
  }
  store_units(scales, to);
}

// K rows, wherever they lie, become vectors of columns side by side, without balance. They are read as they lie, first for the
// scales, which need room for a number of each column.
inline void digits_of_lines(const float* const* rows, long columns, long K, float* room, Tile* to) {
  const long vectors = (columns + TILE - 1) / TILE;
  std::memset(room, 0, vectors * TILE * sizeof(float));
  const auto each = [&](const auto& f) {
    Tile* vector = to;
    for (long v = 0; v < vectors; ++v, vector = vector_after(vector, K)) f(v * TILE, vector);
  };
  for (long k = 0; k < K; ++k)
    for (long c = 0; c < columns; c += TILE) {
      const __m512i before = _mm512_load_si512(room + c), now = magnitude(first_of(rows[k] + c, columns - c));
      _mm512_store_si512(room + c, _mm512_max_epi32(before, now));
    }
  each([&](long c, Tile* vector) {
    const Scales scales = scales_of(_mm512_load_si512(room + c));
    store_units(scales, vector + tiles_of_vector(K));
    _mm512_store_ps(room + c, scales.to);
  });
  for (long k = 0; k < K; k += WIDE)
    each([&](long c, Tile* vector) {
      const __m512 by = _mm512_load_ps(room + c);
      const auto row = [&](long at) {
        return at < K ? _mm512_mul_ps(first_of(rows[at] + c, columns - c), by) : _mm512_setzero_ps();
      };
      for (long j = k; j < k + TILE; ++j)
        store_fours(digits_of(row(j), row(j + TILE), row(j + 2 * TILE), row(j + 3 * TILE)),
                    vector + k / WIDE * DIGITS, int(j - k));
    });
}

// Products ----------------------------------------------------------------------------------------

// One of six parts of a block's tiles, called into the first cache.
OST_INLINE void call_part(const Tile* block, int part) {
  constexpr int LINES = DIGITS * TILE / 6, LINE = sizeof(Tile) / TILE;
  const char* at = reinterpret_cast<const char*>(block) + part * LINES * LINE;
#pragma GCC unroll 8
  for (int i = 0; i < LINES; ++i) __builtin_prefetch(at + i * LINE, 0, 3);
}

// A tile's sums: tiles 0 to 2 of the unit, one for each i + j; the left factor comes to tile 3, the right one to tile 4. No
// more than these are filled (tiles.h). a's next block is called meanwhile, with FAR b's as well: a load that waits for a
// far tile holds up all behind it.
template <bool FAR> inline void sums_of_digits(long blocks, const Tile* a, const Tile* b, int32_t (*sums)[TILE][TILE]) {
  tile_zero<0>(), tile_zero<1>(), tile_zero<2>();
  for (long k = 0; k < blocks; ++k, a += DIGITS, b += DIGITS) {
    const auto call = [&](int i) {
      call_part(a + DIGITS, i);
      if (FAR) call_part(b + DIGITS, i);
    };
    tile_load<4>(b + 2, 64), tile_load<3>(a, 64), tile_multiply<2, 3, 4>(), call(0);
    tile_load<4>(b + 1, 64), tile_multiply<1, 3, 4>(), call(1);
    tile_load<3>(a + 1, 64), tile_multiply<2, 3, 4>(), call(2);
    tile_load<4>(b, 64), tile_multiply<1, 3, 4>(), call(3);
    tile_load<3>(a + 2, 64), tile_multiply<2, 3, 4>(), call(4);
    tile_load<3>(a, 64), tile_multiply<0, 3, 4>(), call(5);
  }
  tile_store<0>(sums[0], 64), tile_store<1>(sums[1], 64), tile_store<2>(sums[2], 64);
}

// z = init + the sums in their units, row by row.
OST_INLINE void sums_to_floats(const int32_t (*sums)[TILE][TILE], int rows, const float* units, __m512 by, const float* init,
                               long init_row, float* z, long z_row) {
  const __m512 place = _mm512_set1_ps(1.0f / 256);
  for (int r = 0; r < rows; ++r) {
    const auto sum = [&](int i) { return _mm512_cvtepi32_ps(_mm512_load_si512(sums[i][r])); };
    const __m512 all = _mm512_fmadd_ps(_mm512_fmadd_ps(sum(2), place, sum(1)), place, sum(0));
    const __m512 unit = _mm512_mul_ps(_mm512_set1_ps(units[r]), by);
    _mm512_storeu_ps(z + r * z_row, _mm512_fmadd_ps(all, unit, _mm512_loadu_ps(init + r * init_row)));
  }
}

// z = init + a b, for a panel of Q vectors. `far`: b is not in the second cache.
inline void product_of_digits(long rows, long K, const Tile* a, const float* units, const Tile* b, int Q, const float* init,
                              long init_row, float* z, long z_row, bool far) {
  const long blocks = fours_of(K), each = tiles_of_vector(K);
  const int height = height_of(rows);
  alignas(64) int32_t sums[DIGITS][TILE][TILE];
  for (int q = 0; q < Q; ++q, b = vector_after(b, K)) {
    const __m512 by = _mm512_load_ps(b[each].rows[0]);
    for (long r = 0, tile = 0; r < rows; r += height, ++tile) {
      (far && r == 0 ? sums_of_digits<true> : sums_of_digits<false>)(blocks, a + tile * each, b, sums);
      const int there = int(rows - r < height ? rows - r : height);
      sums_to_floats(sums, there, units + r, by, init + r * init_row + q * TILE, init_row, z + r * z_row + q * TILE, z_row);
    }
  }
}

// z += a b for a row that has no unit, in vectors: the digits together are b again, as near as they are to it.
inline void add_row(long K, const float* a, long step, const float* balance, const Tile* b, int Q, float* z) {
  for (int q = 0; q < Q; ++q, b = vector_after(b, K)) {
    __m512 sum = _mm512_setzero_ps();
    const __m512 unit = _mm512_mul_ps(_mm512_load_ps(b[tiles_of_vector(K)].rows[0]), _mm512_set1_ps(1.0f / 65536));
    for (long k = 0; k < K; ++k) {
      const Tile* digits = b + k / WIDE * DIGITS;
      const int place = int(k % WIDE) / TILE;
      __m512i whole = _mm512_setzero_si512();
      for (int i = 0; i < DIGITS; ++i) {
        const __m512i fours = _mm512_load_si512(digits[i].rows[k % TILE]);
        const __m512i digit = _mm512_srai_epi32(_mm512_sllv_epi32(fours, _mm512_set1_epi32(24 - 8 * place)), 24);
        whole = _mm512_add_epi32(_mm512_slli_epi32(whole, 8), digit);
      }
      const __m512 weight = _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(balance[k]));
      sum = _mm512_fmadd_ps(_mm512_set1_ps(a[k * step]), _mm512_mul_ps(weight, unit), sum);
    }
    _mm512_storeu_ps(z + q * TILE, _mm512_add_ps(_mm512_loadu_ps(z + q * TILE), sum));
  }
}

#endif

}  // namespace
