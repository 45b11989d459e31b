#include "twiml.h"

#include <Poco/SAX/AttributesImpl.h>
#include <Poco/SAX/DefaultHandler.h>
#include <Poco/SAX/SAXException.h>
#include <Poco/SAX/SAXParser.h>
#include <Poco/XML/XMLWriter.h>

#include <sstream>

#include "text.h"

namespace twilio {
namespace {

using Poco::XML::AttributesImpl;
using Poco::XML::XMLWriter;

AttributesImpl attribute(const std::string& name, const std::string& value) {
  AttributesImpl attributes;
  attributes.addAttribute("", "", name, "CDATA", value);
  return attributes;
}

void write_parameter(XMLWriter& writer, const std::string& name, std::string_view value) {
  AttributesImpl attributes = attribute("name", name);
  attributes.addAttribute("", "", "value", "CDATA", clean_text(value));
  writer.emptyElement("", "", "Parameter", attributes);
}

// Notes the first element.
class Root final : public Poco::XML::DefaultHandler {
 public:
  using Text = Poco::XML::XMLString;
  void startElement(const Text&, const Text&, const Text& qname, const Poco::XML::Attributes&) override {
    if (depth_++ == 0) name = qname;
  }
  Text name;

 private:
  size_t depth_ = 0;
};

}  // namespace

std::string connect_to_stream(std::string_view greeting, std::string_view stream_url, const StreamParameters& parameters) {
  std::ostringstream document;
  XMLWriter writer(document, XMLWriter::WRITE_XML_DECLARATION);
  writer.startDocument();
  writer.startElement("", "", "Response");
  std::string words = clean_text(greeting);
  if (!words.empty()) writer.dataElement("", "", "Say", words);
  writer.startElement("", "", "Connect");
  writer.startElement("", "", "Stream", attribute("url", clean_text(stream_url)));
  write_parameter(writer, "From", parameters.from);
  write_parameter(writer, "To", parameters.to);
  write_parameter(writer, "CallSid", parameters.call_sid);
  if (!parameters.token.empty()) write_parameter(writer, "token", parameters.token);
  writer.endElement("", "", "Stream");
  writer.endElement("", "", "Connect");
  writer.endElement("", "", "Response");
  writer.endDocument();
  return document.str();
}

std::string stream_url(std::string_view base, std::string_view path) {
  size_t scheme = base.find("://");
  if (scheme != base.npos) base.remove_prefix(scheme + 3);
  base = base.substr(0, base.find_first_of("?#"));
  size_t user = base.substr(0, base.find('/')).rfind('@');
  if (user != base.npos) base.remove_prefix(user + 1);
  return std::string("wss://").append(base).append(path);
}

std::string fault_of_twiml(const std::string& document) {
  if (document.find("<!DOCTYPE") != document.npos) return "must have no <!DOCTYPE";
  Root root;
  try {
    Poco::XML::SAXParser parser;
    parser.setFeature(Poco::XML::XMLReader::FEATURE_NAMESPACES, false);  // names as they are written, as Twilio reads them
    parser.setContentHandler(&root);
    parser.parseString(document);
  } catch (const Poco::XML::SAXParseException& fault) {
    return "is not well-formed XML: line " + std::to_string(fault.getLineNumber()) + ", column " +
           std::to_string(fault.getColumnNumber());
  } catch (const Poco::Exception&) {
    return "is not well-formed XML";
  }
  return root.name == "Response" ? "" : "must have the root <Response>";
}

std::string_view base_of(std::string_view url, std::string_view route) {
  std::string_view path = url.substr(0, url.find_first_of("?#"));
  if (path.ends_with(route)) return path.substr(0, path.size() - route.size());
  size_t scheme = path.find("://");
  return scheme == path.npos ? std::string_view() : path.substr(0, path.find('/', scheme + 3));
}

}  // namespace twilio
