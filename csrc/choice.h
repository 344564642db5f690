// Which kernel build runs on this machine: the widest that it has, or the one that OSTINATO_ISA names.
#pragma once

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"

extern const Kernels kernels_plain;
#ifdef OST_HAS_avx2
extern const Kernels kernels_avx2;
#endif
#ifdef OST_HAS_avx512
extern const Kernels kernels_avx512;
#endif
#ifdef OST_HAS_amx
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
extern const Kernels kernels_amx;

// Whether the processor multiplies tiles of bytes, and the system lets this process have them: it keeps their state
// for those alone that ask.
inline bool has_tiles() {
#ifdef OST_EMULATED
  return true;
#else
  unsigned a, b, c, d = 0;
  constexpr unsigned AMX_TILE = 1u << 24, AMX_INT8 = 1u << 25, ALL = AMX_TILE | AMX_INT8;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & ALL) != ALL) return false;
  constexpr long ASK = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
#endif
}
#endif

// What this build has and this machine can run, the fastest first.
inline std::vector<Kernels> available() {
  std::vector<Kernels> all;
#if defined(OST_HAS_avx2) || defined(OST_HAS_avx512)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#ifdef OST_EMULATED
  const bool avx512 = avx2;
#elif defined(OST_HAS_avx512)
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
#ifdef OST_HAS_avx512
#ifdef OST_HAS_amx
  if (avx512 && has_tiles()) {
    Kernels both = kernels_amx;
    both.pack_f64 = kernels_avx512.pack_f64, both.forward_f64 = kernels_avx512.forward_f64;
    both.backward_f64 = kernels_avx512.backward_f64, both.multiply_f64 = kernels_avx512.multiply_f64;
    both.mask_f64 = kernels_avx512.mask_f64;
    all.push_back(both);
  }
#endif
  if (avx512) all.push_back(kernels_avx512);
#endif
#ifdef OST_HAS_avx2
  if (avx2) all.push_back(kernels_avx2);
#endif
#ifdef OST_HAS_plain
  all.push_back(kernels_plain);
#endif
  return all;
}

inline Kernels choose() {
  const char* asked = std::getenv("OSTINATO_ISA");
  const bool any = !asked || !*asked;
  std::string names;
  for (const Kernels& kernels : available()) {
    if (any || !std::strcmp(asked, kernels.name)) return kernels;
    names += (names.empty() ? "" : ", ") + std::string(kernels.name);
  }
  throw std::invalid_argument("OSTINATO_ISA=" + std::string(any ? "" : asked) + ": this machine and build have " + names);
}
inline const Kernels& chosen() {
  static const Kernels kernels = choose();
  return kernels;
}

// The functions of one number type.
template <class T> struct OfType {
  size_t (*pack)(const Scan<T>&, char*);
  size_t (*forward)(const Scan<T>&, char*);
  size_t (*backward)(const Scan<T>&, const Gradient<T>&, char*);
  size_t (*multiply)(const Product<T>&, char*);
  void (*mask)(const Mask<T>&);
};
template <class T> OfType<T> of_type(const Kernels& k) {
  if constexpr (sizeof(T) == 4) return {k.pack_f32, k.forward_f32, k.backward_f32, k.multiply_f32, k.mask_f32};
  else return {k.pack_f64, k.forward_f64, k.backward_f64, k.multiply_f64, k.mask_f64};
}
