#include "launcher/bench/serve_sample.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

std::string text_event(const std::string& text) {
  return R"(data: {"choices":[{"index":0,"text":")" + text +
         R"("}]})"
         "\n\n";
}

constexpr const char* kUsage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n";
constexpr const char* kDone = "data: [DONE]\n\n";

TEST(ServeSample, TimesPiecesOfText) {
  AnswerReader reader(1.0);
  reader.read(200, text_event("a"), 1.5);
  reader.read(200, text_event("b"), 1.75);
  reader.read(200, text_event(""), 1.8);  // no text: no token
  reader.read(200, text_event("c") + text_event("d") + kUsage + kDone, 2.0);
  const ServeSample sample = reader.finish(2.0);
  EXPECT_EQ(sample.outcome, ServeSample::Outcome::kSuccess);
  EXPECT_EQ(sample.sent_s, 1.0);
  EXPECT_EQ(sample.first_token_s, 1.5);
  EXPECT_EQ(sample.end_s, 2.0);
  EXPECT_EQ(sample.gaps_s, (std::vector<double>{0.25, 0.25, 0.0}));
  EXPECT_EQ(sample.prompt_tokens, 9);
  EXPECT_EQ(sample.output_tokens, 4);
}

TEST(ServeSample, ReadsChatsCutAtEveryByte) {
  const std::string stream =
      ": a comment\r\n\r\n"
      "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n"
      "data:{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"yes\"}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" +
      std::string(kDone);
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    AnswerReader reader(0);
    reader.read(200, stream.substr(0, cut), 1);
    reader.read(200, stream.substr(cut), 2);
    const ServeSample sample = reader.finish(3);
    EXPECT_EQ(sample.outcome, ServeSample::Outcome::kSuccess) << cut << " " << sample.error;
    EXPECT_EQ(sample.output_tokens, 2) << "counted here, as the server does not";
    EXPECT_EQ(sample.gaps_s.size(), 1U);
  }
}

std::string failure(int status, const std::string& body) {
  AnswerReader reader(0);
  reader.read(status, body, 1);
  const ServeSample sample = reader.finish(2);
  EXPECT_EQ(sample.outcome, ServeSample::Outcome::kFailure);
  return sample.error;
}

TEST(ServeSample, FailuresSayWhy) {
  EXPECT_EQ(failure(429, R"({"error":{"message":"the queue is full"}})"), "HTTP 429: the queue is full");
  EXPECT_EQ(failure(502, "<html>"), "HTTP 502: <html>");
  EXPECT_EQ(failure(200, text_event("a")), "the stream ended without [DONE]");
  EXPECT_EQ(failure(200, "data: {\"error\":{\"message\":\"lost\"}}\n\n" + std::string(kDone)), "lost");
  EXPECT_NE(failure(200, "data: {\n\n").find("not JSON"), std::string::npos);
  AnswerReader reader(0);
  reader.fail("Connection refused");
  const ServeSample sample = reader.finish(5);
  EXPECT_EQ(sample.error, "Connection refused");
  EXPECT_EQ(sample.outcome, ServeSample::Outcome::kFailure);
}

}  // namespace
}  // namespace longship
