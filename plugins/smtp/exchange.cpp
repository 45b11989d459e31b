#include "exchange.h"

#include <openssl/x509.h>
#include <unistd.h>

#include <algorithm>

namespace smtp {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLongestPoll{200};
constexpr milliseconds kGoodbye{2'000};  // for the reply to QUIT, which nobody needs

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

int64_t to_ms(SteadyTime time) { return duration_cast<milliseconds>(time.time_since_epoch()).count(); }

// The path of the URL is the name that EHLO tells.
std::string url_of(const Server& server) {
  const std::string host = server.host.find(':') == std::string::npos ? server.host : "[" + server.host + "]";
  std::string url = (server.tls == Tls::kImplicit ? "smtps://" : "smtp://") + host + ":" + std::to_string(server.port) + "/";
  const std::unique_ptr<char, decltype(&curl_free)> name(curl_easy_escape(nullptr, server.ehlo_name.data(), static_cast<int>(server.ehlo_name.size())), &curl_free);
  return name ? url + name.get() : url;
}

bool readable(const char* path) { return path != nullptr && ::access(path, R_OK) == 0; }

// libcurl was told at its build where the system's authorities are; elsewhere OpenSSL knows.
bool set_authorities(CURL* easy, const std::string& ca_file) {
  if (!ca_file.empty()) {
    return curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file.c_str()) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr) == CURLE_OK;
  }
  if (readable(curl_version_info(CURLVERSION_NOW)->cainfo) || !readable(X509_get_default_cert_file())) return true;
  return curl_easy_setopt(easy, CURLOPT_CAINFO, X509_get_default_cert_file()) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CAPATH, X509_get_default_cert_dir()) == CURLE_OK;
}

std::string login_options(const Server& server) {
  std::vector<std::string> mechanisms = server.mechanisms;
  if (mechanisms.empty()) mechanisms = server.access_token.empty() ? std::vector<std::string>{"PLAIN", "LOGIN"} : std::vector<std::string>{"XOAUTH2"};
  std::string options;
  for (const std::string& mechanism : mechanisms) options += (options.empty() ? "AUTH=" : ";AUTH=") + mechanism;
  return options;
}

}  // namespace

Outcome Exchange::run(CURLM* multi, const Task& task) {
  task_ = &task;
  task_last_ = task.last;
  const Message* message = task.message;
  dialogue_ = std::make_unique<Dialogue>(Dialogue::Wishes{.tls = server_.tls == Tls::kStartTls,
                                                          .auth = !server_.user.empty(),
                                                          .smtputf8 = message != nullptr && message->needs_smtputf8(),
                                                          .size = message == nullptr ? 0 : message->size()});
  const std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  if (!easy || !set_up(easy.get()) || curl_multi_add_handle(multi, easy.get()) != CURLM_OK) {
    return same_for_all(Class::kTransient, "libcurl refuses to be set up", message == nullptr ? std::vector<std::string>{} : message->recipients());
  }
  loop(multi, easy.get());
  curl_multi_remove_handle(multi, easy.get());
  ending_.curl_text = curl_error_;
  return judge(*dialogue_, ending_, message == nullptr ? std::vector<std::string>{} : message->recipients(), clean_);
}

bool Exchange::met_closed_connection() const {
  const Dialogue& d = *dialogue_;
  if (!d.begun_on_old_connection() || d.body_sent() || ending_.stop != Stop::kNone || d.objection() != Dialogue::Objection::kNone) return false;
  return d.reply().code == 421 || (d.reply().code == 0 && ending_.code != CURLE_OK && ending_.code != CURLE_OPERATION_TIMEDOUT);
}

// libcurl closes it after every failure but a mail that was refused behind its final dot.
bool Exchange::kept_connection() const {
  const int final = dialogue_->final_reply().code;
  return !task_last_ && (ending_.code == CURLE_OK || (ending_.code == CURLE_WEIRD_SERVER_REPLY && dialogue_->body_sent() && final != 0 && final != 421));
}

void Exchange::loop(CURLM* multi, CURL* easy) {
  for (;;) {
    int running = 0;
    if (const CURLMcode code = curl_multi_perform(multi, &running); code != CURLM_OK) {
      ending_.code = CURLE_FAILED_INIT;
      return;
    }
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE || message->easy_handle != easy) continue;
      ending_.code = message->data.result;
      return;
    }
    const auto wait = std::clamp<int64_t>(to_ms(limit()) - to_ms(steady_clock::now()), 1, kLongestPoll.count());
    curl_multi_poll(multi, nullptr, 0, static_cast<int>(wait), nullptr);
  }
}

