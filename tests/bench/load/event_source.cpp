#include "tests/bench/load/event_source.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "tests/support/signing.h"

namespace postern::load {
namespace {

// Stand-ins of the right length, replaced while the text is laid out. No honest text contains them.
const std::string kId(32, '\1');
const std::string kConversation(32, '\2');
const std::string kPhone(9, '\3');
const std::string kSeconds(10, '\4');
const std::string kMilliseconds(13, '\4');
const std::string kBase64(44, '\5');
const std::string kHex(64, '\5');

std::string key_of(const Options& options) {
  if (options.scheme == Scheme::kOwn) return options.secret;
  std::string_view text = options.secret;
  if (options.scheme == Scheme::kStandard && text.starts_with("whsec_")) text.remove_prefix(6);
  const auto key = testing::from_base64(text);
  if (!key || key->empty()) throw std::invalid_argument("--secret is not base64, as this scheme has it");
  return *key;
}

void write_hex(uint64_t value, char* out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 15; i >= 0; --i, value >>= 4) out[i] = kDigits[value & 15];
}

void write_decimal(uint64_t value, size_t size, char* out) {
  for (; size > 0; value /= 10) out[--size] = static_cast<char>('0' + value % 10);
}

constexpr uint64_t kPhoneNumbers = 1'000'000'000;

}  // namespace

void write_id(EventId id, char* out) {
  out[0] = 'E';
  out[1] = 'V';
  write_hex(id.high, out + 2);
  write_hex(id.low, out + 18);
}

EventSource::EventSource(const Options& options) : options_(options), hmac_(key_of(options)) {
  const std::string body = lay_out_body();
  request_ = lay_out_head(body.size());
  body_at_ = request_.size();
  request_ += body;
  ids_ = take_places(kId);
  conversations_ = take_places(kConversation);
  phones_ = take_places(kPhone);
  time_size_ = options_.scheme == Scheme::kLegacy ? kMilliseconds.size() : kSeconds.size();
  times_ = take_places(std::string(time_size_, '\4'));
  signature_at_ = take_places(options_.scheme == Scheme::kOwn ? kHex : kBase64).at(0);
}

std::string EventSource::lay_out_body() const {
  const bool call = options_.type.starts_with("call.");
  const std::string resource =
      call
          ? R"("direction":"incoming","status":"answered","createdAt":"2026-11-20T08:14:01.000Z",)"
            R"("answeredAt":"2026-11-20T08:14:09.000Z","completedAt":"2026-11-20T08:14:59.000Z","duration":50,)"
            R"("hasVoicemail":false)"
          : R"("direction":"incoming","text":"\6","media":[],"status":"received","createdAt":"2026-11-20T08:14:59.000Z")";
  const std::string parties = call ? R"("participants":{"workspace":["+14155550199"],"external":["+14)" + kPhone +
                                         R"("],"resolution":"available"})"
                                   : R"("contacts":{"ids":["CT)" + kConversation +
                                         R"("],"lookupStatus":"matched"},"senderIdentifier":"+14)" + kPhone +
                                         R"(","recipientIdentifiers":["+14155550199"])";
  std::string body = R"({"id":"EV)" + kId +
                     R"(","apiVersion":"2026-03-30","createdAt":"2026-11-20T08:15:00.000Z","type":")" + options_.type +
                     R"(","data":{"resource":{"id":"AC)" + kId + R"(",)" + resource +
                     R"(},"context":{"orgId":"OR1y6T5nqk","phoneNumberId":"PNpR0xEmYv","conversationId":"CN)" +
                     kConversation + R"(","userId":"USqZmT8kWc",)" + parties +
                     R"(},"links":{"quo":"https://my.quo.com/inbox/)" + (call ? R"(\6)" : "") + R"("}}})";
  // The two characters \6 mark where the body may grow: the message's text, or a call's link.
  const size_t room = body.find(R"(\6)");
  body.erase(room, 2);
  if (options_.body_size < body.size()) {
    throw std::invalid_argument("--body-size is too small for such an event: it needs " + std::to_string(body.size()));
  }
  static constexpr std::string_view kText = "Hello, could you call me back about the order of last week? ";
  for (size_t i = 0, size = options_.body_size - body.size(); i < size; ++i) {
    body.insert(body.begin() + static_cast<std::ptrdiff_t>(room + i), call ? 'x' : kText[i % kText.size()]);
  }
  return body;
}

