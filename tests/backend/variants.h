#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/half.h"
#include "engine/backend/kernels.h"
#include "engine/weights/blocks.h"
#include "engine/weights/quants.h"

namespace longship {

/// One way to make kernels. Whatever is tested here is tested for each of them.
struct Variant {
  std::string name;
  BackendOptions options;
  std::string isa;  ///< LONGSHIP_ISA while they are made; empty: the best one.
  std::unique_ptr<Kernels> (*factory)(const BackendOptions&) = make_kernels;
  bool slow = false;  ///< Emulated: tests take fewer sizes.

  /// Null where this CPU lacks the instruction set.
  std::unique_ptr<Kernels> make() const {
    if (isa.empty()) {
      return factory(options);
    }
    setenv("LONGSHIP_ISA", isa.c_str(), 1);
    std::unique_ptr<Kernels> kernels;
    try {
      kernels = factory(options);
    } catch (const Error&) {
    }
    unsetenv("LONGSHIP_ISA");
    return kernels;
  }

  friend void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }
};

inline Variant make_variant(const char* name, const char* backend, bool exact, const char* isa) {
  Variant variant;
  variant.name = name;
  variant.options.name = backend;
  variant.options.exact = exact;
  variant.isa = isa;
  return variant;
}

/// What each program of these tests defines: the variants that it tests, those of them that are compared with the
/// reference, and some that differ in the number of threads.
std::vector<Variant> every_variant();
std::vector<Variant> variants_near_reference();
std::vector<Variant> variants_with_threads();

/// Copies of tensors to and from a device's memory.
inline Tensor to_device(Kernels& kernels, const Tensor& host, Stream& stream) {
  Tensor device = kernels.allocate(host.dtype(), host.shape());
  kernels.write(host.data<void>(), device, stream);
  return device;
}

inline Tensor to_host(Kernels& kernels, const Tensor& device, Stream& stream) {
  Tensor host = Tensor::allocate(device.dtype(), device.shape());
  kernels.read(device, host.data<void>(), stream);
  return host;
}

/// A test of the kernels of one variant.
class BackendTest : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    kernels_ = GetParam().make();
    if (kernels_ == nullptr) {
      GTEST_SKIP() << "this CPU cannot run " << GetParam().name;
    }
    stream_ = kernels_->make_stream();
  }

  Kernels& kernels() { return *kernels_; }
  Stream& stream() { return *stream_; }

  Tensor to_device(const Tensor& host) { return longship::to_device(kernels(), host, stream()); }
  Tensor to_host(const Tensor& device) { return longship::to_host(kernels(), device, stream()); }
  /// Values [..] f32 of the device.
  Tensor device_tensor(const Shape& shape) { return kernels().allocate(DType::kF32, shape); }

 private:
  std::unique_ptr<Kernels> kernels_;
  std::unique_ptr<Stream> stream_;
};

inline std::string variant_name(const testing::TestParamInfo<Variant>& info) {
  return info.param.name;
}

inline constexpr DType kWeightTypes[] = {
    DType::kF32,  DType::kF16,    DType::kBF16,  DType::kQ8_0,    DType::kQ4_0, DType::kQ4_1,
    DType::kQ5_0, DType::kQ5_1,   DType::kQ2_K,  DType::kQ3_K,    DType::kQ4_K, DType::kQ5_K,
    DType::kQ6_K, DType::kIQ4_NL, DType::kMXFP4, DType::kF8_E4M3,
};

/// Values that depend on the seed alone.
class RandomData {
 public:
  explicit RandomData(unsigned seed) : random_(seed) {}

  int64_t pick(std::initializer_list<int64_t> values) { return values.begin()[random_() % values.size()]; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }

  Tensor tensor(const Shape& shape, float spread = 1.0F) {
    Tensor x = Tensor::allocate(DType::kF32, shape);
    std::normal_distribution<float> normal(0.0F, spread);
    for (float& value : x.values<float>()) {
      value = normal(random_);
    }
    return x;
  }

  /// A matrix as a file holds it, rows of whole blocks, of plausible values: random quants, scales of a few hundredths.
  std::vector<std::byte> stored(DType dtype, int64_t rows, int64_t columns) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(rows * bytes_of_blocks(dtype, columns)));
    for (std::byte& byte : bytes) {
      byte = static_cast<std::byte>(random_());
    }
    std::normal_distribution<float> normal(0.0F, 0.05F);
    for (std::size_t at = 0; at < bytes.size(); at += static_cast<std::size_t>(info(dtype).block_bytes)) {
      const float scale = normal(random_);
      if (is_block_quantised(dtype)) {
        set_scales(dtype, scale, normal(random_), &bytes[at]);
      } else {
        store_value(dtype, scale, &bytes[at]);
      }
    }
    return bytes;
  }

  /// Activations as products with weights of `dtype` may round them: whole multiples of a scale for each 32 columns, or
  /// bf16.
  Tensor rounded_tensor(DType dtype, const Shape& shape) {
    Tensor x = tensor(shape);
    if (dtype == DType::kBF16) {
      for (float& value : x.values<float>()) value = bf16_to_f32(f32_to_bf16(value));
    }
    if (!is_block_quantised(dtype)) {
      return x;
    }
    for (int64_t row = 0; row < shape[0]; ++row) {
      for (int64_t k = 0; k + 32 <= shape[1]; k += 32) {
        float* block = x.data<float>() + row * shape[1] + k;
        float largest = 0;
        for (int64_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(block[i]));
        const float scale = largest / 127;
        for (int64_t i = 0; i < 32; ++i) block[i] = scale * std::nearbyint(block[i] / scale);
      }
    }
    return x;
  }

 private:
  std::mt19937 random_;
};

/// A packed weight and the memory that holds it.
struct PackedWeight {
  Tensor memory;
  Weight weight;
};

/// Packs rows and columns [.., ..) of a stored matrix, `chunk` rows a call.
inline PackedWeight pack(Kernels& kernels, const StoredMatrix& stored, int64_t chunk = Kernels::kPackRows) {
  PackedWeight packed;
  packed.memory = kernels.allocate(DType::kU8, {kernels.packed_bytes(stored.dtype, stored.rows, stored.columns)});
  packed.weight = {stored.dtype, stored.rows, stored.columns, packed.memory.data<std::byte>()};
  for (int64_t row = 0; row < stored.rows; row += chunk) {
    const int64_t rows = std::min(chunk, stored.rows - row);
    StoredMatrix some{stored.dtype, rows, stored.columns, stored.row(row), stored.skip, stored.stride_bytes};
    some.scales = stored.scales;
    some.scales.values += row * stored.scales.per_row;
    kernels.pack(some, row, packed.weight);
  }
  return packed;
}

inline void expect_same_bits(std::span<const float> a, std::span<const float> b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << what;
}

inline void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  expect_same_bits(a.values<float>(), b.values<float>(), what);
}

}  // namespace longship
