#include "samples.h"

namespace openphone {
namespace {

// Numbers of the range that is set aside for fiction (555-0100 to 555-0199).
constexpr std::string_view kMessageReceived =
    R"({"id":"EV{{id}}","apiVersion":"2026-03-30","createdAt":"{{now}}",)"
    R"("type":"message.received","data":{"resource":{"id":"AC{{id}}","direction":"incoming",)"
    R"("text":"Hello, is the apartment still available?","media":[],"status":"received","createdAt":"{{now}}"},)"
    R"("context":{"orgId":"ORsample","phoneNumberId":"PNsample","conversationId":"CNsample","userId":"USsample",)"
    R"("contacts":{"ids":[],"lookupStatus":"none"},"senderIdentifier":"+14155550123",)"
    R"("recipientIdentifiers":["+14155550100"]},"links":{"quo":"https://my.quo.com/inbox/PNsample/c/CNsample"}}})";

constexpr std::string_view kMessageDelivered =
    R"({"id":"EV{{id}}","apiVersion":"2026-03-30","createdAt":"{{now}}",)"
    R"("type":"message.delivered","data":{"resource":{"id":"AC{{id}}","direction":"outgoing",)"
    R"("text":"Yes, it is. Would you like to see it?","media":[],"status":"delivered","createdAt":"{{now}}"},)"
    R"("context":{"orgId":"ORsample","phoneNumberId":"PNsample","conversationId":"CNsample","userId":"USsample",)"
    R"("contacts":{"ids":[],"lookupStatus":"none"},"senderIdentifier":"+14155550100",)"
    R"("recipientIdentifiers":["+14155550123"]},"links":{"quo":"https://my.quo.com/inbox/PNsample/c/CNsample"}}})";

constexpr std::string_view kCallCompleted =
    R"({"id":"EV{{id}}","apiVersion":"2026-03-30","createdAt":"{{now}}",)"
    R"("type":"call.completed","data":{"resource":{"id":"AC{{id}}","direction":"incoming","status":"answered",)"
    R"("createdAt":"{{now}}","answeredAt":"{{now}}","completedAt":"{{now}}","updatedAt":"{{now}}","duration":42,)"
    R"("hasVoicemail":false},"context":{"orgId":"ORsample","phoneNumberId":"PNsample","phoneNumberType":"inbox",)"
    R"("conversationId":"CNsample","userId":"USsample","participants":{"workspace":["+14155550100"],)"
    R"("external":["+14155550123"],"resolution":"available"}},)"
    R"("links":{"quo":"https://my.quo.com/inbox/PNsample/c/CNsample"}}})";

constexpr std::string_view kMessageReceivedV3 =
    R"({"id":"EV{{id}}","object":"event","apiVersion":"v3",)"
    R"("createdAt":"{{now}}","type":"message.received","data":{"object":{"id":"AC{{id}}","object":"message",)"
    R"("from":"+14155550123","to":"+14155550100","direction":"incoming","body":"STOP","media":[],)"
    R"("status":"received","createdAt":"{{now}}","createdBy":null,"userId":"USsample",)"
    R"("phoneNumberId":"PNsample","conversationId":"CNsample"}}})";

}  // namespace

const std::array<SampleText, 4> kSamples = {{{"message.received", kMessageReceived},
                                             {"message.delivered", kMessageDelivered},
                                             {"call.completed", kCallCompleted},
                                             {"message.received.v3", kMessageReceivedV3}}};

}  // namespace openphone
