// postern.http as scheme functions and reply handlers see it: parameters of path and form, URLs, what surrounds the plugin.
#include <gtest/gtest.h>
#include <postern/ext/http.h>

#include "core/extension/handles.h"
#include "core/extension/table.h"
#include "core/plugin/host.h"

namespace postern::extension {
namespace {

postern_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(postern_str s) { return s.ptr == nullptr ? std::string() : std::string(s.ptr, s.len); }

const postern_ext_http& table() {
  return *static_cast<const postern_ext_http*>(host_api().get_extension(nullptr, str(POSTERN_EXT_HTTP)));
}

const std::string kForm = "Content-Type: application/x-www-form-urlencoded\r\n";

// "name=value" of the nth parameter, or the status.
std::string parameter(const http::RequestView& view, size_t nth) {
  postern_str name = str("left over"), value = str("left over");
  postern_status status = table().form_parameter(handle_of(view), nth, &name, &value);
  return status == POSTERN_OK ? text(name) + "=" + text(value) : std::to_string(status);
}

TEST(FormParameters, AreThoseOfTheBodyInItsOrder) {
  http::RequestView view{"POST", "/", kForm, "b=1&a=%2B+&b=2&&c", ""};
  EXPECT_EQ(parameter(view, 0), "b=1");
  EXPECT_EQ(parameter(view, 1), "a=+ ");
  EXPECT_EQ(parameter(view, 2), "b=2");
  EXPECT_EQ(parameter(view, 3), "c=");
  EXPECT_EQ(parameter(view, 0), "b=1") << "in any order, as often as one likes";
  for (size_t nth : {size_t{4}, size_t{5}, SIZE_MAX}) EXPECT_EQ(parameter(view, nth), std::to_string(POSTERN_E_NOT_FOUND)) << nth;
}

TEST(FormParameters, AreNotCheckedToBeText) {
  http::RequestView view{"POST", "/", kForm, "a=%ff%00b", ""};
  EXPECT_EQ(parameter(view, 0), std::string("a=\xff\0b", 5));
}

TEST(FormParameters, StayWhereTheyAre) {
  http::RequestView view{"POST", "/", kForm, "a=1&b=2", ""};
  postern_str name, value, again;
  ASSERT_EQ(table().form_parameter(handle_of(view), 0, &name, &value), POSTERN_OK);
  ASSERT_EQ(table().form_parameter(handle_of(view), 1, &name, &again), POSTERN_OK);
  EXPECT_EQ(text(value), "1") << "as long as the request's view lives";
}

TEST(FormParameters, AreNoneOfABodyOfAnotherType) {
  for (const char* headers : {"", "Content-Type: application/json\r\n"}) {
    http::RequestView view{"POST", "/", headers, "a=1", ""};
    EXPECT_EQ(parameter(view, 0), std::to_string(POSTERN_E_NOT_FOUND)) << headers;
  }
}

TEST(PathParameters, AreFoundByTheirWholeName) {
  http::PathParameters path = {{"call_id", "CA1"}, {"empty", ""}};
  http::RequestView view{"POST", "/", "", "", "", nullptr, &path};
  postern_str value{};
  EXPECT_EQ(table().path_parameter(handle_of(view), str("call_id"), &value), POSTERN_OK);
  EXPECT_EQ(text(value), "CA1");
  EXPECT_EQ(table().path_parameter(handle_of(view), str("empty"), &value), POSTERN_OK);
  EXPECT_EQ(value.len, 0u);
  for (std::string_view name : {"call", "CALL_ID", "call_id ", ""}) {
    value = str("left over");
    EXPECT_EQ(table().path_parameter(handle_of(view), str(name), &value), POSTERN_E_NOT_FOUND) << name;
    EXPECT_EQ(value.len, 0u);
  }
  EXPECT_EQ(table().path_parameter(handle_of(view), {nullptr, 0}, &value), POSTERN_E_NOT_FOUND);
}

TEST(Urls, AreCounted) {
  std::vector<std::string> urls = {"https://a.test/x", "http://a.test/x"};
  http::RequestView view{"POST", "/x", "", "", "", &urls};
  postern_str value{};
  EXPECT_EQ(table().url(handle_of(view), 0, &value), POSTERN_OK);
  EXPECT_EQ(text(value), "https://a.test/x");
  EXPECT_EQ(table().url(handle_of(view), 1, &value), POSTERN_OK);
  EXPECT_EQ(text(value), "http://a.test/x");
  for (size_t nth : {size_t{2}, SIZE_MAX}) {
    EXPECT_EQ(table().url(handle_of(view), nth, &value), POSTERN_E_NOT_FOUND);
    EXPECT_EQ(value.len, 0u);
  }
}

// A delivery's request: where it came from is not known any more.
TEST(Requests, OfTheStoreHaveNeitherUrlsNorPath) {
  http::RequestView view{"POST", "/x", kForm, "a=1", "192.0.2.1"};
  postern_str value{};
  EXPECT_EQ(table().url(handle_of(view), 0, &value), POSTERN_E_NOT_FOUND);
  EXPECT_EQ(table().path_parameter(handle_of(view), str("a"), &value), POSTERN_E_NOT_FOUND);
  EXPECT_EQ(parameter(view, 0), "a=1") << "but the body says what it is";
}

TEST(Surroundings, AreThePluginsToKnow) {
  postern_host host;
  EXPECT_EQ(text(table().public_url(&host)), "");
  EXPECT_EQ(table().trusts_proxies(&host), 0u);
  host.surroundings = {"https://hooks.acme.io", true, {}};
  EXPECT_EQ(text(table().public_url(&host)), "https://hooks.acme.io");
  EXPECT_EQ(table().trusts_proxies(&host), 1u);
}

}  // namespace
}  // namespace postern::extension
