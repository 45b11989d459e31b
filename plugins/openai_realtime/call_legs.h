// The two ends of a call, as the gateway knows them. Only call_*.cpp include this.
#pragma once

#include "call.h"

namespace openai_realtime {

class Call::CallerLeg final : public postern::SessionHandler {
 public:
  explicit CallerLeg(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  void opened(postern::Session& session) override { call_->on_caller_opened(session); }
  void message(postern::Session&, postern::MessageKind kind, std::string_view data) override { call_->on_caller_message(kind, data); }
  void writable(postern::Session&) override { call_->on_caller_writable(); }
  void timer(postern::Session&) override { call_->on_alarm(); }
  void woken(postern::Session&) override { call_->dialogue_.on_woken(); }
  void ended(postern::Session&, const postern::SessionEnd& end) override { call_->on_caller_ended(end); }

 private:
  const std::shared_ptr<Call> call_;
};

// `number` tells the session in use from one that was before, or comes next.
class Call::ModelLeg final : public postern::SessionHandler {
 public:
  ModelLeg(std::shared_ptr<Call> call, uint64_t number) : call_(std::move(call)), number_(number) {}
  void opened(postern::Session& session) override { call_->on_model_opened(number_, session); }
  void message(postern::Session&, postern::MessageKind kind, std::string_view data) override { call_->on_model_message(number_, kind, data); }
  void ended(postern::Session&, const postern::SessionEnd& end) override { call_->on_model_ended(number_, end); }

 private:
  const std::shared_ptr<Call> call_;
  const uint64_t number_;
};

}  // namespace openai_realtime
