// The parts of a mail as GMime's objects: texts, attachments, and what holds them together.
// Errors: throws Refused, and std::runtime_error for a file that cannot be read. Thread-safety: pure functions.
#pragma once

#include <gmime/gmime.h>

#include <cstdint>
#include <string_view>

#include "gobject.h"
#include "message.h"

namespace smtp {

// `subtype`: "plain" or "html". Quoted-printable in which no line begins with a dot, or base64 where that is shorter.
Ref<GMimeObject> text_part(const char* subtype, std::string_view text);

// `field` is what errors name: "attachments[0]". `size` becomes that of its content, of which at most `most` bytes may be.
Ref<GMimeObject> attached_part(std::string_view field, const Attachment& attachment, uint64_t most, uint64_t& size);

// multipart/SUBTYPE; takes the references.
Ref<GMimeMultipart> multipart(const char* subtype);
void add(GMimeMultipart* to, Ref<GMimeObject> part);

// A header as header_text.h writes it.
void set_raw_header(GMimeObject* object, const char* name, const std::string& raw);

}  // namespace smtp
