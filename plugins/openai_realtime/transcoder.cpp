#include "transcoder.h"

#include <speex/speex_resampler.h>

#include <algorithm>
#include <array>
#include <new>

#include "base64.h"

namespace openai_realtime {
namespace {

constexpr uint32_t kPhoneRate = 8'000, kModelRate = 24'000;
constexpr int kQuality = 4;  // of 10: a phone has no more

// G.711, table 2a: sign, exponent and mantissa, all bits inverted.
constexpr int16_t decode_mulaw(uint8_t byte) {
  const int inverted = ~byte & 0xff;
  const int exponent = (inverted >> 4) & 7, mantissa = inverted & 15;
  const int magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
  return static_cast<int16_t>((inverted & 0x80) != 0 ? -magnitude : magnitude);
}

constexpr uint8_t encode_mulaw(int16_t sample) {
  constexpr int kBias = 0x84, kClip = 32'635;
  const int sign = sample < 0 ? 0x80 : 0;
  const int magnitude = std::min(sample < 0 ? -static_cast<int>(sample) : static_cast<int>(sample), kClip) + kBias;
  int exponent = 7;
  while (exponent > 0 && (magnitude & (1 << (exponent + 7))) == 0) --exponent;
  return static_cast<uint8_t>(~(sign | exponent << 4 | ((magnitude >> (exponent + 3)) & 15)));
}

constexpr std::array<int16_t, 256> kDecoded = [] {
  std::array<int16_t, 256> table{};
  for (int byte = 0; byte < 256; ++byte) table[static_cast<size_t>(byte)] = decode_mulaw(static_cast<uint8_t>(byte));
  return table;
}();

}  // namespace

void Transcoder::Destroy::operator()(SpeexResamplerState_* state) const { speex_resampler_destroy(state); }

Transcoder::Resampler Transcoder::make(uint32_t from, uint32_t to) {
  int failed = RESAMPLER_ERR_SUCCESS;
  Resampler made(speex_resampler_init(1, from, to, kQuality, &failed));
  if (!made || failed != RESAMPLER_ERR_SUCCESS) throw std::bad_alloc();
  speex_resampler_skip_zeros(made.get());
  return made;
}

Transcoder::Transcoder() : up_(make(kPhoneRate, kModelRate)), down_(make(kModelRate, kPhoneRate)) {}
Transcoder::~Transcoder() = default;

std::vector<int16_t> Transcoder::resample(Resampler& resampler, const std::vector<int16_t>& samples, size_t most) {
  std::vector<int16_t> out(most);
  auto taken = static_cast<spx_uint32_t>(samples.size());
  auto made = static_cast<spx_uint32_t>(out.size());
  speex_resampler_process_int(resampler.get(), 0, samples.data(), &taken, out.data(), &made);
  out.resize(made);
  return out;
}

std::string_view Transcoder::to_model(std::string_view mulaw) {
  const std::string bytes = base64_decode(mulaw);
  std::vector<int16_t> samples(bytes.size());
  std::transform(bytes.begin(), bytes.end(), samples.begin(), [](char byte) { return kDecoded[static_cast<uint8_t>(byte)]; });
  const std::vector<int16_t> pcm = resample(up_, samples, samples.size() * 3 + 16);
  std::string little;
  little.reserve(pcm.size() * 2);
  for (int16_t sample : pcm) {
    const auto bits = static_cast<uint16_t>(sample);
    little += static_cast<char>(bits & 0xff);
    little += static_cast<char>(bits >> 8);
  }
  text_ = base64_encode(little);
  return text_;
}

std::string_view Transcoder::to_caller(std::string_view pcm) {
  std::string bytes = std::move(half_) + base64_decode(pcm);
  half_.assign(bytes, bytes.size() / 2 * 2);
  std::vector<int16_t> samples(bytes.size() / 2);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<int16_t>(static_cast<uint16_t>(static_cast<uint8_t>(bytes[2 * i])) | static_cast<uint16_t>(static_cast<uint8_t>(bytes[2 * i + 1])) << 8);
  }
  const std::vector<int16_t> phone = resample(down_, samples, samples.size() / 3 + 16);
  std::string mulaw(phone.size(), '\0');
  std::transform(phone.begin(), phone.end(), mulaw.begin(), [](int16_t sample) { return static_cast<char>(encode_mulaw(sample)); });
  text_ = base64_encode(mulaw);
  return text_;
}

void Transcoder::cut() {
  half_.clear();
  speex_resampler_reset_mem(down_.get());
  speex_resampler_skip_zeros(down_.get());
}

}  // namespace openai_realtime
