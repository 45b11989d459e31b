#include "core/plugin/elf_check.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace postern::plugin {
namespace {

// A file's bytes, each access checked against its end: the file may be cut off or made to mislead.
class Image {
 public:
  explicit Image(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  bool read(uint64_t at, T& out) const {
    if (at > bytes_.size() || bytes_.size() - at < sizeof(T)) return false;
    std::memcpy(&out, bytes_.data() + at, sizeof(T));
    return true;
  }
  bool has(uint64_t at, uint64_t size) const { return at <= bytes_.size() && size <= bytes_.size() - at; }
  std::string_view text(uint64_t at) const {
    if (at >= bytes_.size()) return {};
    std::string_view rest = bytes_.substr(at);
    return rest.substr(0, rest.find('\0'));
  }

 private:
  std::string_view bytes_;
};

Status check_symbols(const Image& image, const Elf64_Shdr& table, const Elf64_Shdr& names) {
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    if (!image.read(table.sh_offset + at, symbol)) return {Code::kInvalid, "the file is cut off or damaged"};
    if (ELF64_ST_BIND(symbol.st_info) == STB_GNU_UNIQUE) {
      return {Code::kInvalid, "has the unique symbol " + std::string(image.text(names.sh_offset + symbol.st_name)) +
                                  ", which plugins would share; build it with postern_add_plugin() (-fno-gnu-unique)"};
    }
  }
  return Status::ok();
}

Status check_image(const Image& image) {
  Status damaged(Code::kInvalid, "is not a shared library for this machine, or is damaged");
  Elf64_Ehdr header;
  if (!image.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_type != ET_DYN || header.e_shentsize != sizeof(Elf64_Shdr)) {
    return damaged;
  }
  // The table of sections comes last: a file that was cut off has lost some of it.
  if (!image.has(header.e_shoff, uint64_t{header.e_shnum} * sizeof(Elf64_Shdr))) return damaged;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section, names;
    if (!image.read(header.e_shoff + i * sizeof section, section)) return damaged;
    if (section.sh_type != SHT_DYNSYM) continue;
    if (section.sh_link >= header.e_shnum || !image.read(header.e_shoff + section.sh_link * sizeof names, names)) return damaged;
    return check_symbols(image, section, names);
  }
  return damaged;
}

}  // namespace

Status check_elf(std::string_view bytes) { return check_image(Image(bytes)); }

}  // namespace postern::plugin
