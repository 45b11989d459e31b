// The form decoder beside one of our own, after the URL Standard (5.1). Input: how many parameters at most, the body.
#include "core/http/form.h"

#include <string>

#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

std::string unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    unsigned byte = 0;
    const auto hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    if (text.size() >= 3 && text[0] == '%' && hex(text[1]) && hex(text[2]) && std::sscanf(text.data() + 1, "%2x", &byte) == 1) {
      out += static_cast<char>(byte);
      text.remove_prefix(3);
    } else {
      out += text[0] == '+' ? ' ' : text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

http::Form reference(const std::string& body, size_t most) {
  http::Form form;
  std::string sequence;
  for (const char c : body + "&") {
    if (c != '&') {
      sequence += c;
      continue;
    }
    const size_t sign = sequence.find('=');
    if (!sequence.empty() && form.size() < most) {
      form.emplace_back(unescaped(sequence.substr(0, sign)), sign == std::string::npos ? "" : unescaped(sequence.substr(sign + 1)));
    }
    sequence.clear();
  }
  return form;
}

std::string encoded(const http::Form& form) {
  std::string body;
  const auto add = [&](const std::string& text) {
    for (const char c : text) {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02x", static_cast<unsigned char>(c));
      body += hex;
    }
  };
  for (const auto& [name, value] : form) {
    add(name);
    body += '=';
    add(value);
    body += '&';
  }
  return body;
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern;
  fuzz::Input input(data, size);
  const uint8_t choice = input.byte();
  const size_t most = choice == 0 ? SIZE_MAX : choice;
  // A copy that ends in NUL: the reference reads with sscanf.
  const std::string body(input.rest());
  const http::Form form = http::parse_form(body, most);
  EXPECT(form == fuzz::reference(body, most));
  EXPECT(form.size() <= most && form.size() <= body.size());
  EXPECT(http::parse_form(fuzz::encoded(form)) == form);
  (void)http::is_form_type(body);
  return 0;
}
