// Config: the plugin's `config:`, checked. Every fault is reported, with its place. Thread-safety: plain values.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <postern/section.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "address.h"
#include "alerts.h"
#include "digest.h"
#include "server.h"
#include "templates.h"

namespace smtp {

using postern::ReportFault;
using postern::Section;

// What a mail is made of by name; `subject` and one of the others are there.
struct MailTemplate {
  std::optional<Template> subject, text, html;
};

struct HealthOptions {
  bool connect = true;
  std::chrono::milliseconds every{5 * 60'000};
};

// Mail events that SendGrid posts.
struct SendgridOptions {
  std::vector<std::string> public_keys;  // none: there is no such route
  std::chrono::milliseconds tolerance{5 * 60'000};
};

struct Config {
  Server server;
  Mailbox from;
  std::optional<Mailbox> reply_to;
  HealthOptions health;
  std::vector<std::string> api_tokens;  // of POST /api/v1/email/send; none: there is no such route
  SendgridOptions sendgrid;
  std::map<std::string, MailTemplate> templates;
  AlertOptions alerts;
  DigestOptions digest;
  std::chrono::milliseconds keep{std::chrono::days(30)};  // the records of mails
};

// Reads template files, so that a bad one is a fault like others.
Config read_config(std::string_view json, const ReportFault& report);

}  // namespace smtp
