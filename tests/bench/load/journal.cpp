#include "tests/bench/load/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace postern::load {

Journal::Journal(const std::string& path) {
  if (path.empty()) return;
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
}

Journal::~Journal() {
  if (fd_ >= 0) close(fd_);
}

void Journal::add(EventId id) {
  if (fd_ < 0) return;
  const size_t at = lines_.size();
  lines_.resize(at + kIdSize + 1);
  write_id(id, &lines_[at]);
  lines_.back() = '\n';
}

void Journal::flush() {
  if (lines_.empty()) return;
  // One write: O_APPEND keeps it whole beside those of other threads.
  if (write(fd_, lines_.data(), lines_.size()) != static_cast<ssize_t>(lines_.size())) {
    throw std::runtime_error(std::string("cannot write the journal: ") + std::strerror(errno));
  }
  lines_.clear();
}

}  // namespace postern::load
