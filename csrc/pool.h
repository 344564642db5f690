// Memory that is used again: touching fresh pages costs more than a pass over a small layer.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <new>

// There is no memory for so many bytes.
class NoRoom : public std::bad_alloc {
 public:
  explicit NoRoom(double bytes) {
    std::snprintf(words_, sizeof words_, "there is no memory for %.3g GB: pass shorter or fewer sequences at a time", bytes / 1e9);
  }
  const char* what() const noexcept override { return words_; }

 private:
  char words_[96];
};

// Blocks by sizes, eight to each power of two. What is given back is kept and handed out again; above a limit those
// that have lain longest are let go, so that shapes that are no longer asked for make room for those that are.
//
// Large blocks come from the system itself: in the heap, among smaller ones, they would leave holes that add up.
class Pool {
 public:
  static Pool& shared() {
    static Pool* pool = new Pool;  // never destroyed: arrays may outlive the module
    return *pool;
  }

  // For tests: whatever is handed out is full of NaN, so that what is read before it is written shows.
  void poison(bool on) { poisoned_ = on; }

  void* take(size_t bytes) {
    void* block = find(bytes);
    if (poisoned_) std::memset(block, 0xff, bytes);
    return block;
  }

  void give(void* block, size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    return std::free(block);
#endif
    const size_t size = rounded(bytes);
    if (size > LIMIT / 2) return release(block, size);
    std::lock_guard<std::mutex> hold(lock_);
    kept_[size].push_back({++clock_, block});
    held_ += size;
    while (held_ > LIMIT) drop_oldest();
  }

 private:
  void* find(size_t bytes) {
#ifdef __SANITIZE_ADDRESS__  // each block anew and of its own size, so that its end is watched
    void* fresh = nullptr;
    if (posix_memalign(&fresh, 64, bytes)) throw NoRoom(double(bytes));
    return fresh;
#endif
    const size_t size = rounded(bytes);
    {
      std::lock_guard<std::mutex> hold(lock_);
      auto& kept = kept_[size];
      if (!kept.empty()) {
        void* block = kept.back().block;
        kept.pop_back();
        held_ -= size;
        return block;
      }
    }
    return fetch(size);
  }

  static constexpr size_t HUGE_PAGE = size_t(2) << 20;
  static constexpr size_t LIMIT = size_t(256) << 20;
  struct Kept {
    uint64_t since;
    void* block;
  };

  static size_t rounded(size_t bytes) {
    size_t power = 4096;
    while (power * 2 <= bytes) power *= 2;
    const size_t step = power >= HUGE_PAGE && power / 8 < HUGE_PAGE ? HUGE_PAGE : power / 8;
    return bytes <= power ? power : (bytes + step - 1) / step * step;
  }

  static void* fetch(size_t size) {
    if (size < HUGE_PAGE) {
      void* block = std::aligned_alloc(64, size);
      if (!block) throw NoRoom(double(size));
      return block;
    }
    const size_t room = size + HUGE_PAGE;  // to begin on a huge page; what lies before and behind goes back
    void* got = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) throw NoRoom(double(size));
    char* first = static_cast<char*>(got);
    char* block = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(first) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    const size_t before = size_t(block - first);
    if (before) munmap(first, before);
    if (before < HUGE_PAGE) munmap(block + size, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    madvise(block, size, MADV_HUGEPAGE);  // a wish: with small pages it is only slower
#endif
    return block;
  }

  static void release(void* block, size_t size) {
    if (size < HUGE_PAGE) std::free(block);
    else munmap(block, size);
  }

  void drop_oldest() {
    auto oldest = kept_.end();
    for (auto it = kept_.begin(); it != kept_.end(); ++it)
      if (!it->second.empty() && (oldest == kept_.end() || it->second.front().since < oldest->second.front().since)) oldest = it;
    release(oldest->second.front().block, oldest->first);
    oldest->second.pop_front();
    held_ -= oldest->first;
  }

  std::mutex lock_;
  std::map<size_t, std::deque<Kept>> kept_;
  uint64_t clock_ = 0;
  size_t held_ = 0;
  std::atomic<bool> poisoned_{false};
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
