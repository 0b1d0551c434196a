#include "engine/backend/kv_page.h"

#include <algorithm>
#include <cmath>

namespace longship {

namespace {

// The values of a head, `stride` apart in the page.
template <class Stored, class Convert>
void write_values(const float* x, int64_t count, const Convert& convert, int64_t stride, std::byte* to) {
  auto* values = reinterpret_cast<Stored*>(to);
  for (int64_t i = 0; i < count; ++i) {
    values[i * stride] = convert(x[i]);
  }
}

void write_row(DType dtype, const float* x, int64_t count, int64_t first, int64_t stride, std::byte* page) {
  if (dtype == DType::kF16) {
    write_values<uint16_t>(x, count, f32_to_f16, stride, page + first * 2);
  } else if (dtype == DType::kBF16) {
    write_values<uint16_t>(x, count, f32_to_bf16, stride, page + first * 2);
  } else {
    write_values<float>(
        x, count, [](float value) { return value; }, stride, page + first * 4);
  }
}

// A scale that takes the largest value to 127; not a number where a value is not finite.
uint16_t scale_of(const float* x) {
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < kKvBlock; ++i) {
    largest = std::max(largest, std::fabs(x[i]));
    finite = finite && std::isfinite(x[i]);
  }
  return f32_to_f16(finite ? largest / 127.0F : NAN);
}

void write_block(const float* x, int64_t stride, std::byte* integers, uint16_t* scale) {
  *scale = scale_of(x);
  const float step = f16_to_f32(*scale);
  const float inverse = step > 0 && std::isfinite(step) ? 1.0F / step : 0.0F;
  for (int64_t i = 0; i < kKvBlock; ++i) {
    const float integer = std::clamp(std::nearbyint(x[i] * inverse), -127.0F, 127.0F);
    reinterpret_cast<int8_t*>(integers)[i * stride] = static_cast<int8_t>(std::isfinite(integer) ? integer : 0.0F);
  }
}

float read(DType dtype, const std::byte* page, int64_t index) {
  const auto half = [&] { return reinterpret_cast<const uint16_t*>(page)[index]; };
  switch (dtype) {
    case DType::kF16:
      return f16_to_f32(half());
    case DType::kBF16:
      return bf16_to_f32(half());
    default:
      return reinterpret_cast<const float*>(page)[index];
  }
}

float scaled(const std::byte* page, int64_t index, int64_t integers, int64_t block) {
  const auto* scales = reinterpret_cast<const uint16_t*>(page + integers);
  return static_cast<float>(reinterpret_cast<const int8_t*>(page)[index]) * f16_to_f32(scales[block]);
}

}  // namespace

void KvPage::write(int64_t column, const float* key, const float* value) const {
  if (dtype_ != DType::kQ8_0) {
    write_row(dtype_, key, head_dim_, column, kPageTokens, keys_);
    write_row(dtype_, value, head_dim_, column * head_dim_, 1, values_);
    return;
  }
  const int64_t blocks = head_dim_ / kKvBlock;
  auto* key_scales = reinterpret_cast<uint16_t*>(keys_ + head_dim_ * kPageTokens);
  auto* value_scales = reinterpret_cast<uint16_t*>(values_ + head_dim_ * kPageTokens);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = block * kKvBlock;
    write_block(key + first, kPageTokens, keys_ + first * kPageTokens + column,
                key_scales + block * kPageTokens + column);
    write_block(value + first, 1, values_ + column * head_dim_ + first, value_scales + column * blocks + block);
  }
}

float KvPage::key(int64_t i, int64_t column) const {
  const int64_t index = i * kPageTokens + column;
  return dtype_ == DType::kQ8_0 ? scaled(keys_, index, head_dim_ * kPageTokens, i / kKvBlock * kPageTokens + column)
                                : read(dtype_, keys_, index);
}

float KvPage::value(int64_t column, int64_t i) const {
  const int64_t index = column * head_dim_ + i;
  return dtype_ == DType::kQ8_0 ? scaled(values_, index, head_dim_ * kPageTokens, (column * head_dim_ + i) / kKvBlock)
                                : read(dtype_, values_, index);
}

}  // namespace longship
