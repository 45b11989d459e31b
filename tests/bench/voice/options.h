// What the command line of the voice load says. Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postern::voice_load {

struct Options {
  std::string gateway = "127.0.0.1";
  uint16_t gateway_port = 8080;
  uint16_t model_port = 0;  // 0: any, which is printed
  std::string path = "/api/v1/voice/media-stream";
  std::string sign_url;    // what Twilio would sign: the <Stream>'s url
  std::string auth_token;  // "": no signature
  uint32_t calls = 100;
  double seconds = 10;
  double warm_up_s = 2;
  double ramp = 100;         // calls begun a second
  double barge_in_s = 0.1;   // between two of them, over all calls; 0: none
  double drop_s = 0;         // between two connections that are cut off, over all calls and both sides; 0: none
  uint32_t threads = 1;      // 2: the callers on one, the model on the other
  std::vector<int> pids;     // the gateway's, whose CPU time and memory are asked for
};

}  // namespace postern::voice_load
