// Transcoder: the phone's audio as the model's 24 kHz PCM, and back, for sessions that are asked for in `audio/pcm`. G.711 µ-law by ITU-T's
// definition, rates by speexdsp. Bytes in, bytes out, base64 on both sides; sound is delayed by less than a millisecond.
// Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct SpeexResamplerState_;

namespace openai_realtime {

class Transcoder {
 public:
  Transcoder();
  ~Transcoder();
  Transcoder(const Transcoder&) = delete;
  Transcoder& operator=(const Transcoder&) = delete;

  // Base64 that base64_size() has passed. What comes back is good until the next call, and may be empty.
  std::string_view to_model(std::string_view mulaw);
  // Half a sample at the end waits for its other half.
  std::string_view to_caller(std::string_view pcm);
  // Another item begins, or what was on its way is thrown away.
  void cut();

 private:
  struct Destroy {
    void operator()(SpeexResamplerState_* state) const;
  };
  using Resampler = std::unique_ptr<SpeexResamplerState_, Destroy>;
  static Resampler make(uint32_t from, uint32_t to);
  static std::vector<int16_t> resample(Resampler& resampler, const std::vector<int16_t>& samples, size_t most);

  Resampler up_, down_;
  std::string half_;  // a sample
  std::string text_;
};

}  // namespace openai_realtime
