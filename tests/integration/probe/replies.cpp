// What probe answers itself. The last segment of the path says how:
//
//   POST PREFIX/reply/{what}      unsigned
//   POST PREFIX/recorded/{what}   the same, and the request is an event as well: type "recorded", id in the header x-id
//
//   echo            the body again, with the status, content type and {what} that the headers x-status and x-type say
//   throws          let an exception out
//   fails           return an error with an inner detail
//   never           return without an answer
//   pending         say that the answer comes later, without having detached
//   twice           answer twice
//   bad_status      answer with a status that is none, and leave it at that
//   mends           try all that is no answer, then answer
//   blocks          make the file FILE.began, wait for FILE (header x-file), then answer
//   detached        answer from a thread of its own
//   detached_blocks the same, when FILE exists
//   detached_never  never
//   drops           give the detached reply up
//   publish, publish_untold, publish_throws   publish an event: see published.cpp
//   notes           what the host said to the answers of {what}, or of the calls with the file, x-of: "0 -6 "
//
// The scheme "mood", for the event route POST PREFIX/checked: the header x-mood is good, bad, throws, unknown, crashes or blocks
// (FILE in the header x-file; then good). `config: {foreign: "PLUGIN:SCHEME"}` adds POST PREFIX/foreign, which another plugin's
// scheme guards.
#include <iterator>
#include <stdexcept>
#include <utility>

#include "probe.h"

namespace probe {
namespace {

// What no client may see.
constexpr std::string_view kInner = "inner detail: /etc/probe.key line 7";

struct Call {
  postern_instance* self;
  const postern_request* request;
  postern_reply* reply;
  std::string what;

