#include "core/config/document.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace postern::config {

namespace {

// Byte offsets to places: lines from 1, columns in characters from 1.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text), starts_{0} {
    for (size_t i = 0; i < text.size(); ++i)
      if (text[i] == '\n') starts_.push_back(i + 1);
  }

  // Goes on from where it counted last: from a line's start each time, one long line would cost the square of its
  // length.
  Mark mark_at(size_t offset) {
    offset = std::min(offset, text_.size());
    const size_t line = line_of(offset);
    if (counted_ < starts_[line] || counted_ > offset) {
      counted_ = starts_[line];
      column_ = 1;
    }
    for (; counted_ < offset; ++counted_)
      if ((static_cast<unsigned char>(text_[counted_]) & 0xC0) != 0x80) ++column_;
    return {static_cast<int>(line) + 1, column_};
  }

  // The start of the last line before `offset` which is neither blank nor a comment.
  Mark before(size_t offset) {
    for (size_t line = line_of(std::min(offset, text_.size())) + 1; line-- > 0;) {
      const size_t first = text_.find_first_not_of(" \t\r", starts_[line]);
      if (first < offset && first < text_.size() && text_[first] != '\n' && text_[first] != '#') return mark_at(first);
    }
    return {1, 1};
  }

  bool indented_with_tab(int line) const {
    const size_t start = starts_[static_cast<size_t>(line) - 1];
    const std::string_view rest = text_.substr(start);
    return rest.substr(0, rest.find_first_not_of(" \t")).find('\t') != rest.npos;
  }

  std::string_view text() const { return text_; }

 private:
  size_t line_of(size_t offset) const {
    return static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), offset) - starts_.begin()) - 1;
  }

  std::string_view text_;
  std::vector<size_t> starts_;
  size_t counted_ = 0;
  int column_ = 1;  // of counted_
};

// Ends a parse from inside one of yaml-cpp's callbacks; never leaves this file.
struct Refused {
  Mark mark;
  std::string message;
};

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

// Builds the tree, and refuses to go on where a bound is passed, before the memory is spent.
class Builder : public YAML::EventHandler {
 public:
  Builder(Lines& lines, Faults& faults) : lines_(lines), faults_(faults) {}

  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw Refused{place(mark), "a second document; a configuration is one document"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = make(Kind::kNull, mark);
    if (!written_null(mark)) {  // yaml-cpp gives the place of whatever comes next, often lines below
      const bool listed = !stack_.empty() && stack_.back().node->kind == Kind::kSequence;
      if (listed) node->mark = lines_.before(static_cast<size_t>(std::max(mark.pos, 0)));
      if (!stack_.empty() && stack_.back().key) node->mark = stack_.back().key->mark;
    }
    place_node(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = make(Kind::kScalar, mark);
    check_tag(tag, "str", node->mark);
    // The file is UTF-8, but yaml-cpp gives Latin-1 for the escapes \N and \_: a byte that no message and no JSON may carry.
    if (!simdjson::validate_utf8(value.data(), value.size()))
      throw Refused{node->mark, R"(the escapes \N and \_ are not supported; write \u0085 and \u00a0)"};
    node->plain = tag == "?";
    node->text = value;
    node->bytes = value.size();
    charge(0, value.size(), node->mark);
    place_node(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{place(mark), "an alias inside the value that it stands for"};
    const NodePtr target = found->second;
    charge(target->nodes, target->bytes, place(mark));
    if (static_cast<int>(stack_.size()) + target->height > kMaxDepth) throw too_deep(place(mark));
    attach(target);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Kind::kSequence, mark, tag, "seq", anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Kind::kMapping, mark, tag, "map", anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
    NodePtr key;  // of a mapping: read, its value not yet
    std::unordered_map<std::string, Mark> seen;
  };

  static Refused too_deep(Mark mark) { return {mark, fmt::format("nested deeper than {} levels", kMaxDepth)}; }

  Mark place(const YAML::Mark& mark) { return lines_.mark_at(static_cast<size_t>(std::max(mark.pos, 0))); }

  bool written_null(const YAML::Mark& mark) const {
    std::string_view rest = lines_.text().substr(std::min<size_t>(std::max(mark.pos, 0), lines_.text().size()));
    for (const std::string_view word : {"~", "null", "Null", "NULL"}) {
      if (!rest.starts_with(word)) continue;
      rest.remove_prefix(word.size());
      return rest.empty() || std::string_view(" \t\r\n,]}").find(rest[0]) != std::string_view::npos;
    }
    return false;
  }

  void charge(size_t nodes, size_t bytes, Mark mark) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > kMaxNodes) throw Refused{mark, fmt::format("more than {} values, aliases counted", kMaxNodes)};
    if (bytes_ > kMaxExpandedBytes)
      throw Refused{mark, fmt::format("more than {} bytes of values, aliases counted", kMaxExpandedBytes)};
  }

