// Whether a Mustache template is well formed, with the place of the first fault; and how deep its sections go. It is looked at before the
// library compiles it, which recurses by sections, copies the text of each, and tells places in bytes.
// Errors: throws TemplateFault. Thread-safety: pure functions.
#pragma once

#include <string_view>

namespace smtp {

void check_template(std::string_view source);

}  // namespace smtp
