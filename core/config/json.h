// A part of the document as JSON, for plugins: a plugin's `config:` and a subscription's `with:`.
//
// Plain scalars get their type from YAML's core schema (YAML 1.2.2, 10.3.2: null, true/false, whole numbers in decimal,
// 0o or 0x, floats); quoted ones are strings, and so is everything with a ${…} in it. A number that JSON or 64 bits
// cannot hold is a fault. Faults never quote a value: any of them may be a secret.
// Thread-safety: one thread at a time.
#pragma once

#include <map>
#include <string>

#include "core/config/reader.h"

namespace postern::config {

// The mapping as JSON text; "{}" for null, or when faulty. `what` names it in faults. With `marks`, the place of
// each value by its JSON pointer (RFC 6901): of a member its key's place, of an item its own. "" is left to the caller.
std::string mapping_to_json(Context& context, const Node& node, const std::string& what,
                            std::map<std::string, Mark>* marks);

}  // namespace postern::config
