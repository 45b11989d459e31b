// What events do: the records `messages`, `calls` and `contacts`, and the follow-on event NAME.opt_out.
//
// Every change is a read-change-write with the version that was read, and depends only on ids and on the events' own
// times: delivered twice, or in any order, the same events leave the same records. Thread-safety: any number of workers
// at once. Errors: throws postern::Dead for a body that is of no known shape.
#pragma once

#include <postern/plugin.hpp>

namespace openphone {

void handle_message(postern::Delivery& delivery);
void handle_call(postern::Delivery& delivery);

}  // namespace openphone
