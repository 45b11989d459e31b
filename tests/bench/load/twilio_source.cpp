#include "tests/bench/load/twilio_source.h"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>

namespace postern::load {
namespace {

constexpr size_t kSignatureSize = 28;

// application/x-www-form-urlencoded. Marks stay as they are: what replaces them needs no encoding.
std::string encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                       c == '.' || c == '_' || (c > 0 && c < ' ');
    if (plain) {
      encoded += c;
    } else if (c == ' ') {
      encoded += '+';
    } else {
      static constexpr char kDigits[] = "0123456789ABCDEF";
      const auto byte = static_cast<uint8_t>(c);
      (encoded += '%') += {kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::string form(const Fields& fields) {
  std::string body;
  for (const auto& [name, value] : fields) {
    if (!body.empty()) body += '&';
    body += encode(name) + '=' + encode(value);
  }
  return body;
}

// In the order of a real request, which is not the sorted one.
Fields fields_of(bool status) {
  const std::string from = "+14" + kPhoneMark;
  const std::string to = "+14155550199";
  Fields fields{{"Called", to},
                {"ToState", "CA"},
                {"CallerCountry", "US"},
                {"Direction", "inbound"},
                {"CallerState", "CA"},
                {"ToZip", "94105"},
                {"CallSid", "CA" + kIdMark},
                {"To", to},
                {"CallerZip", ""},
                {"ToCountry", "US"},
                {"CalledZip", "94105"},
                {"ApiVersion", "2010-04-01"},
                {"CalledCity", "SAN FRANCISCO"},
                {"CallStatus", status ? "completed" : "ringing"},
                {"From", from},
                {"AccountSid", "AC0123456789abcdef0123456789abcdef"},
                {"CalledCountry", "US"},
                {"CallerCity", ""},
                {"ToCity", "SAN FRANCISCO"},
                {"FromCountry", "US"},
                {"Caller", from},
                {"FromCity", ""},
                {"CalledState", "CA"},
                {"FromZip", ""},
                {"FromState", "CA"}};
  if (status) {
    fields.insert(fields.end(), {{"CallbackSource", "call-progress-events"},
                                 {"SequenceNumber", "3"},
                                 {"Timestamp", "Fri, 20 Nov 2026 08:15:00 +0000"},
                                 {"CallDuration", "50"},
                                 {"Duration", "1"}});
  }
  return fields;
}

// The fields with a CallToken that brings the body to `size` bytes; without one when they have that size already.
Fields filled(Fields fields, size_t size) {
  const size_t bare = form(fields).size();
  if (bare == size) return fields;
  fields.emplace_back("CallToken", "");
  const size_t least = form(fields).size();
  if (size < least) {
    throw std::invalid_argument("--body-size is too small for such an event: it needs " + std::to_string(bare) +
                                ", or at least " + std::to_string(least));
  }
  fields.back().second.assign(size - least, 'e');
  return fields;
}

}  // namespace

std::string twilio_signed_text(std::string_view url, Fields fields) {
  std::sort(fields.begin(), fields.end());
  std::string text(url);
  for (const auto& [name, value] : fields) (text += name) += value;
  return text;
}

std::string twilio_signature(const HmacSha1& hmac, std::string_view signed_text) {
  const auto mac = hmac.sign(signed_text);
  char text[kSignatureSize + 1];
  EVP_EncodeBlock(reinterpret_cast<uint8_t*>(text), mac.data(), static_cast<int>(mac.size()));
  return {text, kSignatureSize};
}

TwilioSource::TwilioSource(const Options& options) : conversations_(options.conversations), hmac_(options.secret) {
  const Fields fields = filled(fields_of(options.path.ends_with("call-status")), options.body_size);
  const std::string body = form(fields);
  const std::string signature(kSignatureSize, kSignatureMark);
  request_ = "POST " + options.path + " HTTP/1.1\r\nHost: " + options.host + ":" + options.port +
             "\r\nUser-Agent: TwilioProxy/1.1 (postern-load)\r\nAccept: */*\r\n"
             "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: " +
             signature + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  signed_ = twilio_signed_text(options.public_url + options.path, fields);
  ids_ = take_places(request_, kIdMark);
  phones_ = take_places(request_, kPhoneMark);
  signed_ids_ = take_places(signed_, kIdMark);
  signed_phones_ = take_places(signed_, kPhoneMark);
  signature_at_ = take_places(request_, signature).at(0);
}

std::string_view TwilioSource::request(EventId id, int64_t) {
  const uint64_t caller = conversations_ == 0 ? id.low : id.low % conversations_;
  write_hex(id, ids_, request_);
  write_hex(id, signed_ids_, signed_);
  write_decimal(caller, kPhoneMark.size(), phones_, request_);
  write_decimal(caller, kPhoneMark.size(), signed_phones_, signed_);
  request_.replace(signature_at_, kSignatureSize, twilio_signature(hmac_, signed_));
  return request_;
}

}  // namespace postern::load
