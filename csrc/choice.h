// Which kernel build runs on this machine: the widest that it has, or the one that OSTINATO_ISA names.
#pragma once

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels.h"

extern const Kernels kernels_plain;
#ifdef OST_HAS_avx2
extern const Kernels kernels_avx2;
#endif
#ifdef OST_HAS_avx512
extern const Kernels kernels_avx512;
#endif

inline const Kernels& choose() {
  const char* asked = std::getenv("OSTINATO_ISA");
  const bool any = !asked || !*asked;
#if defined(OST_HAS_avx2) || defined(OST_HAS_avx512)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#ifdef OST_HAS_avx512
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx512 && (any || !std::strcmp(asked, "avx512"))) return kernels_avx512;
#endif
#ifdef OST_HAS_avx2
  if (avx2 && (any || !std::strcmp(asked, "avx2"))) return kernels_avx2;
#endif
#ifdef OST_HAS_plain
  if (any || !std::strcmp(asked, "plain")) return kernels_plain;
#endif
  throw std::invalid_argument("OSTINATO_ISA=" + std::string(any ? "" : asked) + ": this machine or build has no such kernels");
}
inline const Kernels& chosen() {
  static const Kernels& kernels = choose();
  return kernels;
}

// The functions of one number type.
template <class T> struct OfType {
  size_t (*pack)(const Scan<T>&, char*);
  size_t (*forward)(const Scan<T>&, char*);
  size_t (*backward)(const Scan<T>&, const Gradient<T>&, char*);
  size_t (*multiply)(const Product<T>&, char*);
};
template <class T> OfType<T> of_type(const Kernels& k) {
  if constexpr (sizeof(T) == 4) return {k.pack_f32, k.forward_f32, k.backward_f32, k.multiply_f32};
  else return {k.pack_f64, k.forward_f64, k.backward_f64, k.multiply_f64};
}
