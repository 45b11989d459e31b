// Requests as the provider would send them, for `postern send openphone SAMPLE`. Thread-safety: constants.
#pragma once

#include <array>
#include <string_view>

namespace openphone {

struct SampleText {
  std::string_view name, body;
};

extern const std::array<SampleText, 4> kSamples;

}  // namespace openphone
