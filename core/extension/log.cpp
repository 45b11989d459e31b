// postern.log/1
#include <postern/ext/log.h>

#include "core/base/log.h"
#include "core/extension/convert.h"
#include "core/extension/table.h"

namespace postern::extension {
namespace {

constexpr size_t kMaxLine = 8 * 1024;

void write(postern_host* host, uint32_t level, postern_str text) {
  contained([&]() -> postern_status {
    auto ours = postern::log::Level::kError;
    if (level == POSTERN_LOG_DEBUG) ours = postern::log::Level::kDebug;
    if (level == POSTERN_LOG_INFO) ours = postern::log::Level::kInfo;
    if (level == POSTERN_LOG_WARN) ours = postern::log::Level::kWarn;
    postern::log::PluginScope scope(host->name);  // a thread of the plugin's own has none yet
    postern::log::write(ours, view(text).substr(0, kMaxLine));
    return POSTERN_OK;
  });
}

}  // namespace

const void* log() {
  static const postern_ext_log table{write};
  return &table;
}

}  // namespace postern::extension
