#include "engine/model/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/bytes.h"
#include "engine/weights/blocks.h"

namespace longship {

namespace {

// Llama 3: long wavelengths are stretched by the factor, short ones kept, those between blended.
double scale_llama3(double frequency, const RopeScaling& scaling) {
  const auto original = static_cast<double>(scaling.original_max_positions);
  const double turns = original * frequency / (2 * std::numbers::pi);
  if (turns < scaling.low_freq_factor) {
    return frequency / scaling.factor;
  }
  if (turns > scaling.high_freq_factor) {
    return frequency;
  }
  const double keep = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - keep) * frequency / scaling.factor + keep * frequency;
}

// YaRN section 3.2, "NTK-by-parts": the dimension at which a wavelength makes `turns` turns within the
// original length bounds a ramp from kept to stretched frequencies.
class YarnRamp {
 public:
  YarnRamp(const RopeScaling& scaling, double theta, int64_t head_dim) {
    const auto dimension_of = [&](double turns) {
      const auto original = static_cast<double>(scaling.original_max_positions);
      return static_cast<double>(head_dim) * std::log(original / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(theta));
    };
    low_ = dimension_of(scaling.beta_fast);
    high_ = dimension_of(scaling.beta_slow);
    if (scaling.truncate) {
      low_ = std::floor(low_);
      high_ = std::ceil(high_);
    }
    low_ = std::max(low_, 0.0);
    high_ = std::min(high_, static_cast<double>(head_dim - 1));
    if (low_ == high_) {
      high_ += 0.001;
    }
  }

  double scale(double frequency, double factor, int64_t pair) const {
    const double stretched = std::clamp((static_cast<double>(pair) - low_) / (high_ - low_), 0.0, 1.0);
    return frequency / factor * stretched + frequency * (1 - stretched);
  }

 private:
  double low_;
  double high_;
};

}  // namespace

Rotary::Rotary(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const YarnRamp ramp(scaling, config.rope_theta, config.head_dim);
  for (int64_t pair = 0; pair < config.head_dim / 2; ++pair) {
    double frequency =
        std::pow(config.rope_theta, -2.0 * static_cast<double>(pair) / static_cast<double>(config.head_dim));
    switch (scaling.kind) {
      case RopeScaling::Kind::kNone:
        break;
      case RopeScaling::Kind::kLinear:
        frequency /= scaling.factor;
        break;
      case RopeScaling::Kind::kLlama3:
        frequency = scale_llama3(frequency, scaling);
        break;
      case RopeScaling::Kind::kYarn:
        frequency = ramp.scale(frequency, scaling.factor, pair);
        break;
    }
    frequencies_.push_back(frequency);
  }
  if (scaling.kind == RopeScaling::Kind::kYarn) {
    magnitude_ = scaling.attention_factor != 0.0 ? scaling.attention_factor : 0.1 * std::log(scaling.factor) + 1.0;
  }
}

void Rotary::divide(WeightSource& source, const std::string& divisors) {
  const SourceTensor* tensor = source.find(divisors);
  const auto pairs = static_cast<int64_t>(frequencies_.size());
  if (tensor == nullptr || tensor->shape != Shape{pairs} || is_block_quantised(tensor->dtype)) {
    throw model_file_error(source.path(), divisors, "must hold one plain value for each rotary pair");
  }
  Bytes stored(static_cast<std::size_t>(bytes_of(tensor->dtype, pairs)));
  source.read(*tensor, {0, 1, 0, pairs}, stored);
  std::vector<float> values(frequencies_.size());
  dequantize(tensor->dtype, stored.data(), pairs, values.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!(values[i] > 0.0F)) {
      throw model_file_error(source.path(), divisors, "must be positive");
    }
    frequencies_[i] /= static_cast<double>(values[i]);
  }
}

void Rotary::fill(std::span<const int32_t> positions, float* cos, float* sin) const {
  const std::size_t pairs = frequencies_.size();
  for (const int32_t position : positions) {
    for (std::size_t i = 0; i < pairs; ++i) {
      const double angle = position * frequencies_[i];
      *cos++ = static_cast<float>(std::cos(angle) * magnitude_);
      *sin++ = static_cast<float>(std::sin(angle) * magnitude_);
    }
  }
}

}  // namespace longship
