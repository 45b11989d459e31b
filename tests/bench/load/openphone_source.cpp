#include "tests/bench/load/openphone_source.h"

#include <openssl/evp.h>

#include <cstring>
#include <stdexcept>

#include "tests/support/signing.h"

namespace postern::load {
namespace {

const std::string kSeconds(10, kTimeMark);
const std::string kMilliseconds(13, kTimeMark);
const std::string kBase64(44, kSignatureMark);
const std::string kHex(64, kSignatureMark);

std::string key_of(const Options& options) {
  if (options.scheme == Scheme::kOwn) return options.secret;
  std::string_view text = options.secret;
  if (options.scheme == Scheme::kStandard && text.starts_with("whsec_")) text.remove_prefix(6);
  const auto key = testing::from_base64(text);
  if (!key || key->empty()) throw std::invalid_argument("--secret is not base64, as this scheme has it");
  return *key;
}

}  // namespace

OpenphoneSource::OpenphoneSource(const Options& options) : options_(options), hmac_(key_of(options)) {
  const std::string body = lay_out_body();
  request_ = lay_out_head(body.size());
  body_at_ = request_.size();
  request_ += body;
  ids_ = take_places(request_, kIdMark);
  conversations_ = take_places(request_, kConversationMark);
  phones_ = take_places(request_, kPhoneMark);
  time_size_ = options_.scheme == Scheme::kLegacy ? kMilliseconds.size() : kSeconds.size();
  times_ = take_places(request_, std::string(time_size_, kTimeMark));
  signature_at_ = take_places(request_, options_.scheme == Scheme::kOwn ? kHex : kBase64).at(0);
}

std::string OpenphoneSource::lay_out_body() const {
  const bool call = options_.type.starts_with("call.");
  const std::string resource =
      call
          ? R"("direction":"incoming","status":"answered","createdAt":"2026-11-20T08:14:01.000Z",)"
            R"("answeredAt":"2026-11-20T08:14:09.000Z","completedAt":"2026-11-20T08:14:59.000Z","duration":50,)"
            R"("hasVoicemail":false)"
          : R"("direction":"incoming","text":"\6","media":[],"status":"received","createdAt":"2026-11-20T08:14:59.000Z")";
  const std::string parties = call ? R"("participants":{"workspace":["+14155550199"],"external":["+14)" + kPhoneMark +
                                         R"("],"resolution":"available"})"
                                   : R"("contacts":{"ids":["CT)" + kConversationMark +
                                         R"("],"lookupStatus":"matched"},"senderIdentifier":"+14)" + kPhoneMark +
                                         R"(","recipientIdentifiers":["+14155550199"])";
  std::string body = R"({"id":"EV)" + kIdMark +
                     R"(","apiVersion":"2026-03-30","createdAt":"2026-11-20T08:15:00.000Z","type":")" + options_.type +
                     R"(","data":{"resource":{"id":"AC)" + kIdMark + R"(",)" + resource +
                     R"(},"context":{"orgId":"OR1y6T5nqk","phoneNumberId":"PNpR0xEmYv","conversationId":"CN)" +
                     kConversationMark + R"(","userId":"USqZmT8kWc",)" + parties +
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

std::string OpenphoneSource::lay_out_head(size_t body_size) const {
  std::string head = "POST " + options_.path + " HTTP/1.1\r\nHost: " + options_.host + ":" + options_.port +
                     "\r\nUser-Agent: postern-load\r\nContent-Type: application/json\r\n";
  switch (options_.scheme) {
    case Scheme::kStandard:
      head += "webhook-id: EV" + kIdMark + "\r\nwebhook-timestamp: " + kSeconds + "\r\nwebhook-signature: v1," + kBase64;
      break;
    case Scheme::kLegacy:
      head += "openphone-signature: hmac;1;" + kMilliseconds + ";" + kBase64;
      break;
    case Scheme::kOwn:
      head += "X-OpenPhone-Signature: " + kHex + "\r\nX-OpenPhone-Timestamp: " + kSeconds;
      break;
    case Scheme::kTwilio:
      break;  // TwilioSource's
  }
  return head + "\r\nContent-Length: " + std::to_string(body_size) + "\r\n\r\n";
}

std::string_view OpenphoneSource::request(EventId id, int64_t now_ms) {
  write_hex(id, ids_, request_);
  const bool own = options_.conversations == 0;
  const uint64_t conversation = own ? id.low : id.low % options_.conversations;
  write_hex({own ? id.high : 0, conversation}, conversations_, request_);
  write_decimal(conversation, kPhoneMark.size(), phones_, request_);
  sign(now_ms);
  return request_;
}

void OpenphoneSource::sign(int64_t now_ms) {
  const auto time = static_cast<uint64_t>(options_.scheme == Scheme::kLegacy ? now_ms : now_ms / 1000);
  write_decimal(time, time_size_, times_, request_);
  prefix_.clear();
  if (options_.scheme == Scheme::kStandard) (prefix_ = request_.substr(ids_[0] - 2, kIdSize)) += '.';
  prefix_.append(request_, times_[0], time_size_) += '.';
  const auto mac = hmac_.sign(prefix_, std::string_view(request_).substr(body_at_));
  if (options_.scheme == Scheme::kOwn) {
    const std::string text = testing::hex({reinterpret_cast<const char*>(mac.data()), mac.size()});
    std::memcpy(&request_[signature_at_], text.data(), kHex.size());
  } else {
    char text[45];
    EVP_EncodeBlock(reinterpret_cast<uint8_t*>(text), mac.data(), static_cast<int>(mac.size()));
    std::memcpy(&request_[signature_at_], text, kBase64.size());
  }
}

}  // namespace postern::load
