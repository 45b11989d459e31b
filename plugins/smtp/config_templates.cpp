#include "config_templates.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace smtp {
namespace {

constexpr size_t kMaxTemplates = 200;

// A fault's text, or empty.
std::string read_file(const std::string& path, std::string& content) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::string("cannot be opened: ") + std::strerror(errno);
  struct stat status {};
  const bool file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  content.resize(Template::kMaxSource + 1);  // one more than is allowed shows that there is more
  size_t size = 0;
  ssize_t got = 1;
  while (file && got > 0 && size < content.size()) {
    got = ::read(fd, content.data() + size, content.size() - size);
    if (got > 0) size += static_cast<size_t>(got);
  }
  ::close(fd);
  content.resize(size);
  if (!file) return "is not a file";
  return got < 0 ? "cannot be read" : "";
}

void compile(Section& in, const char* name, TemplateKind kind, std::string_view source, std::optional<Template>& to) {
  try {
    to.emplace(kind, source);
  } catch (const TemplateFault& fault) {
    in.fault_at(name, fault.what());
  }
}

// `text` or `text_file`.
void read_body(Section& in, const char* name, const char* file_name, TemplateKind kind, std::optional<Template>& to) {
  std::string source, path;
  in.read(name, source, Template::kMaxSource);
  in.read(file_name, path, 4096);
  if (!source.empty() && !path.empty()) return in.fault(file_name, std::string("stands beside ") + name + "; one of them is the template");
  if (!source.empty()) compile(in, name, kind, source, to);
  if (path.empty()) return;
  if (const std::string fault = read_file(path, source); !fault.empty()) return in.fault(file_name, fault);
  compile(in, file_name, kind, source, to);
}

void read_one(Section in, MailTemplate& mail) {
  std::string subject;
  in.read("subject", subject, 4096);
  if (!in.has("subject")) in.fault("", "a template needs a subject");
  if (!subject.empty()) compile(in, "subject", TemplateKind::kSubject, subject, mail.subject);
  read_body(in, "text", "text_file", TemplateKind::kText, mail.text);
  read_body(in, "html", "html_file", TemplateKind::kHtml, mail.html);
  if (!in.has("text") && !in.has("html") && !in.has("text_file") && !in.has("html_file"))
    in.fault("", "a template needs text, html, text_file or html_file");
  in.finish();
}

}  // namespace

void read_templates(Section in, std::map<std::string, MailTemplate>& templates) {
  const auto names = in.names();
  if (names.size() > kMaxTemplates) return in.fault("", "there are more than 200 templates");
  for (const std::string& name : names) {
    if (!postern::is_name(name)) {
      in.fault_at(name, "a template's name must be 1 to 64 letters, digits, '_' and '-'");
      continue;
    }
    read_one(in.section(name.c_str()), templates[name]);
  }
}

}  // namespace smtp
