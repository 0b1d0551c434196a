#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "engine/model/adapter_config.h"
#include "engine/model/config.h"
#include "engine/weights/weight_source.h"

namespace longship {

struct ModelFamily;

/// A module that an adapter changes: its product with x gets scale B (A x) more.
struct AdaptedModule {
  int64_t rank = 0;
  float scale = 1.0F;
  std::string a;  ///< Tensor [rank, in] ...
  std::string b;  ///< ... and tensor [out, rank].
};

/// A LoRA adapter: a folder with adapter_config.json and adapter_model.safetensors, as PEFT writes it.
class Adapter {
 public:
  /// Reads the configuration and the tensors' headers. Errors: kModelFile, also where the adapter is sound but does
  /// what this engine does not.
  static Adapter open(const std::filesystem::path& folder);

  /// What it has for the module that Hugging Face calls so; null for nothing.
  const AdaptedModule* find(const std::string& module) const;
  WeightSource& weights() const { return *weights_; }
  /// Facts of its files, see checkpoint_facts().
  std::string facts() const;
  /// Errors: kModelFile if it changes a module that the model has not, or one of other sizes.
  void check_fits(const ModelConfig& config, const ModelFamily& family) const;

 private:
  Adapter(std::filesystem::path folder, std::shared_ptr<WeightSource> weights);

  void read_tensors(const AdapterConfig& config);
  void complete(const std::string& module, AdaptedModule& adapted, const AdapterConfig& config) const;
  void check_targets(const AdapterConfig& config) const;

  std::filesystem::path folder_;
  std::shared_ptr<WeightSource> weights_;
  std::map<std::string, AdaptedModule> modules_;
};

}  // namespace longship
