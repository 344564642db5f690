// One way to run work on several threads: OpenMP, or std::thread where a sanitizer must see the threads.
#pragma once

#ifdef OST_STD_THREADS
#include <thread>
#include <vector>
#endif

namespace {

constexpr int MOST_THREADS = 64;

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

}  // namespace
