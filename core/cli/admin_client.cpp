#include "core/cli/admin_client.h"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/StreamCopier.h>

#include <nlohmann/json.hpp>

#include "core/cli/command.h"
#include "core/cli/output.h"

namespace postern::cli {

using nlohmann::json;

Result<json> AdminClient::get(const std::string& path) const { return call(Poco::Net::HTTPRequest::HTTP_GET, path, ""); }

Result<json> AdminClient::post(const std::string& path, const json& body) const {
  return call(Poco::Net::HTTPRequest::HTTP_POST, path, body.is_null() ? "" : body.dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<json> AdminClient::call(const std::string& method, const std::string& path, const std::string& body_text) const {
  using namespace Poco::Net;
  try {
    StreamSocket socket(SocketAddress(SocketAddress::UNIX_LOCAL, socket_));
    socket.setReceiveTimeout(Poco::Timespan(30, 0));  // the session's own time-out counts only where it connects itself
    socket.setSendTimeout(Poco::Timespan(30, 0));
    HTTPClientSession session(socket);
    HTTPRequest request(method, path, HTTPMessage::HTTP_1_1);
    request.setHost("postern");
    if (!body_text.empty()) request.setContentType("application/json");
    if (method == HTTPRequest::HTTP_POST) request.setContentLength64(static_cast<Poco::Int64>(body_text.size()));
    session.sendRequest(request) << body_text;
    HTTPResponse response;
    std::string body;
    Poco::StreamCopier::copyToString(session.receiveResponse(response), body);
    json answer = json::parse(body, nullptr, false);
    if (response.getStatus() == HTTPResponse::HTTP_OK && !answer.is_discarded()) return answer;
    std::string why = answer.is_object() && answer.contains("error") && answer["error"].is_string() ? answer["error"].get<std::string>()
                                                                                                    : "unexpected answer";
    return Status(response.getStatus() == HTTPResponse::HTTP_NOT_FOUND ? Code::kNotFound : Code::kInvalid, why);
  } catch (const Poco::Exception& e) {
    return Status(Code::kUnavailable, "no gateway answers at " + socket_ + " (" + e.displayText() + "); start it with `postern serve`");
  }
}

namespace {

bool keep(Result<json> got, json& answer, int& status) {
  if (!got) {
    complain("postern: " + got.status().message());
    status = got.status().code() == Code::kUnavailable ? kNoGateway : kNotSo;
    return false;
  }
  answer = std::move(*got);
  status = kDone;
  return true;
}

std::optional<AdminClient> client_of(const std::string& config_file, int& status) {
  auto config = load_or_tell(config_file);
  if (config) return AdminClient(config->admin.socket);
  status = kNotSo;
  return std::nullopt;
}

}  // namespace

bool ask(const std::string& config_file, const std::string& path, json& answer, int& status) {
  auto client = client_of(config_file, status);
  return client && keep(client->get(path), answer, status);
}

bool tell(const std::string& config_file, const std::string& path, const json& body, json& answer, int& status) {
  auto client = client_of(config_file, status);
  return client && keep(client->post(path, body), answer, status);
}

std::string encode(const std::string& text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '.' ||
        byte == '-') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace postern::cli