  std::shared_ptr<Node> make(Kind kind, const YAML::Mark& mark) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mark = place(mark);
    charge(1, 0, node->mark);
    return node;
  }

  void check_tag(const std::string& tag, std::string_view own, Mark mark) {
    if (tag.empty() || tag == "?" || tag == "!" || tag == std::string(kTagPrefix).append(own)) return;
    faults_.add(mark, "YAML tags are not supported; quote a value to make it a string");
  }

  void open(Kind kind, const YAML::Mark& mark, const std::string& tag, std::string_view own, YAML::anchor_t anchor) {
    auto node = make(kind, mark);
    check_tag(tag, own, node->mark);
    if (static_cast<int>(stack_.size()) >= kMaxDepth) throw too_deep(node->mark);
    stack_.push_back({std::move(node), anchor, nullptr, {}});
  }

  void close() {
    std::shared_ptr<Node> node = std::move(stack_.back().node);
    const YAML::anchor_t anchor = stack_.back().anchor;
    stack_.pop_back();
    place_node(std::move(node), anchor);
  }

  void place_node(std::shared_ptr<Node> node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    attach(std::move(node));
  }

  void attach(NodePtr node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    Node& parent = *frame.node;
    parent.nodes += node->nodes;
    parent.bytes += node->bytes;
    parent.height = std::max(parent.height, node->height + 1);
    if (parent.kind == Kind::kSequence) {
      parent.items.push_back(std::move(node));
    } else if (!frame.key) {
      frame.key = std::move(node);
    } else {
      add_member(frame, std::move(node));
      frame.key = nullptr;
    }
  }

  void add_member(Frame& frame, NodePtr value) {
    const Node& key = *frame.key;
    if (key.kind != Kind::kScalar) {
      faults_.add(key.mark, "a key must be a text");
      return;
    }
    if (key.text.find('\0') != std::string::npos) {
      faults_.add(key.mark, "a key must not contain NUL");
      return;
    }
    const auto [first, fresh] = frame.seen.emplace(key.text, key.mark);
    if (!fresh) {
      faults_.add(key.mark,
                  fmt::format("duplicate key {}; it is in line {} already", quote(key.text), first->second.line));
      return;
    }
    frame.node->members.push_back({key.text, key.mark, std::move(value)});
  }

  Lines& lines_;
  Faults& faults_;
  std::vector<Frame> stack_;
  std::unordered_map<YAML::anchor_t, NodePtr> anchors_;
  NodePtr root_;
  size_t nodes_ = 0;
  size_t bytes_ = 0;
  int documents_ = 0;
};

// yaml-cpp takes the byte 0x04 for the end of the file, NUL pairs for UTF-16, and replaces what is not UTF-8: a part
// of the file would silently go unread or change. Only text gets through.
bool check_text(Lines& lines, Faults& faults) {
  const std::string_view text = lines.text();
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      faults.add(lines.mark_at(i), fmt::format("control character 0x{:02x}; a configuration is UTF-8 text", c));
      return false;
    }
  }
  if (simdjson::validate_utf8(text.data(), text.size())) return true;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find('\n', start), text.size());
    if (!simdjson::validate_utf8(text.data() + start, end - start)) break;
    start = end + 1;
  }
  faults.add(lines.mark_at(start), "this line is not valid UTF-8");
  return false;
}

}  // namespace

NodePtr parse_document(std::string_view text, Faults& faults) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Lines lines(text);
  if (!check_text(lines, faults)) return nullptr;
  Builder builder(lines, faults);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const Refused& refused) {
    faults.add(refused.mark, refused.message);
    return nullptr;
  } catch (const YAML::Exception& e) {
    const Mark mark = e.mark.is_null() ? Mark{1, 1} : lines.mark_at(static_cast<size_t>(std::max(e.mark.pos, 0)));
    const bool tab = lines.indented_with_tab(mark.line);
    faults.add(mark, "YAML: " + e.msg + (tab ? "; the line is indented with a tab, use spaces" : ""));
    return nullptr;
  }
  if (!builder.root() || builder.root()->kind == Kind::kNull) {
    faults.add({1, 1}, "the file is empty");
    return nullptr;
  }
  return builder.root();
}

}  // namespace postern::config
