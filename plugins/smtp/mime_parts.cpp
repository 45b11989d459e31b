#include "mime_parts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "header_text.h"
#include "refused.h"

namespace smtp {
namespace {

constexpr size_t kMaxFileName = 255, kMaxContentType = 200, kMaxContentId = 200;

[[noreturn]] void refuse(std::string_view field, std::string_view name, std::string_view why) {
  throw Refused(std::string(field) + "." + std::string(name) + ": " + std::string(why));
}

// Line ends as in RFC 2046, 4.1.1, whatever they were: CR LF, LF or CR.
std::string with_line_ends(std::string_view text, std::string_view line_end) {
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      out += text[i];
      continue;
    }
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    out += line_end;
  }
  return out;
}

// "=2E=" and a soft line break for each dot at the beginning of a line: so no line gets longer than the encoder made it.
std::string without_leading_dots(std::string_view encoded) {
  std::string out;
  out.reserve(encoded.size());
  bool at_begin = true;
  for (char c : encoded) {
    if (at_begin && c == '.') {
      out += "=2E=\n";
    } else {
      out += c;
      at_begin = c == '\n';
    }
  }
  return out;
}

std::string quoted_printable(std::string_view text) {
  GMimeEncoding state;
  g_mime_encoding_init_encode(&state, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
  std::string out(g_mime_encoding_outlen(&state, text.size()), '\0');
  out.resize(g_mime_encoding_flush(&state, text.data(), text.size(), out.data()));
  return without_leading_dots(out);
}

bool mostly_beyond_ascii(std::string_view text) {
  const auto beyond = std::count_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  return static_cast<size_t>(beyond) * 6 > text.size();  // each takes three characters, and base64 a third more
}

// `encoded`: how the bytes are encoded already.
void set_content(GMimePart* part, GMimeStream* stream, GMimeContentEncoding encoded, GMimeContentEncoding wanted) {
  const Ref<GMimeDataWrapper> content(g_mime_data_wrapper_new_with_stream(stream, encoded));
  g_mime_part_set_content(part, content.get());
  g_mime_part_set_content_encoding(part, wanted);
}

Ref<GMimeStream> stream_of(std::string_view bytes) { return Ref<GMimeStream>(g_mime_stream_mem_new_with_buffer(bytes.data(), bytes.size())); }

// The file as long as it is now; it may grow while it is read.
Ref<GMimeStream> open_file(std::string_view field, const std::string& path, uint64_t& size) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw std::runtime_error(std::string(field) + ".path: the file cannot be opened: " + std::strerror(errno));
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    refuse(field, "path", "it is not a file");
  }
  size = static_cast<uint64_t>(status.st_size);
  return Ref<GMimeStream>(g_mime_stream_fs_new_with_bounds(fd, 0, static_cast<gint64>(size)));
}

Ref<GMimeContentType> content_type_of(std::string_view field, const std::string& text) {
  check_line(std::string(field) + ".content_type", text);
  const std::string given = text.empty() ? "application/octet-stream" : text;
  const bool ascii = std::all_of(given.begin(), given.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  const size_t slash = given.find('/');
  if (!ascii || slash == 0 || slash == std::string::npos || slash + 1 == given.size() || given.size() > kMaxContentType) {
    refuse(field, "content_type", "it must be of the form image/png");
  }
  Ref<GMimeContentType> type(g_mime_content_type_parse(nullptr, given.c_str()));
  const bool holds_parts = g_mime_content_type_is_type(type.get(), "multipart", "*") || g_mime_content_type_is_type(type.get(), "message", "*");
  if (holds_parts) refuse(field, "content_type", "such a part cannot be attached; use application/octet-stream");
  return type;
}

void check_content_id(std::string_view field, std::string_view id) {
  const bool fits = id.size() <= kMaxContentId && std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f && c != '<' && c != '>'; });
  if (!fits) refuse(field, "content_id", "it must be 1 to 200 ASCII characters without blanks, '<' and '>'");
}

}  // namespace

Ref<GMimeObject> text_part(const char* subtype, std::string_view text) {
  Ref<GMimePart> part(g_mime_part_new_with_type("text", subtype));
  g_mime_object_set_content_type_parameter(GMIME_OBJECT(part.get()), "charset", "utf-8");
  if (mostly_beyond_ascii(text)) {
    set_content(part.get(), stream_of(with_line_ends(text, "\r\n")).get(), GMIME_CONTENT_ENCODING_DEFAULT, GMIME_CONTENT_ENCODING_BASE64);
  } else {
    const std::string encoded = quoted_printable(with_line_ends(text, "\n"));
    set_content(part.get(), stream_of(encoded).get(), GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
  }
  return Ref<GMimeObject>(GMIME_OBJECT(part.release()));
}

Ref<GMimeObject> attached_part(std::string_view field, const Attachment& attachment, uint64_t most, uint64_t& size) {
  check_line(std::string(field) + ".file_name", attachment.file_name);
  if (attachment.file_name.size() > kMaxFileName) refuse(field, "file_name", "it has more than 255 bytes");
  const Ref<GMimeContentType> type = content_type_of(field, attachment.content_type);
  check_content_id(field, attachment.content_id);
  if (!attachment.bytes.empty() && !attachment.path.empty()) refuse(field, "path", "an attachment is made of bytes or of a file, not of both");
  size = attachment.bytes.size();
  const Ref<GMimeStream> stream = attachment.path.empty() ? stream_of(attachment.bytes) : open_file(field, attachment.path, size);
  if (size > most) throw Refused(std::string(field) + ": the mail gets too large; all its parts may have " + std::to_string(Message::kMaxContent >> 20) + " MiB");

  Ref<GMimePart> part(g_mime_part_new());
  GMimeObject* object = GMIME_OBJECT(part.get());
  g_mime_object_set_content_type(object, type.get());
  set_content(part.get(), stream.get(), GMIME_CONTENT_ENCODING_DEFAULT, GMIME_CONTENT_ENCODING_BASE64);
  set_raw_header(object, "Content-Disposition", disposition(attachment.content_id.empty() ? "attachment" : "inline", attachment.file_name));
  if (!attachment.content_id.empty()) g_mime_part_set_content_id(part.get(), attachment.content_id.c_str());
  return Ref<GMimeObject>(GMIME_OBJECT(part.release()));
}

Ref<GMimeMultipart> multipart(const char* subtype) { return Ref<GMimeMultipart>(g_mime_multipart_new_with_subtype(subtype)); }

void add(GMimeMultipart* to, Ref<GMimeObject> part) { g_mime_multipart_add(to, part.get()); }

void set_raw_header(GMimeObject* object, const char* name, const std::string& raw) {
  GMimeHeaderList* list = g_mime_object_get_header_list(object);
  g_mime_header_list_append(list, name, "", nullptr);
  g_mime_header_set_raw_value(g_mime_header_list_get_header_at(list, g_mime_header_list_get_count(list) - 1), raw.c_str());
}

}  // namespace smtp
