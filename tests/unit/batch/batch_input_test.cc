#include "launcher/batch/batch_input.h"

#include "tests/unit/batch/batch_files.h"

namespace longship {
namespace {

class BatchInputTest : public BatchFiles {
 protected:
  std::string refusal(const std::string& text) {
    BatchInput input(put("in", text));
    try {
      check_batch(input);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.cause();
    }
    return "";
  }
};

TEST_F(BatchInputTest, LinesKeepTheirNumbers) {
  BatchInput input(put("in", "\n{\"custom_id\":\"a\"}\r\n \t\n{\"custom_id\":\"b\",\"url\":\"/x\"}"));
  const auto lines = check_batch(input);
  EXPECT_EQ(lines, (std::unordered_map<std::string, int64_t>{{"a", 2}, {"b", 4}}));
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(input.next()->custom_id, "a");
    const std::optional<BatchLine> second = input.next();
    EXPECT_EQ(second->number, 4);
    EXPECT_EQ(*second->request.find("url"), Json("/x"));
    EXPECT_FALSE(input.next().has_value());
    EXPECT_FALSE(input.next().has_value());
    input.rewind();
  }
}

TEST_F(BatchInputTest, ErrorsNameTheirLines) {
  EXPECT_EQ(refusal("{\"custom_id\":\"a\"}\n"), "");
  EXPECT_EQ(refusal(""), "");
  const std::string all = refusal(
      "{\"custom_id\":\"a\"}\n{\n[]\n{\"custom_id\":1}\n{\"custom_id\":\"\"}\n{\"custom_id\":\"b\"}\n{\"custom_id\":"
      "\"a\"}");
  for (const char* text : {"line 2: it is not JSON", "line 3: \"custom_id\"", "line 4: \"custom_id\"",
                           "line 5: \"custom_id\"", "line 7: the custom_id \"a\" is that of line 1"}) {
    EXPECT_NE(all.find(text), std::string::npos) << text << " in " << all;
  }
  EXPECT_EQ(all.find("line 6"), std::string::npos);
}

TEST_F(BatchInputTest, ManyErrorsAreCounted) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "x\n";
  const std::string all = refusal(text);
  EXPECT_NE(all.find("line 10:"), std::string::npos);
  EXPECT_EQ(all.find("line 11:"), std::string::npos);
  EXPECT_NE(all.find("and 90 more"), std::string::npos);
}

TEST_F(BatchInputTest, ALineMayNotBeEndless) {
  const std::string all = refusal(std::string((std::size_t{16} << 20U) + 9, 'a') + "\n{\"custom_id\":\"b\"}\nx");
  EXPECT_NE(all.find("line 1: it is longer than 16 MiB; line 3:"), std::string::npos) << all.substr(0, 200);
}

TEST_F(BatchInputTest, WhatIsNoFileIsRefused) {
  EXPECT_THROW(BatchInput(folder_ / "nothing"), Error);
  EXPECT_THROW(BatchInput{folder_}, Error);
  EXPECT_THROW(BatchInput("/dev/null"), Error);
}

}  // namespace
}  // namespace longship
