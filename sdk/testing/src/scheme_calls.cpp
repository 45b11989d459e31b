// The functions of a scheme, called as the gateway, `postern verify` and `postern send` call them.
#include <chrono>
#include <deque>

#include "host_state.h"

namespace postern::testing {
namespace {

int64_t or_now(int64_t now_ms) {
  if (now_ms != 0) return now_ms;
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// With the mutex held: the scheme's declaration when it is one of functions; null otherwise.
const SchemeDeclaration* find(const HostState& host, std::string_view name) {
  for (const SchemeDeclaration& scheme : host.schemes) {
    if (scheme.name == name && scheme.functions) return &scheme;
  }
  return nullptr;
}

size_t count_header(const Request& request, std::string_view name) {
  size_t count = 0;
  for (const auto& [key, value] : request.headers) count += same_name(key, name) ? 1 : 0;
  return count;
}

// With the mutex held. Short secrets are part of other words by chance, and not looked for.
void note_shown_secrets(HostState& host, const std::vector<std::string>& secrets, std::string_view text) {
  for (const std::string& secret : secrets) {
    if (secret.size() >= 8 && text.find(secret) != std::string_view::npos) host.misuses.push_back("a secret was shown");
  }
}

// With the mutex held.
template <typename Ended>
void forget_old(std::deque<Ended>& kept, bool (*has_ended)(const Ended&)) {
  constexpr size_t kKept = 1000;
  while (kept.size() > kKept && has_ended(kept.front())) kept.pop_front();
}
void forget_old_calls(HostState& host) {
  forget_old<RequestView>(host.requests, [](const RequestView& view) { return view.ended == "after verify" || view.ended == "after sign"; });
  forget_old<ExplainState>(host.explains, [](const ExplainState& state) { return state.ended; });
  forget_old<SigningState>(host.signings, [](const SigningState& state) { return state.ended; });
}

}  // namespace

void explain(postern_explain* handle, postern_str line) {
  if (handle == nullptr) return;
  ExplainState& state = *reinterpret_cast<ExplainState*>(handle);
  std::lock_guard lock(state.host->mutex);
  if (state.ended) {
    state.host->misuses.push_back("explain() after verify");
  } else {
    state.lines.push_back(to_string(line));
  }
}

postern_status add_header(postern_signing* handle, postern_str name, postern_str value) {
  SigningState& state = *reinterpret_cast<SigningState*>(handle);
  std::lock_guard lock(state.host->mutex);
  if (state.ended) {
    state.host->misuses.push_back("add_header() after sign");
    return POSTERN_E_GONE;
  }
  if (!is_header(to_view(name), to_view(value))) return POSTERN_E_INVALID;
  state.headers.emplace_back(to_string(name), to_string(value));
  return POSTERN_OK;
}

Verified FakeHost::verify(std::string_view name, const Request& request, std::optional<std::vector<std::string>> secrets,
                          int64_t now_ms, bool explained) {
  HostState& s = *state_;
  postern_scheme_functions functions{};
  RequestView* view = nullptr;
  ExplainState* lines = nullptr;
  {
    std::lock_guard lock(s.mutex);
    const SchemeDeclaration* scheme = find(s, name);
    if (s.instance == nullptr) return {POSTERN_E_STATE, {}, "the plugin does not run"};
    if (scheme == nullptr) return {POSTERN_E_NOT_FOUND, {}, "no scheme of functions is named " + std::string(name)};
    if (count_header(request, scheme->header) != 1) {
      return {POSTERN_E_DENIED, {}, "the request has not exactly one header " + scheme->header};
    }
    if (!secrets) secrets = scheme->secrets;
    functions = s.scheme_functions.at(scheme->name);
    forget_old_calls(s);
    view = &s.view_of(with_urls(s, request));
    lines = &s.explains.emplace_back(ExplainState{&s, {}, false});
    s.take_error();
  }
  std::vector<postern_str> borrowed;
  for (const std::string& secret : *secrets) borrowed.push_back(to_abi(secret));
  postern_status status =
      functions.verify(s.instance, functions.user, reinterpret_cast<const postern_request*>(view), or_now(now_ms),
                       borrowed.data(), borrowed.size(), explained ? reinterpret_cast<postern_explain*>(lines) : nullptr);
  std::lock_guard lock(s.mutex);
  view->ended = "after verify";
  lines->ended = true;
  Verified verified{status, lines->lines, s.take_error()};
  if (status > 0) s.misuses.push_back("verify returned neither POSTERN_OK nor a failure");
  for (const std::string& line : verified.lines) note_shown_secrets(s, *secrets, line);
  note_shown_secrets(s, *secrets, verified.error);
  return verified;
}

Signed FakeHost::sign(std::string_view name, const Request& request, int64_t now_ms) {
  HostState& s = *state_;
  postern_scheme_functions functions{};
  RequestView* view = nullptr;
  SigningState* signing = nullptr;
  std::string secret;
  {
    std::lock_guard lock(s.mutex);
    const SchemeDeclaration* scheme = find(s, name);
    if (s.instance == nullptr) return {POSTERN_E_STATE, {}, "the plugin does not run"};
    if (scheme == nullptr) return {POSTERN_E_NOT_FOUND, {}, "no scheme of functions is named " + std::string(name)};
    if (!scheme->can_sign) return {POSTERN_E_UNSUPPORTED, {}, "the scheme cannot sign"};
    secret = scheme->secrets.front();
    functions = s.scheme_functions.at(scheme->name);
    forget_old_calls(s);
    view = &s.view_of(with_urls(s, request));
    signing = &s.signings.emplace_back(SigningState{&s, {}, false});
    s.take_error();
  }
  postern_status status = functions.sign(s.instance, functions.user, reinterpret_cast<const postern_request*>(view),
                                         or_now(now_ms), to_abi(secret), reinterpret_cast<postern_signing*>(signing));
  std::lock_guard lock(s.mutex);
  view->ended = "after sign";
  signing->ended = true;
  Signed done{status, signing->headers, s.take_error()};
  if (status > 0) s.misuses.push_back("sign returned neither POSTERN_OK nor a failure");
  note_shown_secrets(s, {secret}, done.error);
  return done;
}

}  // namespace postern::testing
