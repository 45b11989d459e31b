// Status: the outcome of an operation that can fail, as a value with context.
//
// Exceptions stop at the borders (libraries, plugins); inside, a function that can fail returns Status or Result<T>.
// Thread-safety: a Status is a plain value.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace postern {

enum class Code {
  kOk,
  kInvalid,      // the input is wrong; trying again will not help
  kNotFound,     // the thing asked for does not exist
  kDenied,       // not allowed
  kConflict,     // somebody else changed it meanwhile
  kLimit,        // a bound would be passed
  kTimeout,      // a deadline passed
  kGone,         // too late: the thing was given up
  kUnavailable,  // cannot now, may later
  kIo,           // the operating system or the disk refused
  kCorrupt,      // stored data is not what it should be
  kInternal,     // a fault of ours or of a plugin
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status ok() { return {}; }

  bool is_ok() const { return code_ == Code::kOk; }
  explicit operator bool() const { return is_ok(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same fault, told with where it happened: "open store: disk full".
  Status with_context(std::string_view context) const {
    return is_ok() ? *this : Status(code_, std::string(context) + ": " + message_);
  }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A T, or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}           // NOLINT: implicit by intent
  Result(Status status) : value_(std::in_place_index<1>, std::move(status)) {}    // NOLINT: implicit by intent

  bool is_ok() const { return value_.index() == 0; }
  explicit operator bool() const { return is_ok(); }
  T& value() { return std::get<0>(value_); }
  const T& value() const { return std::get<0>(value_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Status status() const { return is_ok() ? Status::ok() : std::get<1>(value_); }

 private:
  std::variant<T, Status> value_;
};

}  // namespace postern
