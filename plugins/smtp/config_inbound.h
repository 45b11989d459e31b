// `inbound:` of the configuration: {sendgrid: {public_keys, tolerance}}. Thread-safety: one thread.
#pragma once

#include "config.h"

namespace smtp {

void read_inbound(Section in, SendgridOptions& sendgrid);

}  // namespace smtp
