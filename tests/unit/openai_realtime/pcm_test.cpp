// A session in 24 kHz PCM: the phone's audio is converted both ways.
#include <cmath>

#include "voice_host.h"

namespace voice_test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Pcm : public VoiceTest {
 protected:
  static json pcm_config() {
    json config = base_config();
    config["audio"] = "pcm";
    return config;
  }
  static std::string decode(const std::string& text) {
    std::string bytes;
    uint32_t group = 0;
    int bits = 0;
    for (char c : text) {
      const size_t value = std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").find(c);
      if (value == std::string::npos) break;
      group = group << 6 | static_cast<uint32_t>(value);
      if ((bits += 6) >= 8) bytes += static_cast<char>(group >> (bits -= 8) & 0xff);
    }
    return bytes;
  }
  // G.711 as its table says, bit by bit.
  static int expand(uint8_t byte) {
    byte = static_cast<uint8_t>(~byte);
    const int magnitude = ((((byte & 15) << 1) + 33) << (byte >> 4 & 7)) - 33;
    return (byte & 0x80 ? -magnitude : magnitude) * 4;
  }
  static std::vector<int16_t> samples_of(const std::string& bytes) {
    std::vector<int16_t> samples;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
      samples.push_back(static_cast<int16_t>(static_cast<uint8_t>(bytes[i]) | static_cast<uint8_t>(bytes[i + 1]) << 8));
    }
    return samples;
  }
  // The level of one frequency, against that of a full tone of the same amplitude.
  template <typename Samples>
  static double level(const Samples& samples, double hz, double rate) {
    double re = 0, im = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      re += samples[i] * std::cos(2 * M_PI * hz * static_cast<double>(i) / rate);
      im += samples[i] * std::sin(2 * M_PI * hz * static_cast<double>(i) / rate);
    }
    return 2 * std::sqrt(re * re + im * im) / static_cast<double>(samples.size());
  }
};

TEST_F(Pcm, IsAskedFor) {
  begin_call(pcm_config());
  const json audio = hears_first_[0]["session"]["audio"];
  EXPECT_EQ(audio["input"]["format"], (json{{"type", "audio/pcm"}, {"rate", 24000}}));
  EXPECT_EQ(audio["output"]["format"], (json{{"type", "audio/pcm"}, {"rate", 24000}}));
}

TEST_F(Pcm, TheModelHearsTheCaller) {
  begin_call(pcm_config());
  // A second of 1000 Hz, in µ-law found by search among the values that G.711 has.
  std::string heard;
  for (int f = 0; f < 50; ++f) {
    std::string mulaw;
    for (int i = 0; i < 160; ++i) {
      const double wanted = 8'000 * std::sin(2 * M_PI * 1'000 * (f * 160 + i) / 8'000);
      int best = 0;
      for (int byte = 1; byte < 256; ++byte) {
        if (std::abs(expand(static_cast<uint8_t>(byte)) - wanted) < std::abs(expand(static_cast<uint8_t>(best)) - wanted)) best = byte;
      }
      mulaw += static_cast<char>(best);
    }
    media(f * 20, encode(mulaw));
  }
  for (const json& message : from_model()) heard += decode(message["audio"]);
  const auto samples = samples_of(heard);
  EXPECT_NEAR(static_cast<double>(samples.size()), 24'000, 100);
  EXPECT_NEAR(level(samples, 1'000, 24'000), 8'000, 300);
  EXPECT_LT(level(samples, 7'000, 24'000), 100) << "no image of it";
}

TEST_F(Pcm, TheCallerHearsTheModel) {
  begin_call(pcm_config());
  std::string all;
  for (int i = 0; i < 24'000; ++i) {
    // 1000 Hz, which a phone has, and 9000 Hz, which it has not.
    const auto sample = static_cast<int16_t>(8'000 * std::sin(2 * M_PI * 1'000 * i / 24'000) + 8'000 * std::sin(2 * M_PI * 9'000 * i / 24'000));
    all += static_cast<char>(sample & 0xff);
    all += static_cast<char>(static_cast<uint16_t>(sample) >> 8);
  }
  for (size_t at = 0; at < all.size(); at += 4'801) {  // odd: samples are torn apart
    model({{"type", "response.output_audio.delta"}, {"response_id", "r"}, {"item_id", "i"}, {"delta", encode(all.substr(at, 4'801))}});
  }
  std::vector<int> samples;
  for (const json& message : to_caller()) {
    if (message["event"] != "media") continue;
    for (char byte : decode(message["media"]["payload"])) samples.push_back(expand(static_cast<uint8_t>(byte)));
  }
  EXPECT_NEAR(static_cast<double>(samples.size()), 8'000, 40);
  EXPECT_NEAR(level(samples, 1'000, 8'000), 8'000, 300) << "9 kHz does not fold onto 1 kHz";
}

TEST_F(Pcm, IsCutByTheTimeThatWasHeard) {
  begin_call(pcm_config());
  media(0);
  model({{"type", "response.output_audio.delta"}, {"response_id", "r"}, {"item_id", "i"}, {"delta", encode(std::string(48'000, '\0'))}});  // a second
  from_model();
  media(600);
  from_model();
  speech_started();
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_NEAR(told[0]["audio_end_ms"].get<double>(), 600, 2);
}

TEST_F(Pcm, HalfASampleIsNoAudio) {
  begin_call(pcm_config());
  model({{"type", "response.output_audio.delta"}, {"response_id", "r"}, {"item_id", "i"}, {"delta", "AA=="}});
  EXPECT_THAT(to_caller(), IsEmpty());
}

}  // namespace
}  // namespace voice_test
