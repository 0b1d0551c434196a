#include "launcher/bench/table.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace longship {
namespace {

const std::vector<TableColumn> kColumns = {
    {"test", "test"},
    {"avg_ts", "t/s", 2, 1, "stddev_ts"},
    {"share", "share %", 1, 100},
};

Json row(const char* test, Json speed, double spread) {
  Json json;
  json.set("test", test);
  json.set("avg_ts", std::move(speed));
  json.set("stddev_ts", spread);
  json.set("share", 0.125);
  return json;
}

Json machine() {
  Json json;
  json.set("cpu", "abacus");
  return json;
}

TEST(Table, MarkdownIsAlignedWithSpreadAndFactor) {
  const Json::Array rows = {row("pp512", 1234.5, 0.25), row("tg128", nullptr, 0)};
  EXPECT_EQ(format_results(rows, machine(), kColumns, TableFormat::kMarkdown),
            "cpu: abacus\n\n"
            "|  test |             t/s | share % |\n"
            "|------:|----------------:|--------:|\n"
            "| pp512 | 1234.50 +- 0.25 |    12.5 |\n"
            "| tg128 |       - +- 0.00 |    12.5 |\n");
}

TEST(Table, CsvHasKeysAndPlainValuesAndQuotes) {
  EXPECT_EQ(format_results({row("a,\"b\"", 2.5, 0.5)}, machine(), kColumns, TableFormat::kCsv),
            "test,avg_ts,stddev_ts,share\n\"a,\"\"b\"\"\",2.5,0.5,0.125\n");
}

TEST(Table, JsonIsOneObject) {
  const Json::Array rows = {row("pp512", 2.0, 0.5)};
  const Json all = std::get<Json>(parse_json(format_results(rows, machine(), kColumns, TableFormat::kJson)));
  EXPECT_EQ(all.find("results")->as_array(), rows);
  EXPECT_EQ(*all.find("machine"), machine());
  EXPECT_EQ(all.as_object().size(), 2U);
  Json more;
  more.set("advice", "row");
  const Json with = std::get<Json>(parse_json(format_results(rows, machine(), kColumns, TableFormat::kJson, more)));
  EXPECT_EQ(*with.find("advice"), Json("row"));
}

TEST(Table, KnowsItsFormats) {
  EXPECT_EQ(table_format("csv"), TableFormat::kCsv);
  EXPECT_THROW(table_format("xml"), Error);
}

}  // namespace
}  // namespace longship
