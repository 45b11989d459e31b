#include "samples.h"

namespace twilio {
namespace {

// Numbers of the range that is set aside for fiction (555-0100 to 555-0199). {{id}} has 24 hex digits, a CallSid 32.
std::string common_fields(std::string_view account_sid) {
  std::string account(account_sid.empty() ? std::string_view("AC00000000000000000000000000000000") : account_sid);
  return "AccountSid=" + account +
         "&ApiVersion=2010-04-01&CallSid=CA{{id}}00000000&Called=%2B14155550100&Caller=%2B14155550123&Direction=inbound"
         "&From=%2B14155550123&FromCity=SAN+FRANCISCO&FromCountry=US&FromState=CA&FromZip=94105&To=%2B14155550100&ToCity="
         "&ToCountry=US&ToState=CA&ToZip=";
}

}  // namespace

std::string incoming_call_sample(std::string_view account_sid) {
  return common_fields(account_sid) + "&CallStatus=ringing&StirVerstat=TN-Validation-Passed-A";
}

std::string call_status_sample(std::string_view account_sid) {
  return common_fields(account_sid) +
         "&CallDuration=42&CallStatus=completed&CallbackSource=call-progress-events&Duration=1&SequenceNumber=0"
         "&SipResponseCode=200";
}

}  // namespace twilio
