// Ways for init to fail; the configuration chooses one.
#include "module.h"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {

postern_status report_faults(postern_instance* self) {
  auto fault = [self](std::string_view pointer, std::string_view text) { self->api->config_fault(self->host, str(pointer), str(text)); };
  fault("/keys/1", "the second key is too short");
  fault("/keys/1/deeper/still", "nobody has been here");
  fault("", "something is wrong altogether");
  fault("/absent", "is required");
  fault("no pointer at all", "odd");
  return POSTERN_OK;
}

postern_status init(postern_instance* self, postern_str config) {
  if (is_case(config, "throws")) throw std::runtime_error("no such account");
  if (is_case(config, "throws_int")) throw 7;
  if (is_case(config, "fails")) return POSTERN_E_TIMEOUT;
  if (is_case(config, "fails_oddly")) return -4711;
  if (is_case(config, "explains")) {
    self->api->set_error(self->host, str("the account is closed"));
    return POSTERN_E_DENIED;
  }
  if (is_case(config, "explains_at_length")) {
    self->api->set_error(self->host, str(std::string(1 << 20, 'x')));
    return POSTERN_E_DENIED;
  }
  if (is_case(config, "explains_with_null")) {
    self->api->set_error(self->host, {nullptr, 0});
    return POSTERN_E_LIMIT;
  }
  if (is_case(config, "faults")) return report_faults(self);
  if (is_case(config, "faults_and_fails")) return report_faults(self), POSTERN_E_INVALID;
  if (is_case(config, "many_faults")) {
    for (int i = 0; i < 10'000; ++i) self->api->config_fault(self->host, {nullptr, 0}, str("again"));
  }
  if (is_case(config, "writes_to_stdout")) {
    [[maybe_unused]] ssize_t n = ::write(STDOUT_FILENO, "hello from init\n", 16);
  }
  if (is_case(config, "exits")) std::exit(0);
  if (is_case(config, "quick_exits")) std::quick_exit(0);
  if (is_case(config, "crashes")) std::abort();
  while (is_case(config, "hangs")) ::pause();
  return POSTERN_OK;
}

}  // namespace

ABI_MODULE(.init = init)
