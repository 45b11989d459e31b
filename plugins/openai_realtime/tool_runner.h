// What the plugin's event handlers do: run a tool, say the fallback, keep a call that has ended. Thread-safety: any thread.
#pragma once

#include <functional>
#include <map>
#include <postern/plugin.hpp>
#include <string>

#include "config.h"

namespace openai_realtime {

class ToolRunner {
 public:
  // In init: declares whom the tools ask.
  ToolRunner(const Config& config, postern::Setup& setup);

  // Of a voice.tool.called: its result is the tool's answer. Dead once nobody waits for it any more.
  postern::Outcome run(postern::Delivery& delivery) const;

 private:
  struct Target {
    const Tool* tool;
    postern::Upstream upstream;
    std::string path;
    postern::Service service;
  };
  std::map<std::string, Target, std::less<>> targets_;
};

// Of a voice.call.fallback.
postern::Outcome run_fallback(postern::Delivery& delivery, const postern::Service& calls);

}  // namespace openai_realtime
