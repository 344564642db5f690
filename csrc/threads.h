// One way to run work on several threads: OpenMP, or std::thread where a sanitizer must see the threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
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

// Likewise, or one after the other where so many numbers are to be read and written: to call a thread costs more.
template <class F> void parallel_where(long numbers, int n, const F& f) {
  constexpr long FEW = 8192;
  if (numbers > FEW) return parallel_for(n, f);
  for (int i = 0; i < n; ++i) f(i);
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
// wait for it: then they are left alone for some calls, for many if it happens again soon.
class Teams {
  static constexpr int LEAST = 4, MOST = 1000;  // calls
  static inline std::atomic<int> left_alone_{0}, next_{LEAST};

 public:
  static void late() {
    const int calls = next_.load(std::memory_order_relaxed);
    left_alone_.store(calls, std::memory_order_relaxed);
    next_.store(std::min(8 * calls, MOST), std::memory_order_relaxed);
  }
  static void in_time() {
    const int calls = next_.load(std::memory_order_relaxed);
    if (calls > LEAST) next_.store(calls - calls / 4, std::memory_order_relaxed);
  }
  // Whether this call is one of those.
  static bool left_alone() {
    if (left_alone_.load(std::memory_order_relaxed) <= 0) return false;
    left_alone_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  static void forget() { left_alone_.store(0, std::memory_order_relaxed), next_.store(LEAST, std::memory_order_relaxed); }
};

constexpr long IN_TIME = 20000;  // looks at what another thread is about to write; after so many it is late

// Between two looks: a late thread may be waiting for this one's core.
inline void rest(long looks) {
  if (looks >= IN_TIME) return std::this_thread::yield();
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Where the threads of a team wait for each other: each counts its own arrivals and looks at the others'.
class Meeting {
  struct alignas(64) Arrivals {
    std::atomic<int> count{0};
  };
  Arrivals arrivals_[MOST_IN_TEAM];
  std::atomic<bool> late_{false};

 public:
  ~Meeting() { late_.load(std::memory_order_relaxed) ? Teams::late() : Teams::in_time(); }

  void wait(int thread, int threads) {
    const int now = arrivals_[thread].count.load(std::memory_order_relaxed) + 1;
    arrivals_[thread].count.store(now, std::memory_order_release);
    for (int other = 0; other < threads; ++other)
      for (long looks = 0; arrivals_[other].count.load(std::memory_order_acquire) < now; ++looks) {
        if (looks == IN_TIME) late_.store(true, std::memory_order_relaxed);
        rest(looks);
      }
  }
};

// Nanoseconds that two threads take to meet and to read what each has written for the other. Rented processors move: for
// some seconds they are one core's two threads, and then two cores far apart, ten times as slow. So it is measured again
// after so much work that it costs a fiftieth of it.
class MeetingTime {
  static constexpr int ROUNDS = 3, TIMES = 12, LINES = 4, SELDOM = 50;
  static inline std::atomic<double> taken_{0};
  static inline std::atomic<long> due_{0};  // nanoseconds of work until then

  struct alignas(64) Line {
    std::atomic<int> number{0};
  };
  static double measured() {
    using Clock = std::chrono::steady_clock;
    Meeting meeting;
    Line lines[2][2][LINES];
    double taken = 1e6;  // where there is no second thread
    team_of(2, [&](int thread, int threads) {
      for (int round = 0; threads > 1 && round < ROUNDS; ++round) {  // the best: one may be disturbed
        meeting.wait(thread, threads);
        const auto start = Clock::now();
        for (int i = 0; i < TIMES; ++i) {
          for (Line& line : lines[i % 2][thread]) line.number.store(i, std::memory_order_relaxed);
          meeting.wait(thread, threads);
          for (Line& line : lines[i % 2][1 - thread]) line.number.load(std::memory_order_relaxed);
        }
        const std::chrono::duration<double, std::nano> round_taken = Clock::now() - start;
        if (thread == 0) taken = std::min(taken, round_taken.count() / TIMES);
      }
    });
    return taken;
  }

 public:
  // With so many bytes to read, ahead of so many nanoseconds of work.
  static double with(double bytes, double work) {
    if (due_.fetch_sub(long(work)) <= long(work)) {
      const bool first = taken_.load() == 0;
      due_.store(std::numeric_limits<long>::max() / 2);  // not by two at once
      const double taken = measured();
      if (first) Teams::forget();  // threads that were just made are late
      taken_.store(taken), due_.store(long(SELDOM * ROUNDS * TIMES * taken));
    }
    constexpr double EACH = 0.06;  // of a line, beside the time with LINES
    return taken_.load() * (1 + EACH * (bytes / sizeof(Line) - LINES));
  }
};

// Whether to share so many multiplications of each of some steps out between two threads that meet after each, and then
// read so many bytes from each other.
inline bool meeting_pays(double multiplications, long steps, double bytes) {
  if (Teams::left_alone()) return false;
  constexpr double EACH = 0.03;  // nanoseconds: what one costs where a single row is multiplied
  constexpr double IN_LAYER = 1.5;  // a meeting there beside one here: its threads do not come at the same time
  const double work = multiplications * EACH;
  return work / 2 > IN_LAYER * MeetingTime::with(bytes, work * steps);
}

}  // namespace
