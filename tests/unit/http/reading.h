// Drives a RequestReader over bytes that are cut in different ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/request_reader.h"

namespace postern::http::testing {

struct Reading {
  std::vector<Request> requests;  // those that completed
  int status = 0;                 // of the refusal, if there was one
  std::string reason;
  size_t consumed = 0;
};

// Reads all of `bytes`, `piece` of them at a time, each request with a body of up to `max_body`.
inline Reading read_all(std::string_view bytes, size_t piece, ReadLimits limits = {}, uint64_t max_body = 1 << 20) {
  Reading out;
  RequestReader reader(limits);
  for (size_t begin = 0; begin < bytes.size(); begin += piece) {
    std::string_view data = bytes.substr(begin, piece);
    while (true) {
      const size_t n = reader.feed(data);
      data.remove_prefix(n);
      out.consumed += n;
      if (reader.state() == RequestReader::State::kHeadComplete) reader.begin_body(max_body);
      if (reader.state() == RequestReader::State::kComplete) {
        out.requests.push_back(reader.take());
        continue;
      }
      if (reader.state() == RequestReader::State::kRefused) {
        out.status = reader.refusal().status;
        out.reason = reader.refusal().reason;
        return out;
      }
      if (data.empty()) break;
    }
  }
  return out;
}

// All that can be seen of a request, for comparison.
inline std::string summary(const Request& r) {
  return std::string(r.method()) + "|" + std::string(r.target()) + "|" + std::string(r.path()) + "|" +
         std::string(r.query()) + "|" + (r.http_1_0() ? "1.0" : "1.1") + "|" + (r.keep_alive() ? "keep" : "close") +
         "|" + r.headers_text() + "|" + r.body();
}

inline std::vector<std::string> summaries(const Reading& reading) {
  std::vector<std::string> out;
  for (const Request& request : reading.requests) out.push_back(summary(request));
  return out;
}

}  // namespace postern::http::testing
