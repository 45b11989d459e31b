// Document: the YAML of a configuration file as a small tree in which every key and value knows its place.
//
// yaml-cpp's events are used, not its YAML::Node: a Node forgets duplicate keys, the places of keys and what was
// quoted, and follows aliases without a bound. Parsing never throws; what is wrong is told to the Faults.
// Thread-safety: a parsed tree is constant, so any thread may read it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/faults.h"

namespace postern::config {

enum class Kind { kNull, kScalar, kSequence, kMapping };

struct Node;
using NodePtr = std::shared_ptr<const Node>;  // shared where the file uses an alias

struct Member {
  std::string key;
  Mark mark;  // of the key
  NodePtr value;
};

struct Node {
  Kind kind = Kind::kNull;
  Mark mark;
  bool plain = false;  // a scalar without quotes or tag, whose type is told by its text (YAML 1.2, 10.3.2)
  std::string text;    // of a scalar, as written: references such as ${env:…} are still in it
  std::vector<NodePtr> items;
  std::vector<Member> members;  // in the order of the file; duplicates are told and left out

  // With everything below, aliases followed.
  size_t nodes = 1;
  size_t bytes = 0;
  int height = 1;
};

// Bounds of one file. Aliases are counted each time they are used ("billion laughs").
constexpr size_t kMaxFileBytes = 1 << 20;
constexpr int kMaxDepth = 64;
constexpr size_t kMaxNodes = 100000;
constexpr size_t kMaxExpandedBytes = 16 << 20;

// The file's one document. Null when it cannot be used at all: a syntax error, a bound passed, nothing in it.
NodePtr parse_document(std::string_view text, Faults& faults);

}  // namespace postern::config
