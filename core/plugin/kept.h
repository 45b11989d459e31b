// Kept: what a plugin was handed during a call lives until that call returns, also where its own end comes before, on another thread.
// Thread-safety: each thread has its own.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace postern::plugin {

class Kept {
 public:
  // One call into a plugin; calls nest, and the outermost lets go.
  Kept() { ++depth_; }
  ~Kept() {
    if (--depth_ == 0 && any_) let_go();
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // Outside of a call nothing is kept.
  static void keep(std::shared_ptr<const void> thing) {
    if (depth_ == 0) return;
    things().push_back(std::move(thing));
    any_ = true;
  }

 private:
  static std::vector<std::shared_ptr<const void>>& things() {
    static thread_local std::vector<std::shared_ptr<const void>> things;
    return things;
  }
  static void let_go() {
    any_ = false;
    things().clear();
  }

  // Apart from the list, so that a call that keeps nothing costs no more than these.
  static inline constinit thread_local size_t depth_ = 0;
  static inline constinit thread_local bool any_ = false;
};

}  // namespace postern::plugin
