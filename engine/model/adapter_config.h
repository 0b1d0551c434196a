#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace longship {

/// The remedy where an adapter does what this engine does not.
inline constexpr const char* kMergeAdapter =
    "Merge the adapter into its model (merge_and_unload of PEFT), and serve that.";

/// What an adapter_config.json of PEFT says of a LoRA adapter (arXiv 2106.09685), as far as it can be served. Module
/// names are those of the model's modules, "model.layers.0.self_attn.q_proj".
struct AdapterConfig {
  int64_t rank = 0;
  double alpha = 0;
  bool rank_stabilised = false;  ///< The scale is alpha / sqrt(rank) (arXiv 2312.03732), not alpha / rank.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;  ///< Of modules that have ranks of their own.
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<std::string> targets;  ///< Modules, or how their names end; empty: not said as names.

  int64_t rank_of(const std::string& module) const;
  /// What the product of the module's two matrices is multiplied by.
  double scale_of(const std::string& module) const;
  /// Whether `name` is the module, or its last part.
  static bool names(const std::string& name, const std::string& module);
};

/// Errors: kModelFile for a file that is malformed, or says what this engine does not do (DoRA, biases, ...).
AdapterConfig parse_adapter_config(const std::filesystem::path& adapter_config_json);

}  // namespace longship
