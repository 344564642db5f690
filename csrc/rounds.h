// Work that comes round after round in the same pieces. Each is at home with one thread, in whose caches it lies; a
// thread that has done its own takes up what a slower one has not come to: on a shared machine two threads seldom have
// the same speed. Whoever does a piece, its bits are the same.
#pragma once

#include <new>

#include "threads.h"
#include "walk.h"

namespace {

class Rounds {
  struct alignas(64) Piece {
    std::atomic<long> begun{0}, ended{0};  // rounds
  };
  Piece* const pieces_;
  const long* const first_;  // pieces of each home, and the end
  const int homes_;
  static constexpr long LEFT = 1;  // pieces that a thread will come to soon: left to it

 public:
  // Pieces first[i]..first[i + 1] - 1 are at home with thread i.
  Rounds(Arena& arena, long pieces, const long* first, int homes)
      : pieces_(arena.take<Piece>(pieces)), first_(first), homes_(homes) {
    for (long i = 0; arena.block && i < pieces; ++i) new (&pieces_[i]) Piece;
  }

  // f(piece) for what one of some threads does of a round. `down`: pieces from the last one on.
  template <class F> void run(int thread, int threads, long round, bool down, const F& f) const {
    const auto at = [&](int home, long i) { return down ? first_[home + 1] - 1 - i : first_[home] + i; };
    for (int home = thread; home < homes_; home += threads)
      for (long i = 0; i < first_[home + 1] - first_[home]; ++i) {
        const long piece = at(home, i);
        // Another thread may still be at its last round.
        for (long looks = 0; !begun(piece, round) && ended(piece) < round; ++looks) rest(looks);
        if (take(piece, round)) f(piece), end(piece, round);
      }
    for (int k = 1; k < homes_; ++k) {
      const int home = (thread + k) % homes_;
      for (long i = first_[home + 1] - first_[home] - 1; i >= LEFT && !begun(at(home, i - LEFT), round); --i) {
        const long piece = at(home, i);
        if (take(piece, round)) f(piece), end(piece, round);
      }
    }
  }

  // Whether a round has pieces that nobody has begun, and whether a piece is done with all before it.
  bool open(long round) const {
    bool any = false;
    for (long i = 0; i < first_[homes_]; ++i) any = any || !begun(i, round);
    return any;
  }
  void wait(long piece, long round) const {
    for (long looks = 0; ended(piece) < round; ++looks) rest(looks);
  }

 private:
  bool begun(long piece, long round) const { return pieces_[piece].begun.load(std::memory_order_relaxed) > round; }
  long ended(long piece) const { return pieces_[piece].ended.load(std::memory_order_acquire); }
  // Whether it is now this thread's: no other has it, and its last round is over.
  bool take(long piece, long round) const {
    return ended(piece) == round && pieces_[piece].begun.compare_exchange_strong(round, round + 1);
  }
  void end(long piece, long round) const { pieces_[piece].ended.store(round + 1, std::memory_order_release); }
};

// What one thread does of some pieces: first..last - 1 and no others, or its part of `rounds`.
struct Share {
  long first, last;
  const Rounds* rounds = nullptr;
  int thread = 0, threads = 1;

  template <class F> void run(long round, bool down, const F& f) const {
    if (rounds) return rounds->run(thread, threads, round, down, f);
    for (long i = 0; i < last - first; ++i) f(down ? last - 1 - i : first + i);
  }
  // Two at a time, where a share is fixed: f(piece, the next one or -1).
  template <class F> void by_twos(bool down, const F& f) const {
    for (long i = 0; i < last - first; i += 2) {
      const long j = i + 1 < last - first ? i + 1 : -1;
      f(down ? last - 1 - i : first + i, j < 0 ? j : down ? last - 1 - j : first + j);
    }
  }
};

}  // namespace
