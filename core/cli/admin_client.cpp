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

Result<json> AdminClient::get(const std::string& path) const {
  using namespace Poco::Net;
  try {
    StreamSocket socket(SocketAddress(SocketAddress::UNIX_LOCAL, socket_));
    socket.setReceiveTimeout(Poco::Timespan(30, 0));  // the session's own time-out counts only where it connects itself
    socket.setSendTimeout(Poco::Timespan(30, 0));
    HTTPClientSession session(socket);
    HTTPRequest request(HTTPRequest::HTTP_GET, path, HTTPMessage::HTTP_1_1);
    request.setHost("postern");
    session.sendRequest(request);
    HTTPResponse response;
    std::string body;
    Poco::StreamCopier::copyToString(session.receiveResponse(response), body);
    json answer = json::parse(body, nullptr, false);
    if (response.getStatus() == HTTPResponse::HTTP_OK && !answer.is_discarded()) return answer;
    std::string why = answer.is_object() && answer.contains("error") && answer["error"].is_string() ? answer["error"].get<std::string>() : "unexpected answer";
    return Status(response.getStatus() == HTTPResponse::HTTP_NOT_FOUND ? Code::kNotFound : Code::kInvalid, why);
  } catch (const Poco::Exception& e) {
    return Status(Code::kUnavailable, "no gateway answers at " + socket_ + " (" + e.displayText() + "); start it with `postern serve`");
  }
}

bool ask(const std::string& config_file, const std::string& path, json& answer, int& status) {
  auto config = load_or_tell(config_file);
  if (!config) {
    status = kNotSo;
    return false;
  }
  auto got = AdminClient(config->admin.socket).get(path);
  if (!got) {
    complain("postern: " + got.status().message());
    status = got.status().code() == Code::kUnavailable ? kNoGateway : kNotSo;
    return false;
  }
  answer = std::move(*got);
  status = kDone;
  return true;
}

}  // namespace postern::cli
