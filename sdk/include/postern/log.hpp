// postern/log.hpp - lines in the gateway's log. Part of plugin.hpp. Threads: any.
#pragma once

#include <string_view>

#include "ext/log.h"
#include "request.hpp"

namespace postern::inline sdk {

// Lines in the gateway's log; nothing where the gateway has no postern.log. Never give it a secret.
class Log {
 public:
  Log() = default;
  explicit Log(const detail::HostTables& tables) : host_(tables.host), table_(tables.log) {}
  void debug(std::string_view text) const { write(POSTERN_LOG_DEBUG, text); }
  void info(std::string_view text) const { write(POSTERN_LOG_INFO, text); }
  void warn(std::string_view text) const { write(POSTERN_LOG_WARN, text); }
  void error(std::string_view text) const { write(POSTERN_LOG_ERROR, text); }

 private:
  void write(uint32_t level, std::string_view text) const {
    if (table_ != nullptr) table_->write(host_, level, to_abi(text));
  }
  postern_host* host_ = nullptr;
  const postern_ext_log* table_ = nullptr;
};

}  // namespace postern::inline sdk
