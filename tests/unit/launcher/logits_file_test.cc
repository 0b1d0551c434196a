#include "launcher/eval/logits_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/json.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

TEST(LogitsFile, HoldsMatricesInOrderWithoutTheDroppedOnes) {
  const fs::path folder = fs::path(testing::TempDir()) / "logits_file_test";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const fs::path path = folder / "out.safetensors";
  {
    LogitsFile file(path);
    const auto a = file.add("logits_0", 2, 3);
    const auto b = file.add("logits_1", 1, 3);
    const auto c = file.add("logits_2", 1, 3);
    file.write(c, 0, std::vector<float>{7, 8, 9});
    file.write(a, 1, std::vector<float>{4, 5, 6});
    file.write(a, 0, std::vector<float>{1, 2, 3});
    file.drop(b);
    EXPECT_FALSE(fs::exists(path));
    file.finish();
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1) << "nothing else is left";

  std::ifstream input(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(input), {}};
  uint64_t header_bytes = 0;
  ASSERT_GE(bytes.size(), sizeof(header_bytes));
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  ASSERT_EQ(bytes.size(), sizeof(header_bytes) + header_bytes + 9 * sizeof(float));
  const auto header = parse_json(std::string_view(bytes).substr(sizeof(header_bytes), header_bytes));
  ASSERT_TRUE(std::holds_alternative<Json>(header));
  const Json& tensors = std::get<Json>(header);
  EXPECT_EQ(tensors.find("logits_1"), nullptr);
  ASSERT_NE(tensors.find("logits_2"), nullptr);
  EXPECT_EQ(*tensors.find("logits_2")->find("data_offsets"), Json(Json::Array{24, 36}));
  EXPECT_EQ(*tensors.find("logits_0")->find("shape"), Json(Json::Array{2, 3}));
  std::vector<float> values(9);
  std::memcpy(values.data(), bytes.data() + sizeof(header_bytes) + header_bytes, 36);
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  fs::remove_all(folder);
}

TEST(LogitsFile, AFolderThatIsNotThereIsAUsageError) {
  try {
    const LogitsFile file("/nonexistent/folder/out.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

}  // namespace
}  // namespace longship
