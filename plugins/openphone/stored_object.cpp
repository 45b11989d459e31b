#include "stored_object.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <new>

#include "json_text.h"

namespace openphone {

constexpr size_t kUsualFields = 16;

StoredObject::StoredObject(postern::Delivery& delivery, std::string_view collection, std::string_view key)
    : delivery_(delivery), collection_(collection), key_(key) {
  postern::Record record = delivery_.get(collection_, key_);
  version_ = record.version;
  fields_.reserve(kUsualFields);
  if (record) read(record.json);
  before_ = written();
}

// What is no object is damaged, and written anew.
void StoredObject::read(const std::string& record) {
  simdjson::dom::parser parser;
  simdjson::dom::object stored;
  auto error = parser.parse(record).get(stored);
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  if (error) return;
  for (auto [name, value] : stored) {
    std::string_view text;
    set(name, value.get(text) ? simdjson::minify(value) : in_quotes(text));
  }
}

void StoredObject::save() {
  std::string now = written();
  if (now != before_) delivery_.put(collection_, key_, now, version_);
}

std::string StoredObject::written() const {
  size_t size = 2;
  for (const Field& field : fields_) size += field.name.size() + field.json.size() + 4;
  std::string out = "{";
  out.reserve(size);
  for (const Field& field : fields_) {
    if (out.size() > 1) out += ',';
    append_quoted(out, field.name);
    (out += ':') += field.json;
  }
  return out += '}';
}

std::vector<StoredObject::Field>::const_iterator StoredObject::place_of(std::string_view field) const {
  return std::lower_bound(fields_.begin(), fields_.end(), field,
                          [](const Field& one, std::string_view name) { return one.name < name; });
}

std::string_view StoredObject::json(std::string_view field) const {
  auto found = place_of(field);
  return found != fields_.end() && found->name == field ? std::string_view(found->json) : std::string_view();
}

std::string_view StoredObject::text(std::string_view field) const {
  std::string_view written = json(field);
  return written.starts_with('"') ? written.substr(1, written.size() - 2) : std::string_view();
}

std::optional<uint64_t> StoredObject::count(std::string_view field) const {
  std::string_view written = json(field);
  uint64_t number = 0;
  auto read = std::from_chars(written.data(), written.data() + written.size(), number);
  bool whole = read.ec == std::errc() && read.ptr == written.data() + written.size();
  return whole ? std::optional(number) : std::nullopt;
}

nlohmann::json StoredObject::parsed(std::string_view field) const {
  std::string_view written = json(field);
  return written.empty() ? nlohmann::json() : nlohmann::json::parse(written);
}

void StoredObject::set(std::string_view field, std::string json) {
  auto place = fields_.begin() + (place_of(field) - fields_.cbegin());
  if (place != fields_.end() && place->name == field) {
    place->json = std::move(json);
  } else {
    fields_.insert(place, {std::string(field), std::move(json)});
  }
}

void StoredObject::merge(std::string_view field, std::string json, bool newer) {
  if (!json.empty() && (newer || this->json(field).empty())) set(field, std::move(json));
}

}  // namespace openphone