// Behind the final dot there is more time: see server.h.
SteadyTime Exchange::limit() const {
  if (quit_at_ != SteadyTime{}) return quit_at_ + kGoodbye;
  if (dialogue_->body_sent()) return std::max(task_->deadline, body_sent_at_ + server_.final_reply);
  return task_->deadline;
}

bool Exchange::must_stop() {
  const SteadyTime now = steady_clock::now();
  if (to_ms(now) >= halt_.at_ms.load()) ending_.stop = Stop::kClosing;
  else if (now >= limit()) ending_.stop = Stop::kDeadline;
  return ending_.stop != Stop::kNone;
}

bool Exchange::set_up(CURL* easy) {
  const auto remaining = duration_cast<milliseconds>(task_->deadline - steady_clock::now());
  const auto connect = std::max(milliseconds(1), std::min(server_.connect_timeout, remaining));
  const auto reply = std::chrono::ceil<std::chrono::seconds>(std::max(server_.final_reply, server_.deadline)) + std::chrono::seconds(1);
  return curl_easy_setopt(easy, CURLOPT_URL, url_of(server_).c_str()) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_error_) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect.count())) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, static_cast<long>(reply.count())) == CURLE_OK &&
         // A name that is still being resolved when the time is up: its thread is let go, not waited for.
         curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, task_->new_connection ? 1L : 0L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, task_->last ? 1L : 0L) == CURLE_OK && set_security(easy) && set_credentials(easy) &&
         set_task(easy) && set_callbacks(easy);
}

bool Exchange::set_security(CURL* easy) {
  const long use_ssl = server_.tls == Tls::kNone ? CURLUSESSL_NONE : CURLUSESSL_ALL;
  return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, server_.tls == Tls::kImplicit ? "smtps" : "smtp") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&  // nor what the environment names
         curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED)) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_USE_SSL, use_ssl) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2)) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
         set_authorities(easy, server_.ca_file);
}

bool Exchange::set_credentials(CURL* easy) {
  if (server_.user.empty()) return true;
  const bool bearer = !server_.access_token.empty();
  return curl_easy_setopt(easy, CURLOPT_USERNAME, server_.user.c_str()) == CURLE_OK &&
         (bearer ? curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, server_.access_token.c_str())
                 : curl_easy_setopt(easy, CURLOPT_PASSWORD, server_.password.c_str())) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS, login_options(server_).c_str()) == CURLE_OK;
}

bool Exchange::set_task(CURL* easy) {
  const Message* message = task_->message;
  if (message == nullptr) {
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "NOOP") == CURLE_OK && curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
  }
  for (const std::string& address : message->recipients()) {
    curl_slist* longer = curl_slist_append(recipients_.get(), address.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(recipients_.release());
    recipients_.reset(longer);
  }
  return curl_easy_setopt(easy, CURLOPT_MAIL_FROM, message->sender().c_str()) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients_.get()) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L) == CURLE_OK &&  // the name that 7.88 knows
         curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(message->size())) == CURLE_OK;  // also SIZE=
}

bool Exchange::set_callbacks(CURL* easy) {
  return curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, &on_debug) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_DEBUGDATA, this) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERDATA, this) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_READFUNCTION, &on_read) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_READDATA, this) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &on_progress) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_XFERINFODATA, this) == CURLE_OK;
}

// What goes out. It has credentials: it is looked at, never kept.
int Exchange::on_debug(CURL*, curl_infotype type, char* data, size_t size, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (type == CURLINFO_HEADER_OUT) {
    exchange.dialogue_->on_command({data, size});
    if (exchange.dialogue_->step() == Step::kQuit) exchange.quit_at_ = steady_clock::now();
  } else if (type == CURLINFO_DATA_OUT) {
    const bool before = exchange.dialogue_->body_sent();
    exchange.dialogue_->on_body(size);
    if (!before && exchange.dialogue_->body_sent()) exchange.body_sent_at_ = steady_clock::now();
  }
  return 0;
}

// Each line of a reply.
size_t Exchange::on_header(char* data, size_t size, size_t count, void* self) {
  return static_cast<Exchange*>(self)->dialogue_->on_line({data, size * count}) ? size * count : 0;
}

size_t Exchange::on_read(char* to, size_t size, size_t count, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (exchange.must_stop()) return CURL_READFUNC_ABORT;
  const int64_t read = exchange.task_->message->read(exchange.offset_, to, size * count);
  if (read < 0) return CURL_READFUNC_ABORT;
  exchange.offset_ += static_cast<uint64_t>(read);
  return static_cast<size_t>(read);
}

int Exchange::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (exchange.task_->tick) exchange.task_->tick();
  return exchange.must_stop() ? 1 : 0;
}

}  // namespace smtp
