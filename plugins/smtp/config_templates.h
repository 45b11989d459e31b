// `templates:` of the configuration: {NAME: {subject, text, html}}, or text_file and html_file. Thread-safety: one thread.
#pragma once

#include <map>
#include <string>

#include "config.h"

namespace smtp {

void read_templates(Section in, std::map<std::string, MailTemplate>& templates);

}  // namespace smtp
