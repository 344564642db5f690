// One way to run work on several threads: OpenMP, or std::thread where a sanitizer must see the threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#ifdef OST_STD_THREADS
#include <vector>
#else
#include <omp.h>
#endif

namespace {

constexpr int MOST_THREADS = 64;
constexpr int MOST_IN_TEAM = 8;

// f(i) for i in 0..n-1, each on a thread of its own.
template <class F> void parallel_for(int n, const F& f) {
  if (n <= 1) {
    if (n == 1) f(0);
    return;
  }
#ifdef OST_STD_THREADS
  std::vector<std::thread> others;
  for (int i = 1; i < n; ++i) others.emplace_back([&f, i] { f(i); });
  f(0);
  for (auto& t : others) t.join();
#else
#pragma omp parallel for num_threads(n) schedule(static, 1)
  for (int i = 0; i < n; ++i) f(i);
#endif
}

// f(i, n) for i in 0..n-1, all at the same time, so that they may wait for each other; n is what there is of `wanted`.
template <class F> void team_of(int wanted, const F& f) {
#ifdef OST_STD_THREADS
  parallel_for(wanted, [&](int i) { f(i, wanted); });
#else
#pragma omp parallel num_threads(wanted)
  f(omp_get_thread_num(), omp_get_num_threads());
#endif
}

// Whether teams are worth their while here. A thread that is not there in time (the machine has other work) makes all
// wait for it: then they are left alone for a while.
struct Teams {
  static inline std::atomic<int> left_alone{0};  // so many calls
};

// Where the threads of a team wait for each other: each counts its own arrivals and looks at the others'.
class Meeting {
  struct alignas(64) Arrivals {
    std::atomic<int> count{0};
  };
  Arrivals arrivals_[MOST_IN_TEAM];
  static constexpr int IN_TIME = 20000;  // looks

 public:
  void wait(int thread, int threads) {
    const int now = arrivals_[thread].count.load(std::memory_order_relaxed) + 1;
    arrivals_[thread].count.store(now, std::memory_order_release);
    for (int other = 0; other < threads; ++other)
      for (int looks = 0; arrivals_[other].count.load(std::memory_order_acquire) < now; ++looks) {
        if (looks < IN_TIME) {
          pause();
        } else {
          Teams::left_alone.store(1000, std::memory_order_relaxed);
          std::this_thread::yield();
        }
      }
  }

 private:
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
};

// Nanoseconds that two threads take to meet: measured once, the best of a few times.
inline double meeting_time() {
  static const double measured = [] {
    constexpr int TIMES = 200;
    double best = 1e9;
    for (int round = 0; round < 5; ++round) {
      Meeting meeting;
      team_of(2, [&](int thread, int threads) {
        meeting.wait(thread, threads);
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < TIMES; ++i) meeting.wait(thread, threads);
        const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
        if (thread == 0 && threads > 1) best = std::min(best, taken.count() / TIMES);
      });
    }
    Teams::left_alone.store(0, std::memory_order_relaxed);
    return best;
  }();
  return measured;
}

// Whether to share so many multiplications out between two threads that meet afterwards.
inline bool meeting_pays(double multiplications) {
  if (Teams::left_alone.load(std::memory_order_relaxed) > 0) {
    Teams::left_alone.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  constexpr double EACH = 0.03;  // nanoseconds: what one costs where a single row is multiplied
  return multiplications * EACH / 2 > 1.5 * meeting_time();
}

}  // namespace