  std::string header(std::string_view name) const {
    postern_str value{};
    const bool there = self->http->header(request, str(name), 0, &value) == POSTERN_OK;
    return there ? std::string(view(value)) : std::string();
  }
  std::string file() const { return header("x-file"); }
};

// Answers, and notes what the host said.
postern_status answer(const Call& call, uint32_t status, std::string_view body,
                      const std::vector<postern_str>& headers = {}) {
  const std::string file = call.file();  // before the request is given back
  const postern_status said = call.self->http->send(call.reply, status, headers.data(), headers.size(), str(body));
  const std::lock_guard lock(call.self->mutex);
  call.self->notes[file.empty() ? call.what : file] += std::to_string(said) + " ";
  return said;
}

postern_status echo(const Call& call) {
  const std::string status = call.header("x-status");
  const std::string type = call.header("x-type");
  std::vector<postern_str> headers = {str("X-What"), str(call.what)};
  if (!type.empty()) headers.insert(headers.end(), {str("Content-Type"), str(type)});
  const auto code = static_cast<uint32_t>(status.empty() ? 200 : std::stoul(status));
  return answer(call, code, view(call.self->http->body(call.request)), headers);
}

postern_status twice(const Call& call) {
  answer(call, 200, "the first");
  answer(call, 201, "the second");
  return POSTERN_OK;
}

postern_status mends(const Call& call) {
  const std::string big(4 * 1024 * 1024 + 1, 'x');
  for (const uint32_t status : {0u, 99u, 101u, 199u, 600u, 4294967295u}) answer(call, status, "no such status");
  answer(call, 200, "half a header", {str("x-half")});
  answer(call, 200, "a second header", {str("x"), str("y\r\nSet-Cookie: z")});
  answer(call, 200, "a second answer", {str("x"), str("y\r\n\r\nHTTP/1.1 200 OK")});
  answer(call, 200, "no name", {str(""), str("y")});
  answer(call, 200, "a name that is none", {str("x y"), str("z")});
  answer(call, 200, big);
  return answer(call, 200, "mended");
}

postern_status blocks(const Call& call) {
  block_until_there(call.file());
  answer(call, 200, "at last");
  return POSTERN_OK;
}

// The rest of the call, on a thread of the plugin.
template <typename Rest>
postern_status detach(const Call& call, Rest rest) {
  const postern_status detached = call.self->http->detach(call.reply);
  if (detached != POSTERN_OK) return detached;
  const std::lock_guard lock(call.self->mutex);
  call.self->threads.emplace_back([call, rest] { rest(call); });
  return POSTERN_PENDING;
}

postern_status detached(const Call& call) {
  return detach(call, [](const Call& later) { answer(later, 200, view(later.self->http->body(later.request))); });
}

postern_status detached_blocks(const Call& call) {
  return detach(call, [](const Call& later) { blocks(later); });
}

postern_status detached_never(const Call& call) {
  return detach(call, [](const Call&) {});
}

postern_status drops(const Call& call) {
  return detach(call, [](const Call& later) { later.self->http->drop(later.reply); });
}

postern_status notes(const Call& call) {
  std::string text;
  {
    const std::lock_guard lock(call.self->mutex);
    text = call.self->notes[call.header("x-of")];
  }
  return answer(call, 200, text);
}

postern_status publishes(const Call& call) { return publish_as_asked(call.self, call.request, call.reply, call.what); }

constexpr std::pair<std::string_view, postern_status (*)(const Call&)> kReplies[] = {
    {"echo", echo},
    {"throws", [](const Call&) -> postern_status { throw std::runtime_error(std::string(kInner)); }},
    {"fails", [](const Call& call) { return fail(call.self, kInner, POSTERN_E_INTERNAL); }},
    {"never", [](const Call&) { return postern_status{POSTERN_OK}; }},
    {"pending", [](const Call&) { return postern_status{POSTERN_PENDING}; }},
    {"twice", twice},
    {"bad_status", [](const Call& call) { return answer(call, 99, kInner); }},
    {"mends", mends},
    {"blocks", blocks},
    {"detached", detached},
    {"detached_blocks", detached_blocks},
    {"detached_never", detached_never},
    {"drops", drops},
    {"notes", notes},
    {"publish", publishes},
    {"publish_untold", publishes},
    {"publish_throws", publishes},
};

postern_status reply(postern_instance* self, void*, const postern_request* request, postern_reply* handle) {
  postern_str what{};
  const postern_status found = self->http->path_parameter(request, str("what"), &what);
  if (found != POSTERN_OK) return found;
  for (const auto& [name, function] : kReplies) {
    if (name == view(what)) return function({self, request, handle, std::string(name)});
  }
  return echo({self, request, handle, std::string(view(what))});
}

postern_status verify(postern_instance* self, void*, const postern_request* request, int64_t, const postern_str*,
                      size_t, postern_explain* explain) {
  const Call call{self, request, nullptr, ""};
  const std::string mood = call.header("x-mood");
  self->schemes->explain(explain, str("the mood was looked at"));
  if (mood == "throws") throw std::runtime_error(std::string(kInner));
  if (mood == "unknown") return fail(self, kInner, POSTERN_E_INTERNAL);
  if (mood == "crashes") crash(R"({"how":"segv"})");
  if (mood == "blocks") block_until_there(call.file());
  return mood == "good" || mood == "blocks" ? POSTERN_OK : POSTERN_E_DENIED;
}

postern_status add_scheme(postern_instance* self) {
  const postern_str secrets[] = {str("a-secret-of-probe")};
  postern_scheme_functions scheme{};
  scheme.struct_size = sizeof scheme;
  scheme.name = str("mood");
  scheme.header = str("x-mood");
  scheme.secrets = secrets;
  scheme.secrets_len = std::size(secrets);
  scheme.verify = verify;
  return self->schemes->add_functions(self->host, &scheme);
}

postern_status add_checked(postern_instance* self, const std::string& path, const std::string& scheme) {
  const postern_route_scheme schemes[] = {{str(scheme), str("header:x-id")}};
  postern_route_desc route{};
  route.struct_size = sizeof route;
  route.kind = POSTERN_ROUTE_EVENT;
  route.method = str("POST");
  route.path = str(path);
  route.schemes = schemes;
  route.schemes_len = std::size(schemes);
  route.type_from = str("const:checked");
  return self->routes->add(self->host, &route);
}

postern_status add_reply(postern_instance* self, const std::string& path, uint32_t flags) {
  postern_route_desc route{};
  route.struct_size = sizeof route;
  route.kind = POSTERN_ROUTE_REPLY;
  route.method = str("POST");
  route.path = str(path);
  route.type_from = str("const:recorded");
  route.unsigned_id_from = str("header:x-id");
  route.flags = POSTERN_ROUTE_UNSIGNED | flags;
  route.reply = reply;
  return self->routes->add(self->host, &route);
}

}  // namespace

postern_status add_replies(postern_instance* self, const std::string& prefix, const std::string& foreign) {
  for (const postern_status added :
       {add_reply(self, prefix + "/reply/{what}", 0),
        add_reply(self, prefix + "/recorded/{what}", POSTERN_ROUTE_RECORDED), add_scheme(self)}) {
    if (added != POSTERN_OK) return added;
  }
  const postern_status checked = add_checked(self, prefix + "/checked", "mood");
  return checked != POSTERN_OK || foreign.empty() ? checked : add_checked(self, prefix + "/foreign", foreign);
}

}  // namespace probe