std::string EventSource::lay_out_head(size_t body_size) const {
  std::string head = "POST " + options_.path + " HTTP/1.1\r\nHost: " + options_.host + ":" + options_.port +
                     "\r\nUser-Agent: postern-load\r\nContent-Type: application/json\r\n";
  switch (options_.scheme) {
    case Scheme::kStandard:
      head += "webhook-id: EV" + kId + "\r\nwebhook-timestamp: " + kSeconds + "\r\nwebhook-signature: v1," + kBase64;
      break;
    case Scheme::kLegacy:
      head += "openphone-signature: hmac;1;" + kMilliseconds + ";" + kBase64;
      break;
    case Scheme::kOwn:
      head += "X-OpenPhone-Signature: " + kHex + "\r\nX-OpenPhone-Timestamp: " + kSeconds;
      break;
  }
  return head + "\r\nContent-Length: " + std::to_string(body_size) + "\r\n\r\n";
}

// The places of a mark; it is overwritten with zeros, so that the text is whole even before the first event.
std::vector<size_t> EventSource::take_places(std::string_view mark) {
  std::vector<size_t> places;
  for (size_t at = 0; (at = request_.find(mark, at)) != std::string::npos; at += mark.size()) {
    places.push_back(at);
    std::fill_n(request_.begin() + static_cast<std::ptrdiff_t>(at), mark.size(), '0');
  }
  return places;
}

std::string_view EventSource::request(EventId id, int64_t now_ms) {
  char digits[32];
  write_hex(id.high, digits);
  write_hex(id.low, digits + 16);
  for (const size_t at : ids_) std::memcpy(&request_[at], digits, sizeof digits);
  const uint64_t conversation = options_.conversations == 0 ? id.low : id.low % options_.conversations;
  write_hex(options_.conversations == 0 ? id.high : 0, digits);
  write_hex(conversation, digits + 16);
  for (const size_t at : conversations_) std::memcpy(&request_[at], digits, sizeof digits);
  for (const size_t at : phones_) write_decimal(conversation % kPhoneNumbers, kPhone.size(), &request_[at]);
  sign(now_ms);
  return request_;
}

void EventSource::sign(int64_t now_ms) {
  const auto time = static_cast<uint64_t>(options_.scheme == Scheme::kLegacy ? now_ms : now_ms / 1000);
  for (const size_t at : times_) write_decimal(time, time_size_, &request_[at]);
  prefix_.clear();
  if (options_.scheme == Scheme::kStandard) (prefix_ = request_.substr(ids_[0] - 2, kIdSize)) += '.';
  prefix_.append(request_, times_[0], time_size_) += '.';
  const auto mac = hmac_.sign(prefix_, std::string_view(request_).substr(body_at_));
  char text[65];
  if (options_.scheme == Scheme::kOwn) {
    for (size_t i = 0; i < 4; ++i) {
      uint64_t word = 0;
      for (size_t j = 0; j < 8; ++j) word = word << 8 | mac[i * 8 + j];
      write_hex(word, text + i * 16);
    }
    std::memcpy(&request_[signature_at_], text, kHex.size());
  } else {
    EVP_EncodeBlock(reinterpret_cast<uint8_t*>(text), mac.data(), static_cast<int>(mac.size()));
    std::memcpy(&request_[signature_at_], text, kBase64.size());
  }
}

}  // namespace postern::load
