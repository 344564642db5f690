// How one thread walks through its rows of a batch: which are live at a step, where they read, where they restart.
#pragma once

#include <algorithm>

#include "kernels.h"
#include "simd.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace {

inline long ceil_div(long a, long b) { return (a + b - 1) / b; }

// Hands out 64-byte aligned pieces of one block; with no block it only counts. AddressSanitizer is told that nothing
// lies between two pieces, so that each one's end is watched.
struct Arena {
  char* block;
  size_t used = 0;
  template <class U> U* take(long n) {
    used = (used + 63) & ~size_t(63);
    U* piece = block ? reinterpret_cast<U*>(block + used) : nullptr;
    used += size_t(n) * sizeof(U);
#ifdef __SANITIZE_ADDRESS__
    if (block) {
      ASAN_UNPOISON_MEMORY_REGION(piece, size_t(n) * sizeof(U));
      ASAN_POISON_MEMORY_REGION(block + used, 64);
    }
    used += 64;
#endif
    return piece;
  }
};

// Where in time row b is at its step t, or at which step it is at a place: the same turn both ways.
template <class T> long place(const Scan<T>& s, long b, long t) { return s.reverse ? s.steps(b) - 1 - t : t; }

// Whether row b's state starts anew before its step t. Read backwards, a segment is left between its
// first step and the one before it.
template <class T> bool restarts(const Scan<T>& s, long b, long t) {
  if (!s.resets) return false;
  const uint8_t* marks = s.resets + b * s.time;
  return s.reverse ? t > 0 && marks[s.steps(b) - t] : marks[t] != 0;
}

template <class T> struct Walk {
  const Scan<T>& s;
  long* rows;  // of the batch, longest first: the live ones are always the first few
  long* groups;
  long count;

  // Rows fall into groups, however many threads there are, and a thread has whole groups. Without lengths a group's rows
  // lie side by side, so that their x can be read in place; with lengths the sorted rows are dealt out like cards, so that
  // threads have equal work. `room`: `most` twice.
  //
  // Rows that lie evenly are taken upwards by one thread and downwards by the one below it: at each step a processor that has
  // seen them come at equal distances fetches the next few beyond the last one, which another thread is writing.
  Walk(const Scan<T>& s, int thread, long* room, long of_all)
      : s(s), rows(room), groups(room + most(s, of_all)), count(0) {
    const long first = of_all * thread / s.threads, last = of_all * (thread + 1) / s.threads;
    for (long i = 0; i < s.batch; ++i) {
      const long group = s.lengths ? i % of_all : ((i + 1) * of_all - 1) / s.batch;
      const bool mine = s.lengths ? group % s.threads == thread : group >= first && group < last;
      if (mine) rows[count] = s.lengths ? s.order[i] : i, groups[count++] = group;
    }
    const bool evenly = !s.lengths && of_all == s.batch;
    if (evenly && s.threads > 1 && thread % 2 == 0) std::reverse(rows, rows + count), std::reverse(groups, groups + count);
  }
  // Rows that a thread has at most.
  static long most(const Scan<T>& s, long of_all) {
    return of_all ? ceil_div(of_all, s.threads) * ceil_div(s.batch, of_all) : 0;
  }

  // Rows first.. become another's.
  void hand_over(long first, Walk& to) {
    to.count = count - first;
    std::memcpy(to.rows, rows + first, to.count * sizeof(long)), std::memcpy(to.groups, groups + first, to.count * sizeof(long));
    count = first;
  }
  // The first row from r on with which a group begins.
  long border(long r) const {
    while (r > 0 && r < count && groups[r] == groups[r - 1]) ++r;
    return r;
  }

  long longest() const { return count ? s.steps(rows[0]) : 0; }
  // Rows that take step t; `from` is the answer for a step beside it.
  long live(long t, long from) const {
    while (from > 0 && s.steps(rows[from - 1]) <= t) --from;
    while (from < count && s.steps(rows[from]) > t) ++from;
    return from;
  }
  long place(long r, long t) const { return ::place(s, rows[r], t); }
  bool restarts(long r, long t) const { return ::restarts(s, rows[r], t); }
};

// A line that will be written, and that another thread may have looked at since: it is asked for in time.
OST_INLINE void own_line(const void* at) {
#if defined(__x86_64__)
  asm volatile("prefetchw (%0)" ::"r"(at));
#else
  __builtin_prefetch(at, 1);
#endif
}

template <class T> void copy_padded(T* to, const T* from, long n, long room) {
  if (from) std::memcpy(to, from, n * sizeof(T));
  else n = 0;
  std::memset(to + n, 0, (room - n) * sizeof(T));
}

}  // namespace
