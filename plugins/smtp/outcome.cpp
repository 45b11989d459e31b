#include "outcome.h"

#include <algorithm>

namespace smtp {
namespace {

struct Verdict {
  Class result;
  int code = 0;
  std::string text;
};

Verdict from_reply(const Reply& reply, Step step, const Cleaner& clean) {
  return {class_of(reply.code, step), reply.code, std::string(name_of(step)) + ": " + std::to_string(reply.code) + " " + clean(reply.text)};
}

bool is_certificate_fault(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR ||
         code == CURLE_SSL_INVALIDCERTSTATUS || code == CURLE_SSL_CERTPROBLEM;
}

Verdict from_curl(const Dialogue& dialogue, const Ending& ending, const Cleaner& clean) {
  const std::string detail = ending.curl_text.empty() ? curl_easy_strerror(ending.code) : clean(ending.curl_text);
  const std::string where = std::string(" (at ") + name_of(dialogue.step()) + ")";
  if (is_certificate_fault(ending.code)) return {Class::kTls, 0, "the server's certificate is not accepted; check host and ca_file: " + detail};
  if (ending.code == CURLE_USE_SSL_FAILED) return {Class::kTls, 0, "the server offers no STARTTLS; nothing is sent in clear"};
  if (ending.code == CURLE_LOGIN_DENIED) return {Class::kAuth, 0, "the server offers none of the allowed AUTH mechanisms"};
  if (ending.code == CURLE_WEIRD_SERVER_REPLY && dialogue.step() == Step::kStartTls) {
    return {Class::kTls, 0, "the server sent bytes in clear behind its answer to STARTTLS, as somebody between would"};
  }
  if (ending.code == CURLE_OPERATION_TIMEDOUT) return {Class::kTransient, 0, "the server does not answer in time" + where};
  return {Class::kTransient, 0, "the connection failed" + where + ": " + detail};
}

// What can be said of the mail as a whole, and of every recipient that got no answer of its own.
Verdict judge_all(const Dialogue& dialogue, const Ending& ending, const Cleaner& clean) {
  const Reply& final = dialogue.final_reply();
  if (final.code != 0) return from_reply(final, dialogue.body_sent() ? Step::kEnd : Step::kCommand, clean);
  if (dialogue.body_sent()) {
    return {Class::kAmbiguous, 0, "the connection was lost after the mail was sent, before the server said that it has it: it may arrive twice"};
  }
  switch (dialogue.objection()) {
    case Dialogue::Objection::kEndless: return {Class::kTransient, 0, std::string("the server's reply does not end: ") + name_of(dialogue.step())};
    case Dialogue::Objection::kNoAuth: return {Class::kAuth, 0, "the server offers no AUTH, though a user is configured"};
    case Dialogue::Objection::kNoSmtpUtf8: return {Class::kPermanent, 0, "the server takes no addresses beyond ASCII: it lacks SMTPUTF8"};
    case Dialogue::Objection::kNone: break;
  }
  if (ending.stop == Stop::kDeadline) return {Class::kTransient, 0, std::string("not sent before its deadline; the server was silent at ") + name_of(dialogue.step())};
  if (ending.stop == Stop::kClosing) return {Class::kTransient, 0, "not sent: the gateway is being stopped"};
  if (is_certificate_fault(ending.code)) return from_curl(dialogue, ending, clean);
  const Reply& last = dialogue.reply();
  if (!last.negative()) return from_curl(dialogue, ending, clean);
  Verdict verdict = from_reply(last, dialogue.step(), clean);
  if (verdict.result == Class::kPermanent && dialogue.step() == Step::kAuth) verdict.result = Class::kAuth;
  if (verdict.result == Class::kPermanent && dialogue.step() == Step::kStartTls) verdict.result = Class::kTls;
  return verdict;
}

// All were refused: there is hope when there is for one.
void sum_up(Outcome& outcome) {
  if (outcome.recipients.empty() || outcome.result == Class::kDone) return;
  const bool all_the_same = std::all_of(outcome.recipients.begin(), outcome.recipients.end(), [&](const auto& one) { return one.result == outcome.result; });
  if (all_the_same || outcome.result != Class::kPermanent) return;
  const auto hope = std::find_if(outcome.recipients.begin(), outcome.recipients.end(), [](const auto& one) { return one.result != Class::kPermanent; });
  if (hope == outcome.recipients.end()) return;
  outcome.result = hope->result;
  outcome.code = hope->code;
  outcome.text = hope->text;
}

}  // namespace

const char* name_of(Class c) {
  switch (c) {
    case Class::kDone: return "done";
    case Class::kTransient: return "transient";
    case Class::kPermanent: return "permanent";
    case Class::kAuth: return "auth";
    case Class::kTls: return "tls";
    case Class::kAmbiguous: return "ambiguous";
  }
  return "";
}

Class class_of(int code, Step step) {
  if (code >= 200 && code < 300) return Class::kDone;
  if (code == 552 && step == Step::kRcpt) return Class::kTransient;
  if (code == 530 || code == 534 || code == 535 || code == 538) return Class::kAuth;
  return code >= 500 && code < 600 ? Class::kPermanent : Class::kTransient;
}

Outcome judge(const Dialogue& dialogue, const Ending& ending, const std::vector<std::string>& recipients, const Cleaner& clean) {
  Verdict all = judge_all(dialogue, ending, clean);
  Outcome outcome{all.result, all.code, all.text, {}};
  for (size_t i = 0; i < recipients.size(); ++i) {
    RecipientOutcome one{recipients[i], all.result, all.code, all.text};
    const Reply reply = i < dialogue.recipients().size() ? dialogue.recipients()[i] : Reply();
    if (reply.negative()) {
      Verdict refused = from_reply(reply, Step::kRcpt, clean);
      one = {recipients[i], refused.result, refused.code, std::move(refused.text)};
    } else if (reply.code == 0 && (all.result == Class::kDone || dialogue.body_sent())) {
      one = {recipients[i], Class::kTransient, 0, "the server was not asked for this recipient"};
    }
    outcome.recipients.push_back(std::move(one));
  }
  sum_up(outcome);
  return outcome;
}

Outcome same_for_all(Class result, std::string text, const std::vector<std::string>& recipients) {
  Outcome outcome{result, 0, std::move(text), {}};
  for (const std::string& address : recipients) outcome.recipients.push_back({address, result, 0, outcome.text});
  return outcome;
}

}  // namespace smtp
