// Threads that have rows of their own seldom end together: a rented processor's neighbours slow one of two, a laptop's cores
// are not of one kind. Whoever has done his own asks the one who has most left for some of it, rows and the state they are in,
// between two of its steps. No row's bits depend on its company, so none depends on who makes it.
#pragma once

#include <new>

#include "threads.h"
#include "walk.h"

namespace {

// Nanoseconds of work that a thread must have left to give some of it away, and where lines of memory go with it that the
// giver will want back, which costs as much as little work does.
#ifdef OST_PROOF
constexpr double LEAST_GIVEN = 0, LEAST_KEPT = 0;
#else
constexpr double LEAST_GIVEN = 3e4, LEAST_KEPT = 2e5;
#endif
constexpr double MULTIPLICATION = 0.02;  // nanoseconds
inline bool worth_giving(double multiplications, bool kept) { return multiplications * MULTIPLICATION > (kept ? LEAST_KEPT : LEAST_GIVEN); }

template <class T> class Relief {
  static constexpr int NOBODY = -1, CLOSED = -2;  // of `asked`; else a thread
  enum Answer { NONE, GIVEN, REFUSED };

  struct alignas(64) Place {
    std::atomic<int> asked{CLOSED}, answer{NONE};
    std::atomic<long> left{0};   // steps of rows, as if all were as long as the first
    long all = 0, done = 0;      // steps of rows: all that were its own; and those that it has done, where it asks
    long at = 0;                 // the step that what it was given goes on with
    Walk<T>* rows = nullptr;
    T* const* states = nullptr;  // h and c, or their gradients; of each row all that lies from one to the next
  };
  const int threads_;
  Place* const places_;
  const bool back_;
  const long widths_[2], tall_;
  const double each_, least_;  // nanoseconds: a step of a row; what a thread must have left to give some of it away

 public:
  // `back`: steps are taken from the last one on. `widths`: of the states' rows. `tall`: so many rows are made together.
  // `work`: multiplications in one step of a row; where all threads' are few, none gives any away. `kept`: whether what is
  // made of a row is read or written again, by the thread whose row it was.
  Relief(Arena& arena, int threads, long steps, bool back, const long (&widths)[2], long tall, double work, bool kept)
      : threads_(worth_giving(steps * work / threads, kept) ? threads : 1), places_(arena.take<Place>(threads_ > 1 ? threads_ : 0)),
        back_(back), widths_{widths[0], widths[1]}, tall_(tall), each_(work * MULTIPLICATION), least_(kept ? LEAST_KEPT : LEAST_GIVEN) {
    for (int i = 0; arena.block && threads_ > 1 && i < threads_; ++i) new (&places_[i]) Place;
  }

  // f(t, between) takes the steps of `rows` from step t on, and calls between(t) before step t; there, some of the rows may
  // go. First for the thread's own rows, then for whatever it is given. `states`: where they lie at those times.
  template <class F> void run(int thread, Walk<T>& rows, T* const* states, const F& f) const {
    Place* own = threads_ > 1 ? &places_[thread] : nullptr;
    long t = back_ ? rows.longest() - 1 : 0;
    if (own) own->rows = &rows, own->states = states;
    do {
      if (own) own->all += left(rows, 0, t), own->asked.store(NOBODY, std::memory_order_release);
      f(t, [&](long at) {
        if (own) between(*own, at);
      });
    } while (own && given(*own, thread, t));
  }

 private:
  // What rows first.. have before them at step t.
  long left(const Walk<T>& rows, long first, long t) const {
    long sum = 0;
    for (long r = first; r < rows.count; ++r) sum += left_of(rows, r, t);
    return sum;
  }
  long left_of(const Walk<T>& rows, long r, long t) const {
    const long steps = rows.s.steps(rows.rows[r]);
    return back_ ? std::min(steps, t + 1) : std::max(0L, steps - t);
  }

  void between(Place& own, long t) const {
    own.left.store(own.rows->count * (back_ ? t + 1 : own.rows->longest() - t), std::memory_order_relaxed);
    const int who = own.asked.load(std::memory_order_acquire);
    if (who < 0) return;
    const bool gave = give(own, places_[who], t);
    own.asked.store(NOBODY, std::memory_order_relaxed);
    places_[who].answer.store(gave ? GIVEN : REFUSED, std::memory_order_release);
  }

  // The last rows: as many as both will have done at the same time, if each goes on as fast as it was so far.
  bool give(Place& own, Place& other, long t) const {
    Walk<T>& rows = *own.rows;
    const long all = left(rows, 0, t), behind = own.all - all;
    if (all * each_ <= least_) return false;
    const double part = other.done + behind > 0 ? double(other.done) / double(other.done + behind) : 0.5;
    long first = rows.count;
    for (long sum = 0; first > 1 && (sum += left_of(rows, first - 1, t)) <= part * all;) --first;
    first = rows.border(ceil_div(first, tall_) * tall_);
    const long gone = first < rows.count ? left(rows, first, t) : 0;
    if (gone == 0) return false;
    for (int i = 0; i < 2; ++i)
      if (const long n = widths_[i])
        std::memcpy(other.states[i], own.states[i] + first * n, (rows.count - first) * n * sizeof(T));
    rows.hand_over(first, *other.rows);
    own.all -= gone, other.at = t;
    return true;
  }

  // With nothing left to do: whether another gave it something, which is to go on from step t.
  bool given(Place& own, int thread, long& t) const {
    own.left.store(0, std::memory_order_relaxed), own.done = own.all;
    const int late = own.asked.exchange(CLOSED, std::memory_order_acq_rel);
    if (late >= 0) places_[late].answer.store(REFUSED, std::memory_order_release);
    while (Place* most = busiest()) {
      own.answer.store(NONE, std::memory_order_relaxed);
      int nobody = NOBODY;
      if (!most->asked.compare_exchange_strong(nobody, thread, std::memory_order_acq_rel)) continue;
      for (long looks = 0; own.answer.load(std::memory_order_acquire) == NONE; ++looks) rest(looks);
      t = own.at;
      return own.answer.load(std::memory_order_relaxed) == GIVEN;
    }
    return false;
  }
  // Who has most left, of those whom nobody else asks.
  Place* busiest() const {
    Place* found = nullptr;
    long most = 0;
    for (Place* each = places_; each < places_ + threads_; ++each) {
      const long left = each->left.load(std::memory_order_relaxed);
      if (left > most && each->asked.load(std::memory_order_relaxed) == NOBODY) found = each, most = left;
    }
    return found;
  }
};

}  // namespace
