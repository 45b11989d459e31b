// Inbound: what a provider tells of mails. A request to /api/v1/webhooks/email carries a list; it is stored as it came ("NAME.inbound"), and
// its handler publishes each entry as an event of its own ("email.bounced"), which the provider's id of the entry makes known when it comes
// again, in whatever request. The handler is done when all of them are durable; until then it comes again, and those that are there already
// are duplicates. So each entry becomes one event, however often it is sent.
//
// Those of our own mails enter the mail's record (mail_events.h).
//
// Thread-safety: any thread.
#pragma once

#include <postern/plugin.hpp>

#include "config.h"

namespace smtp {

class Inbound {
 public:
  static constexpr size_t kMaxEntries = 20'000;  // of a request; one of 1 MiB has 5,000 at most
  static constexpr size_t kAtOnce = 250;         // events on their way to the store; a plugin may have 10,000

  explicit Inbound(const Config& config) : config_(config) {}
  // In init. Without a key there is no route, but what was stored before is handled still.
  void init(postern::Setup& setup);

  // Whether the delivery is of an event about a mail that was a notification of such an event itself: who mails that as well never ends.
  static bool is_about_a_notification(postern::Delivery& delivery);

 private:
  class Batch;
  void add_route(postern::Setup& setup);
  postern::Outcome take(postern::Delivery& delivery) const;
  static void enter(postern::Delivery& delivery);

  const Config& config_;
  postern::Publisher publisher_;
  postern::Log log_;
};

}  // namespace smtp
