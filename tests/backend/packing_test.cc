// Packed weights may lie on disk, named by Kernels::packing(): where these hashes change, that name must.
#include <map>

#include "variants.h"

namespace longship {
namespace {

class PackingTest : public BackendTest {
 protected:
  static constexpr int64_t kRows = 83;
  static constexpr int64_t kColumns = 1024;

  // FNV-1a of a weight whose stored bytes are those of a plain generator.
  uint64_t hash(DType dtype) {
    std::minstd_rand random(7);
    std::vector<std::byte> stored(static_cast<std::size_t>(kRows * bytes_of(dtype, kColumns)));
    for (std::byte& byte : stored) {
      byte = static_cast<std::byte>(random() >> 8U);
    }
    for (std::size_t at = 0; at < stored.size(); at += static_cast<std::size_t>(info(dtype).block_bytes)) {
      const float scale = static_cast<float>(random() % 2000) / 8192.0F;
      if (is_block_quantised(dtype)) {
        set_scales(dtype, 0.001F + scale, scale - 0.1F, &stored[at]);
      } else {
        store_value(dtype, scale, &stored[at]);
      }
    }
    const PackedWeight packed = pack(kernels(), {dtype, kRows, kColumns, stored.data()});
    const Tensor bytes = to_host(packed.memory);
    uint64_t value = 0xcbf29ce484222325U;
    for (const uint8_t byte : bytes.values<uint8_t>()) {
      value = (value ^ byte) * 0x100000001b3U;
    }
    return value;
  }
};

TEST_P(PackingTest, KeepsItsLayoutUnderItsName) {
  const std::map<DType, uint64_t> expected = {
      {DType::kF32, 0x126e584531f19776U},   {DType::kF16, 0x78ac4a446380b003U},
      {DType::kBF16, 0xe400aa7260f6c226U},  {DType::kQ8_0, 0x2d1347f0121f23beU},
      {DType::kQ4_0, 0xd9be559ec1e6290cU},  {DType::kQ4_1, 0xe6f29829466d384U},
      {DType::kQ5_0, 0x403d06f898515cebU},  {DType::kQ5_1, 0x11ec826463d76eeU},
      {DType::kQ2_K, 0xd521203d78c517afU},  {DType::kQ3_K, 0x68f330ff7dfd3e7dU},
      {DType::kQ4_K, 0x2f45480e43d11cacU},  {DType::kQ5_K, 0xead8ce2285b6bd9fU},
      {DType::kQ6_K, 0x9ebc17b3c3a9d4dfU},  {DType::kIQ4_NL, 0x593e609fc37d3d0dU},
      {DType::kMXFP4, 0x98e37e7d4b58bf59U}, {DType::kF8_E4M3, 0x3b289e7d2f4e0978U},
  };
  EXPECT_EQ(kernels().packing(), "cpu 2");
  for (const DType dtype : kWeightTypes) {
    EXPECT_EQ(hash(dtype), expected.at(dtype)) << name(dtype);
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, PackingTest,
                         testing::Values(make_variant("Avx2", "cpu", false, "avx2"),
                                         make_variant("Avx512", "cpu", false, "avx512")),
                         variant_name);

}  // namespace
}  // namespace longship
