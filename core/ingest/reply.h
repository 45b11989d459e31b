// Reply: a request of a reply route in the plugin's hands, and the promise of its one answer.
//
// It ends once: by the plugin's send(), by its failure, or by the host when it is too late; whoever comes later gets kGone. The request
// stays as long as anybody holds the reply, however late.
// Thread-safety: any thread; a mutex guards it, since a plugin may answer while the deadline passes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/http/request.h"
#include "core/http/request_view.h"
#include "core/http/response.h"
#include "core/http/upgraded.h"

namespace postern::ingest {

class Reply {
 public:
  // A request of a reply route, taken out of its exchange: the plugin may look at it when the client is long gone.
  struct Asked {
    http::Request request;
    http::PathParameters path;
    std::vector<std::string> urls;  // by which the provider may have called
    std::string remote;
    std::string request_id;
    std::weak_ptr<const void> plugin = {};  // who holds it keeps the plugin at work
  };
  struct End {
    std::optional<http::Response> response;  // nothing: the plugin failed, or has accepted a WebSocket
    std::string why;
    std::string switching = {};  // the head of a 101, behind which the connection is the taker's
    http::Taker taker = {};
  };
  // Called once, unless expire() comes first; on any thread, under a lock: it must not wait, nor call the reply.
  using OnEnd = std::function<void(End)>;

  Reply(Asked asked, OnEnd on_end);

  const http::RequestView& request() const { return view_; }
  const std::string& request_id() const { return asked_.request_id; }
  // Null: it is about to end.
  std::shared_ptr<const void> plugin() const { return asked_.plugin.lock(); }

  // The plugin's side.
  Status send(http::Response response) EXCLUDES(mutex_);
  // Instead, of a WebSocket route: the connection is the taker's, when the client has been told. It is destroyed without a call when the
  // client has gone. kInvalid where the request asks for no WebSocket.
  Status accept(const std::vector<std::string>& protocols, http::Taker taker) EXCLUDES(mutex_);
  bool detach() EXCLUDES(mutex_);  // false when it has ended
  void drop() EXCLUDES(mutex_);

  // The host's side. begin(): the handler is about to run; false when it is too late for that.
  bool begin() EXCLUDES(mutex_);
  bool begun() const EXCLUDES(mutex_);
  enum class Returned { kDone, kPending, kFailed };
  void on_return(Returned how, std::string why) EXCLUDES(mutex_);
  // From now on it is too late. False when it had ended already.
  bool expire() EXCLUDES(mutex_);

 private:
  Status end(End end) REQUIRES(mutex_);

  const Asked asked_;
  const std::string headers_;
  const http::RequestView view_;  // of the two above

  mutable Mutex mutex_;
  OnEnd on_end_ GUARDED_BY(mutex_);
  bool begun_ GUARDED_BY(mutex_) = false;
  bool detached_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
};

// Runs the plugin's handler on the calling thread, and tells the reply how it returned.
using ReplyHandler = std::function<void(const std::shared_ptr<Reply>&)>;

}  // namespace postern::ingest
