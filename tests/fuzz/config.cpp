// gateway.yaml. Input: the file.
//
// Any text gives a configuration or faults, in bounded time and memory; each fault lies inside the file, is one printable line and
// shows no secret. This program has its own read_file() and check_trusted(), which the linker takes in place of the core's: the
// configuration is the input, one secret file exists, and nothing of this machine is read.
#include "core/config/config.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/base/trusted_path.h"
#include "core/config/document.h"
#include "core/config/file.h"
#include "core/http/target.h"
#include "core/ingest/json_body.h"
#include "tests/fuzz/fuzz.h"

namespace {

const std::string kFile = "/etc/postern/gateway.yaml";
const std::string kSecretFile = "/run/secret";
// With what a secret must never do: be YAML, a reference, or a part of a message.
const std::string kSecret = "S3CRET${env:X}: [&a *a";
constexpr std::string_view kNeverTold = "S3CRET";
std::string_view input;

}  // namespace

namespace postern {

Status check_trusted(const std::string&) { return Status::ok(); }

namespace config {

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  if (path == kSecretFile) return kSecret + "\n";
  if (path != kFile) return Status(Code::kNotFound, "does not exist");
  if (input.size() > max_bytes) return Status(Code::kLimit, "is too long");
  return std::string(input);
}

}  // namespace config

namespace fuzz {
namespace {

struct Lines {
  int count = 1;
  int longest = 0;  // in characters
};

Lines lines_of(std::string_view text) {
  Lines out;
  int length = 0;
  for (const char c : text) {
    if (c == '\n') {
      ++out.count;
      length = 0;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      out.longest = std::max(out.longest, ++length);
    }
  }
  return out;
}

void check_faults(const config::Loaded& loaded, std::string_view text) {
  const Lines lines = lines_of(text);
  const bool spells_it = text.find(kNeverTold) != std::string_view::npos;  // libFuzzer learns it from the comparison below
  config::Mark last{0, 0};
  for (const config::Fault& fault : loaded.faults) {
    const std::string told = config::to_text(kFile, fault);
    EXPECT_THAT(fault.mark.line >= 1 && fault.mark.line <= lines.count, told);
    EXPECT_THAT(fault.mark.column >= 1 && fault.mark.column <= lines.longest + 1, told);
    EXPECT_THAT(!(fault.mark < last), told);
    last = fault.mark;
    EXPECT_THAT(!fault.message.empty(), told);
    EXPECT_THAT(spells_it || told.find(kNeverTold) == std::string::npos, told);
    EXPECT_THAT(std::none_of(told.begin(), told.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }), told);
    EXPECT_THAT(http::is_utf8(told), told);
    EXPECT_THAT(told.size() < 2000, told);
  }
}

void check_config(const config::Config& config) {
  EXPECT(!config.listen.empty());
  for (const config::Listen& listen : config.listen) EXPECT(!listen.address.empty());
  EXPECT(config.max_body > 0 && config.max_connections > 0 && config.workers > 0);
  EXPECT(config.policies.retry.factor >= 1 && config.policies.retry.jitter >= 0 && config.policies.retry.jitter <= 1);
  for (const config::Plugin& plugin : config.plugins) EXPECT_THAT(ingest::is_json(plugin.config_json), plugin.config_json);
  for (const config::Subscription& s : config.subscriptions) EXPECT_THAT(ingest::is_json(s.with_json), s.with_json);
}

}  // namespace
}  // namespace fuzz
}  // namespace postern

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern;
  ::setenv("POSTERN_FUZZ", kSecret.c_str(), 1);
  input = std::string_view(reinterpret_cast<const char*>(data), size);
  const config::Loaded loaded = config::load_config(kFile);
  fuzz::check_faults(loaded, input);
  if (loaded.faults.empty()) fuzz::check_config(loaded.config);
  return 0;
}
