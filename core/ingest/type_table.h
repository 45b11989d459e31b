// TypeTable: the types of events that somebody declared: as a handler's or subscription's type, or as a route's constant one. Metrics name
// types only by these, since what a request calls its type is input: everything else is "other".
//
// A declared glob is a type itself: "acme.order.*" stands for all that match it and are not declared more closely.
// A number means the same type as long as the process lives: the table of a later configuration begins with the names of the one before.
// Thread-safety: any thread after the last add.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace postern::ingest {

class TypeTable {
 public:
  using Id = uint32_t;
  static constexpr Id kOther = 0;
  static constexpr size_t kMaxTypes = 500;  // declared beyond it: "other"

  TypeTable();
  // Before the first add: numbers that the names have in `before` are theirs here, too.
  void continue_from(const TypeTable& before);

  // Of a plugin's own handlers or routes, with or without "provider." before it.
  void add(std::string_view provider, std::string_view glob);
  // Of a subscription: any provider's, written whole.
  void add_subscription(std::string_view glob);

  // What it is declared as, most closely. No lock, and no memory is taken.
  Id match(std::string_view provider, std::string_view type) const;

  size_t size() const { return declared_.size(); }
  const std::string& name(Id id) const { return declared_[id].name; }
  // Whose it is; empty for kOther and subscriptions'.
  const std::string& provider(Id id) const { return declared_[id].provider; }

 private:
  struct Declared {
    std::string name, provider;
  };
  struct Glob {
    std::string provider, text;  // provider empty: any
    Id id;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  Id declare(std::string name, std::string_view provider);
  void add_glob(Glob glob);

  std::vector<Declared> declared_;
  std::unordered_map<std::string, Id, Hash, std::equal_to<>> exact_;
  std::vector<Glob> globs_;  // the longest first
};

}  // namespace postern::ingest
