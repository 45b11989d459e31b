#include "playback.h"

#include <algorithm>
#include <utility>

namespace openai_realtime {

uint64_t Playback::add(std::string_view item_id, std::string_view response_id, int64_t bytes, int64_t bytes_per_ms) {
  if (items_.empty() || items_.back().item_id != item_id || !items_.back().known) {
    items_.push_back({std::string(item_id), std::string(response_id), 0, 0, true});
  }
  const int64_t length_us = bytes * 1000 / bytes_per_ms;
  end_us_ = std::max(end_us_, clock_ms_ * 1000) + length_us;
  items_.back().length_us += length_us;
  items_.back().last_mark = ++last_mark_;
  marks_.push_back(last_mark_);
  return last_mark_;
}

void Playback::on_mark(uint64_t number) {
  while (!marks_.empty() && marks_.front() <= number) marks_.pop_front();
  while (items_.size() > 1 && items_.front().last_mark <= number) items_.pop_front();  // the last one may go on
}

void Playback::begin_session() {
  for (Item& item : items_) item.known = false;
}

std::vector<Playback::Cut> Playback::interrupt() {
  std::vector<Cut> cuts;
  int64_t unplayed_us = remaining_us();
  for (auto item = items_.rbegin(); item != items_.rend() && playing() && item->last_mark >= marks_.front(); ++item) {
    const int64_t unheard_us = std::min(unplayed_us, item->length_us);
    unplayed_us -= unheard_us;
    cuts.push_back({std::move(item->item_id), std::move(item->response_id), (item->length_us - unheard_us) / 1000, item->known});
  }
  std::reverse(cuts.begin(), cuts.end());
  items_.clear();
  marks_.clear();
  end_us_ = clock_ms_ * 1000;
  return cuts;
}

}  // namespace openai_realtime
