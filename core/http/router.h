// Router: method and path → what was registered for them. Templates match whole segments:
// "/api/calls/{call_id}/webhook". A literal segment is preferred to a parameter, so "/api/calls/latest" is not taken by
// "/api/calls/{call_id}".
// Thread-safety: build first, then const access from any thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace postern::http {

using PathParameters = std::vector<std::pair<std::string, std::string>>;

class Router {
 public:
  using Id = size_t;  // chosen by the caller

  struct Match {
    enum class Kind { kFound, kNoPath, kNoMethod, kBadPath };
    Kind kind = Kind::kNoPath;
    Id id = 0;
    PathParameters parameters;
    std::string allow;  // for kNoMethod: "GET, POST"
  };

  // Refuses malformed templates, and a second route for the same method and path (parameter names don't tell paths
  // apart).
  Status add(std::string_view method, std::string_view path_template, Id id);

  // `path` raw, as in the target.
  Match match(std::string_view method, std::string_view path) const;

 private:
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    struct Leaf {
      Id id;
      std::vector<std::string> names;  // of the parameters, in order
    };
    std::map<std::string, Leaf, std::less<>> methods;
  };
  const Node* find(const Node& node, const std::vector<std::string>& segments, size_t at,
                   std::vector<std::string>& values) const;

  Node root_;
  // Routes without parameters, by path and method: most requests name one of them as it is written.
  std::map<std::string, std::map<std::string, Id, std::less<>>, std::less<>> plain_;
};

}  // namespace postern::http
