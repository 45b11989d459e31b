// Upkeep: removes the records of mails, and of what became of them, when nothing has happened for long. A durable timer looks at all of
// them once a day, some thousand at a time. Thread-safety: init() in init, activate() in activate; handlers any thread.
#pragma once

#include <chrono>
#include <postern/plugin.hpp>
#include <string>

namespace smtp {

class Upkeep {
 public:
  void init(postern::Setup& setup, std::chrono::milliseconds keep);
  // Sees to it that a timer is set.
  void activate() const;

 private:
  void plan(postern::Delivery& event) const;
  void sweep(postern::Delivery& timer) const;
  bool sweep(postern::Delivery& timer, const char* collection, std::string& after) const;

  std::chrono::milliseconds keep_{};
  postern::Publisher publisher_;
};

}  // namespace smtp
