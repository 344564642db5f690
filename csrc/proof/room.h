// Memory of exactly so many numbers. What touches the one after the last is caught: by the sanitizer, or in a build
// without one by a page that may not be touched.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>
#include <new>
#include <type_traits>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool WATCHED = true;
#else
constexpr bool WATCHED = false;
#endif

// `line`: whether it must begin on a line of memory, as scratch does.
template <class T> class Room {
 public:
  explicit Room(long count, bool line = false) : count_(count), bytes_(size_t(count) * sizeof(T)) {
    if (count == 0) return;
    if (line) bytes_ = (bytes_ + 63) & ~size_t(63);
    if (WATCHED) {
      void* found = nullptr;
      if (posix_memalign(&found, line ? 64 : sizeof(void*), bytes_)) throw std::bad_alloc();
      data_ = static_cast<T*>(found);
    } else {
      const size_t page = size_t(sysconf(_SC_PAGESIZE));
      mapped_ = (bytes_ + page - 1) / page * page + page;
      base_ = static_cast<char*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      if (base_ == MAP_FAILED || mprotect(base_ + mapped_ - page, page, PROT_NONE)) throw std::bad_alloc();
      data_ = reinterpret_cast<T*>(base_ + mapped_ - page - bytes_);
    }
    poison();
  }
  Room(Room&& other) noexcept { swap(other); }
  Room& operator=(Room&& other) noexcept { return swap(other), *this; }
  ~Room() {
    if (WATCHED) std::free(data_);
    else if (base_) munmap(base_, mapped_);
  }

  T* data() const { return data_; }
  long count() const { return count_; }
  T* begin() const { return data_; }
  T* end() const { return data_ + count_; }

  // What is not written shows.
  void poison() {
    if constexpr (std::is_floating_point_v<T>)
      for (T& v : *this) v = std::numeric_limits<T>::quiet_NaN();
  }

 private:
  void swap(Room& other) {
    std::swap(count_, other.count_), std::swap(bytes_, other.bytes_), std::swap(data_, other.data_);
    std::swap(base_, other.base_), std::swap(mapped_, other.mapped_);
  }
  long count_ = 0;
  size_t bytes_ = 0, mapped_ = 0;
  T* data_ = nullptr;
  char* base_ = nullptr;
};
