// StoredObject: a record of ours, read with its version and written with it; written only when something changed, so
// that an event that comes twice leaves no trace. It is kept as the JSON text of each field: most fields are only
// compared, replaced and written again. Thread-safety: belongs to the handler that made it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace openphone {

class StoredObject {
 public:
  // All three must outlive it.
  StoredObject(postern::Delivery& delivery, std::string_view collection, std::string_view key);

  void save();

  // A field's JSON text; "" without the field. Valid until the next change, as all views.
  std::string_view json(std::string_view field) const;
  // What is between the quotation marks; "" when the field is no string. Escapes are left as they are: times and
  // states, which we read again, have none.
  std::string_view text(std::string_view field) const;
  std::optional<uint64_t> count(std::string_view field) const;
  nlohmann::json parsed(std::string_view field) const;  // null without the field

  void set(std::string_view field, std::string json);
  // Sets a field that the event gives: over an older value only when `newer`.
  void merge(std::string_view field, std::string json, bool newer);

 private:
  struct Field {
    std::string name, json;
  };

  void read(const std::string& record);
  std::vector<Field>::const_iterator place_of(std::string_view field) const;
  std::string written() const;

  postern::Delivery& delivery_;
  std::string_view collection_, key_;
  uint64_t version_ = 0;
  std::vector<Field> fields_;  // by name
  std::string before_;
};

}  // namespace openphone
