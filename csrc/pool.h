// Memory that is used again: touching fresh pages costs more than a pass over a small layer.
#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

// Blocks by sizes, eight to each power of two. What is given back is kept, up to a limit, and handed out again.
class Pool {
 public:
  static Pool& shared() {
    static Pool* pool = new Pool;  // never destroyed: arrays may outlive the module
    return *pool;
  }

  void* take(size_t bytes) {
#ifdef __SANITIZE_ADDRESS__  // each block anew and of its own size, so that its end is watched
    void* fresh = nullptr;
    if (posix_memalign(&fresh, 64, bytes)) throw std::bad_alloc();
    return fresh;
#endif
    const size_t size = rounded(bytes);
    {
      std::lock_guard<std::mutex> hold(lock_);
      auto& kept = kept_[size];
      if (!kept.empty()) {
        void* block = kept.back();
        kept.pop_back();
        held_ -= size;
        return block;
      }
    }
    const bool large = size >= HUGE_PAGE;
    void* block = std::aligned_alloc(large ? HUGE_PAGE : 64, size);
    if (!block) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (large) madvise(block, size, MADV_HUGEPAGE);  // a wish: with small pages it is only slower
#endif
    return block;
  }

  void give(void* block, size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    return std::free(block);
#endif
    const size_t size = rounded(bytes);
    {
      std::lock_guard<std::mutex> hold(lock_);
      if (held_ + size <= LIMIT) {
        kept_[size].push_back(block);
        held_ += size;
        return;
      }
    }
    std::free(block);
  }

 private:
  static constexpr size_t HUGE_PAGE = size_t(2) << 20;
  static constexpr size_t LIMIT = size_t(256) << 20;
  static size_t rounded(size_t bytes) {
    size_t power = 4096;
    while (power * 2 <= bytes) power *= 2;
    const size_t step = power >= HUGE_PAGE && power / 8 < HUGE_PAGE ? HUGE_PAGE : power / 8;
    return bytes <= power ? power : (bytes + step - 1) / step * step;
  }

  std::mutex lock_;
  std::map<size_t, std::vector<void*>> kept_;
  size_t held_ = 0;
};

// A block for as long as this object lives.
class Block {
 public:
  explicit Block(size_t bytes) : bytes_(bytes), data_(Pool::shared().take(bytes)) {}
  ~Block() { Pool::shared().give(data_, bytes_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  char* data() const { return static_cast<char*>(data_); }

 private:
  size_t bytes_;
  void* data_;
};
