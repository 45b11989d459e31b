// One HTTP request, as it was received: the raw head with references into it, and the exact body.
// Thread-safety: a plain value; const access from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::http {

class Request {
 public:
  // Offsets into head_, so that a Request can be moved freely.
  struct Span {
    uint32_t begin = 0;
    uint32_t size = 0;
  };
  struct Field {
    Span name;
    Span value;
  };

  std::string_view method() const { return text(method_); }
  // Raw and undecoded, as on the wire; absolute-form targets keep their scheme and host.
  std::string_view target() const { return text(target_); }
  // The path and the query (without '?') of the target, raw; for absolute-form without scheme and host.
  std::string_view path() const { return text(path_); }
  std::string_view query() const { return text(query_); }
  bool http_1_0() const { return http_1_0_; }
  bool keep_alive() const { return keep_alive_; }

  size_t header_count() const { return fields_.size(); }
  std::string_view header_name(size_t i) const { return text(fields_[i].name); }
  std::string_view header_value(size_t i) const { return text(fields_[i].value); }
  // The nth header of that name, any case; the value without the white space around it, otherwise exactly as received.
  std::optional<std::string_view> header(std::string_view name, size_t nth = 0) const;
  size_t count(std::string_view name) const;

  size_t head_size() const { return head_.size(); }  // bytes of request line and headers
  // "Name: value\r\n" for each header, names and values as received, without the white space around values: what is
  // stored.
  std::string headers_text() const;
  const std::string& body() const { return body_; }
  std::string& mutable_body() { return body_; }

  // Rebuilds a request from stored parts; `headers` as headers_text() gave them. Lines without a colon are left out. It
  // checks nothing: whatever comes from outside goes through RequestReader.
  static Request from_parts(std::string_view method, std::string_view target, std::string_view headers,
                            std::string body);

 private:
  friend class RequestReader;
  // Sets path_ and query_ after target_.
  bool split_target();
  std::string_view text(Span s) const { return std::string_view(head_).substr(s.begin, s.size); }

  std::string head_;  // request line and headers, raw, with their line ends
  Span method_, target_, path_, query_;
  std::vector<Field> fields_;
  std::string body_;
  bool http_1_0_ = false;
  bool keep_alive_ = true;
};

// ASCII, without regard to case: header names are compared so (RFC 9110 §5.1).
bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace postern::http
