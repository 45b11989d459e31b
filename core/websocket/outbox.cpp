#include "core/websocket/outbox.h"

#include <algorithm>
#include <utility>

namespace postern::websocket {
namespace {

// Attack: empty messages, or many small ones, of which each takes memory. What a message counts for.
size_t cost(std::string_view data) { return std::max<size_t>(data.size(), 64); }

}  // namespace

bool Outbox::put(Kind kind, std::string_view data, Class what) {
  if (what == Class::kMedia) {
    if (cost(data) > max_bytes_) {
      ++dropped_;
      return true;
    }
    if (bytes_ + cost(data) > max_bytes_) drop_oldest_media(max_bytes_ - cost(data));
    if (bytes_ + cost(data) > max_bytes_) {  // control messages fill it
      ++dropped_;
      return true;
    }
  } else if (bytes_ + cost(data) > 4 * max_bytes_) {
    return false;
  }
  bytes_ += cost(data);
  messages_.push_back({kind, what, std::string(data)});
  return true;
}

Outbox::Message Outbox::take() {
  Message oldest = std::move(messages_.front());
  messages_.pop_front();
  bytes_ -= cost(oldest.data);
  return oldest;
}

void Outbox::drop_media() { drop_oldest_media(0); }

uint64_t Outbox::discard_media() {
  const uint64_t before = dropped_;
  drop_oldest_media(0);
  return std::exchange(dropped_, before) - before;
}

void Outbox::clear() {
  messages_.clear();
  bytes_ = 0;
}

// In one pass, so that a full box with control messages before its media costs no more than its length.
void Outbox::drop_oldest_media(size_t until_bytes) {
  const auto keep = std::remove_if(messages_.begin(), messages_.end(), [&](const Message& message) {
    if (message.what != Class::kMedia || bytes_ <= until_bytes) return false;
    bytes_ -= cost(message.data);
    ++dropped_;
    return true;
  });
  messages_.erase(keep, messages_.end());
}

}  // namespace postern::websocket
