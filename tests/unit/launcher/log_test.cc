#include "launcher/output/log.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

std::string logged(LogFormat format, const std::string& message, const Json& fields) {
  set_log_format(format);
  testing::internal::CaptureStderr();
  log_line(LogLevel::kWarning, message, fields);
  set_log_format(LogFormat::kText);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, NoControlCharacterGetsThrough) {
  EXPECT_EQ(logged(LogFormat::kText, "a\nlongship: b\x1b[2J\x7f\r", Json(Json::Object{})),
            "longship: a\\x0alongship: b\\x1b[2J\\x7f\\x0d\n");
  const std::string line = logged(LogFormat::kJson, "a\nb\x1b", Json(Json::Object{}));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST(Log, JsonLinesHaveTimeLevelMessageAndFields) {
  Json fields;
  fields.set("route", "/v1/\xff\"\n");
  const std::string line = logged(LogFormat::kJson, "served", fields);
  const auto parsed = parse_json(line.substr(0, line.size() - 1));
  const Json* json = std::get_if<Json>(&parsed);
  ASSERT_NE(json, nullptr) << line;
  EXPECT_EQ(json->find("message")->as_string(), "served");
  EXPECT_EQ(json->find("level")->as_string(), "warning");
  EXPECT_EQ(json->find("route")->as_string(), "/v1/\xef\xbf\xbd\"\n");
  const std::string time = json->find("time")->as_string();  // 2026-01-02T03:04:05.678Z
  EXPECT_EQ(time.size(), 24U);
  EXPECT_EQ(time.substr(10, 1) + time.back(), "TZ");
}

}  // namespace
}  // namespace longship
