#include "engine/backend/kernels.h"
#include "engine/model/config_parse.h"

namespace longship {

void check_config(const ModelConfig& config, const ConfigReader& reader, const std::string& heads_key,
                  const std::string& kv_heads_key) {
  constexpr int64_t kMaxLayers = 16384;
  for (const int64_t extent : {config.width, config.heads, config.head_dim, config.ffn, config.query_width()}) {
    if (extent > ConfigReader::kMaxExtent) {
      reader.refuse(heads_key, "sizes above " + std::to_string(ConfigReader::kMaxExtent) + " are not supported");
    }
  }
  if (config.head_dim > kMaxHeadDim) {
    reader.refuse(heads_key, "heads of " + std::to_string(config.head_dim) + " values are not supported, only up to " +
                                 std::to_string(kMaxHeadDim));
  }
  if (config.layers > kMaxLayers) {
    reader.refuse("layers", "more than " + std::to_string(kMaxLayers) + " layers are not supported");
  }
  if (config.kv_heads > config.heads || config.heads % config.kv_heads != 0) {
    reader.fail(kv_heads_key, "the number of heads (" + std::to_string(config.heads) +
                                  ") must be a multiple of the key/value heads (" + std::to_string(config.kv_heads) +
                                  ")");
  }
  if (!config.learned_positions && config.head_dim % 2 != 0) {
    reader.refuse(heads_key, "rotary positions need an even head size");
  }
}

}  // namespace longship
