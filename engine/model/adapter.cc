#include "engine/model/adapter.h"

#include <algorithm>

#include "core/unsupported.h"
#include "engine/model/family.h"
#include "engine/weights/pack_file.h"
#include "engine/weights/sources.h"

namespace longship {

namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kTensors = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kA = ".lora_A.weight";
constexpr std::string_view kB = ".lora_B.weight";
constexpr const char* kOtherModel = "Use an adapter that was trained on this very model.";

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

// A tensor that is none of the two matrices.
[[noreturn]] void refuse_tensor(const std::string& file, const std::string& name) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  const char* what = has("lora_embedding_")         ? "adapters of embeddings are not supported"
                     : has("lora_magnitude_vector") ? "DoRA is not supported"
                     : has(".lora_B.bias")          ? "biases of LoRA are not supported"
                     : has(".lora_")                ? "the name is not one that PEFT gives"
                                                    : "tensors that are trained as a whole are not supported";
  throw unsupported_error(file, name, what, kMergeAdapter);
}

bool is_edge(const std::string& module) {
  return module == "lm_head" || module.ends_with("embed_tokens") || module.ends_with(".wte") ||
         module.ends_with(".wpe");
}

struct ModuleShape {
  int64_t rows = 0;
  int64_t columns = 0;
};

// The products of a model that adapters may change, by the names of their modules.
std::map<std::string, ModuleShape> modules_of(const ModelConfig& config, const ModelFamily& family) {
  std::map<std::string, ModuleShape> modules;
  const int64_t q = config.query_width();
  const int64_t kv = config.kv_width();
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const BlockNames names = family.modules(layer);
    if (names.attention.fused) {
      modules[names.attention.q] = {q + 2 * kv, config.width};
    } else {
      modules[names.attention.q] = {q, config.width};
      modules[names.attention.k] = modules[names.attention.v] = {kv, config.width};
    }
    modules[names.attention.out] = {config.width, q};
    if (config.gated_ffn) {
      modules[names.ffn.gate] = {config.ffn, config.width};
    }
    modules[names.ffn.up] = {config.ffn, config.width};
    modules[names.ffn.down] = {config.width, config.ffn};
  }
  return modules;
}

}  // namespace

Adapter::Adapter(fs::path folder, std::shared_ptr<WeightSource> weights)
    : folder_(std::move(folder)), weights_(std::move(weights)) {}

Adapter Adapter::open(const fs::path& folder) {
  for (const char* name : {kConfig, kTensors}) {
    if (!fs::is_regular_file(folder / name)) {
      throw Error(ErrorKind::kModelFile, "the adapter " + folder.native() + " has no " + name,
                  "Give the folder that PEFT saved, with " + std::string(kConfig) + " and " + kTensors + ".");
    }
  }
  const AdapterConfig config = parse_adapter_config(folder / kConfig);
  Adapter adapter(folder, open_safetensors(folder / kTensors));
  adapter.read_tensors(config);
  adapter.check_targets(config);
  return adapter;
}

void Adapter::read_tensors(const AdapterConfig& config) {
  const std::string& file = weights_->path();
  for (const std::string& name : weights_->unsupported()) {
    weights_->find(name);  // says why
  }
  for (const SourceTensor& tensor : weights_->tensors()) {
    const std::string& name = tensor.name;
    const bool is_a = name.ends_with(kA);
    if (!name.starts_with(kPrefix) || !(is_a || name.ends_with(kB)) || name.size() <= kPrefix.size() + kA.size()) {
      refuse_tensor(file, name);
    }
    if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kF16 && tensor.dtype != DType::kBF16) {
      throw unsupported_error(file, name, "the type is none of F32, F16 and BF16",
                              "Convert the adapter to one of these types.");
    }
    if (tensor.shape.size() != 2 || tensor.shape[0] < 1 || tensor.shape[1] < 1) {
      throw model_file_error(file, name, "the shape is " + shape_text(tensor.shape) + ", which is no matrix");
    }
    AdaptedModule& module = modules_[name.substr(kPrefix.size(), name.size() - kPrefix.size() - kA.size())];
    (is_a ? module.a : module.b) = name;
  }
  if (modules_.empty()) {
    throw model_file_error(file, "", "has no tensors");
  }
  for (auto& [name, module] : modules_) {
    complete(name, module, config);
  }
}

// Both matrices are there and have the rank that the configuration says.
void Adapter::complete(const std::string& name, AdaptedModule& module, const AdapterConfig& config) const {
  const std::string& file = weights_->path();
  if (module.a.empty() || module.b.empty()) {
    throw model_file_error(
        file, module.a.empty() ? module.b : module.a,
        std::string("the matrix ") + (module.a.empty() ? "lora_A" : "lora_B") + " beside it is missing");
  }
  module.rank = config.rank_of(name);
  module.scale = static_cast<float>(config.scale_of(name));
  const Shape& a = weights_->find(module.a)->shape;
  const Shape& b = weights_->find(module.b)->shape;
  if (a[0] != module.rank || b[1] != module.rank) {
    const bool is_a = a[0] != module.rank;
    throw model_file_error(file, is_a ? module.a : module.b,
                           "the shape is " + shape_text(is_a ? a : b) + ", the configuration asks for the rank " +
                               std::to_string(module.rank));
  }
}

// The configuration and the tensors speak of the same modules.
void Adapter::check_targets(const AdapterConfig& config) const {
  const std::string file = (folder_ / kConfig).native();
  if (config.targets.empty()) {
    return;
  }
  for (const auto& [name, module] : modules_) {
    const bool named = std::any_of(config.targets.begin(), config.targets.end(),
                                   [&name = name](const std::string& t) { return AdapterConfig::names(t, name); });
    if (!named) {
      throw model_file_error(weights_->path(), module.a,
                             "target_modules of " + std::string(kConfig) + " leaves it out");
    }
  }
  for (const std::string& target : config.targets) {
    const bool there = std::any_of(modules_.begin(), modules_.end(),
                                   [&](const auto& entry) { return AdapterConfig::names(target, entry.first); });
    if (!there) {
      throw model_file_error(file, "target_modules", std::string(kTensors) + " has no tensors for " + target);
    }
  }
}

const AdaptedModule* Adapter::find(const std::string& module) const {
  const auto found = modules_.find(module);
  return found == modules_.end() ? nullptr : &found->second;
}

std::string Adapter::facts() const {
  return checkpoint_facts(folder_ / kConfig) + checkpoint_facts(folder_ / kTensors);
}

void Adapter::check_fits(const ModelConfig& config, const ModelFamily& family) const {
  const std::string& file = weights_->path();
  const std::map<std::string, ModuleShape> known = modules_of(config, family);
  for (const auto& [name, module] : modules_) {
    const auto found = known.find(name);
    if (found == known.end()) {
      const bool edge = is_edge(name);
      throw unsupported_error(
          file, module.a,
          edge ? "adapters of the embedding and the head are not supported" : "the model has no " + name,
          edge ? kMergeAdapter : kOtherModel);
    }
    const Shape a = {module.rank, found->second.columns};
    const Shape b = {found->second.rows, module.rank};
    for (const auto& [tensor, wanted] : {std::pair(module.a, a), std::pair(module.b, b)}) {
      if (const Shape& shape = weights_->find(tensor)->shape; shape != wanted) {
        throw unsupported_error(file, tensor,
                                "the shape is " + shape_text(shape) + ", the model asks for " + shape_text(wanted),
                                kOtherModel);
      }
    }
  }
}

}  // namespace longship
