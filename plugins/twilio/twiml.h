// TwiML: what Twilio is told to do with a call. Source: Twilio documentation, "TwiML for Programmable Voice". Thread-safety: pure
// functions.
#pragma once

#include <string>
#include <string_view>

namespace twilio {

// Parameters that the stream gets; any bytes.
struct StreamParameters {
  std::string_view from, to, call_sid;
  std::string_view token;  // empty: there is none
};

// <Response><Say>greeting</Say><Connect><Stream url="…"><Parameter name="From" value="…"/>…</Stream></Connect></Response>
// Without a greeting there is no <Say>.
std::string connect_to_stream(std::string_view greeting, std::string_view stream_url, const StreamParameters& parameters);

// The stream's URL beside the address that Twilio calls: "wss://h.example:8443/prefix/api/v1/voice/media-stream" for
// "https://h.example:8443/prefix". `base` may be written with any scheme or none. Never with a query, which Twilio refuses.
std::string stream_url(std::string_view base, std::string_view path);

// What is wrong with a document that somebody else wrote: "is not well-formed XML: …"; empty when nothing is. Whether Twilio knows its verbs
// is not looked at. It may define no entities, which a document of some bytes could make gigabytes of.
std::string fault_of_twiml(const std::string& document);

// What stands before the route's path in a URL that was called; where the path is written otherwise, scheme, host and port.
std::string_view base_of(std::string_view url, std::string_view route);

}  // namespace twilio
