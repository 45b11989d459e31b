// A store, and how one looks at the deliveries that are settled in it.
#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/store/store_support.h"

namespace postern::store {

using Kind = Settlement::Kind;

class SettlementTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }

  DeliveryRow row(int64_t delivery) {
    DeliveryFilter filter;
    filter.seq = delivery;
    auto found = store_->deliveries(filter);
    EXPECT_TRUE(found.is_ok());
    EXPECT_THAT(*found, ::testing::SizeIs(1));
    return found->front();
  }
  std::string record(const std::string& key) {
    auto found = store_->record("acme", "things", key);
    EXPECT_TRUE(found.is_ok());
    return *found ? (*found)->value + " v" + std::to_string((*found)->version) : "(none)";
  }
  std::unique_ptr<Settlement> done_with(int64_t delivery, std::vector<RecordWrite> records) {
    auto made = testing::settlement(delivery, Kind::kDone);
    made->records = std::move(records);
    return made;
  }
  std::string everything() {
    return one("SELECT (SELECT count(*) FROM event) || ' ' || (SELECT count(*) FROM delivery)");
  }
};

}  // namespace postern::store
