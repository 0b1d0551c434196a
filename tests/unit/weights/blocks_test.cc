// Stored values against those of an independent implementation, bit for bit.
#include "engine/weights/blocks.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/bytes.h"
#include "core/json.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

constexpr DType kTypes[] = {DType::kF16,  DType::kBF16, DType::kQ8_0,   DType::kQ4_0, DType::kQ4_1,
                            DType::kQ5_0, DType::kQ5_1, DType::kQ2_K,   DType::kQ3_K, DType::kQ4_K,
                            DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kMXFP4};

// Bytes of a tensor of a safetensors file, of whatever type.
Bytes read_tensor(const std::filesystem::path& path, const std::string& tensor) {
  std::ifstream file(path, std::ios::binary);
  uint64_t header_bytes = 0;
  file.read(reinterpret_cast<char*>(&header_bytes), sizeof(header_bytes));
  std::string header(header_bytes, ' ');
  file.read(header.data(), static_cast<std::streamsize>(header_bytes));
  const Json json = std::get<Json>(parse_json(header));
  const Json::Array& offsets = json.find(tensor)->find("data_offsets")->as_array();
  Bytes bytes(static_cast<std::size_t>(offsets[1].as_int() - offsets[0].as_int()));
  file.seekg(static_cast<std::streamoff>(8 + header_bytes) + offsets[0].as_int());
  file.read(reinterpret_cast<char*>(bytes.data()), std::ssize(bytes));
  return bytes;
}

class Blocks : public ::testing::TestWithParam<DType> {
 protected:
  Bytes read(const std::string& what) const {
    return read_tensor(testing::data_path("gguf/dequant.safetensors"), std::string(name(GetParam())) + "." + what);
  }
  int64_t count() const { return std::ssize(values_) / 4; }

  Bytes blocks_ = read("blocks");
  Bytes values_ = read("values");
};

TEST_P(Blocks, HaveTheirValues) {
  ASSERT_EQ(bytes_of(GetParam(), count()), std::ssize(blocks_));
  std::vector<float> values(static_cast<std::size_t>(count()));
  dequantize(GetParam(), blocks_.data(), count(), values.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::memcmp(&values[i], &values_[4 * i], 4), 0) << i << ": " << values[i];
  }
}

TEST_P(Blocks, GiveAnyOfTheirColumns) {
  const int64_t columns = std::min<int64_t>(1024, count());
  std::vector<float> part(static_cast<std::size_t>(columns));
  for (const Range range : {Range{0, 32}, Range{32, 96}, Range{224, 320}, Range{3, 1000}}) {
    const Range inside{std::min(range.begin, columns), std::min(range.end, columns)};
    dequantize_columns(GetParam(), blocks_.data(), inside, part.data());
    EXPECT_EQ(std::memcmp(part.data(), &values_[static_cast<std::size_t>(4 * inside.begin)],
                          static_cast<std::size_t>(4 * inside.size())),
              0)
        << inside.begin;
  }
}

INSTANTIATE_TEST_SUITE_P(OfEveryType, Blocks, ::testing::ValuesIn(kTypes),
                         [](const auto& test) { return std::string(name(test.param)); });

}  // namespace
}  // namespace longship
