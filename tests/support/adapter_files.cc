#include "tests/support/adapter_files.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "core/error.h"
#include "core/half.h"

namespace longship::testing {

namespace fs = std::filesystem;

StoredTensor f32_tensor(std::string name, Shape shape, const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return {std::move(name), "F32", std::move(shape), std::move(bytes)};
}

std::vector<float> f32_values(const StoredTensor& tensor) {
  LONGSHIP_CHECK(tensor.dtype == "F32", "values of F32");
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

std::vector<StoredTensor> read_safetensors(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  uint64_t length = 0;
  std::memcpy(&length, text.data(), sizeof(length));
  const Json header = std::get<Json>(parse_json(std::string_view(text).substr(sizeof(length), length)));
  std::vector<StoredTensor> tensors;
  for (const auto& [name, entry] : header.as_object()) {
    if (name == "__metadata__") {
      continue;
    }
    StoredTensor tensor{name, entry.find("dtype")->as_string(), {}, {}};
    for (const Json& extent : entry.find("shape")->as_array()) {
      tensor.shape.push_back(extent.as_int());
    }
    const Json::Array& range = entry.find("data_offsets")->as_array();
    const auto begin = static_cast<std::size_t>(range[0].as_int());
    tensor.bytes = text.substr(sizeof(length) + length + begin, static_cast<std::size_t>(range[1].as_int()) - begin);
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void write_safetensors(const fs::path& path, const std::vector<StoredTensor>& tensors) {
  Json header(Json::Object{});
  int64_t offset = 0;
  std::string data;
  for (const StoredTensor& tensor : tensors) {
    Json::Array shape;
    for (const int64_t extent : tensor.shape) {
      shape.emplace_back(extent);
    }
    const auto end = offset + static_cast<int64_t>(tensor.bytes.size());
    Json entry;
    entry.set("dtype", tensor.dtype);
    entry.set("shape", std::move(shape));
    entry.set("data_offsets", Json::Array{Json(offset), Json(end)});
    header.set(tensor.name, std::move(entry));
    data += tensor.bytes;
    offset = end;
  }
  const std::string text = dump_json(header);
  const uint64_t length = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof(length));
  file << text << data;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "longship-test-XXXXXX").native();
  LONGSHIP_CHECK(mkdtemp(name.data()) != nullptr, "a folder can be made");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code none;
  fs::remove_all(path_, none);
}

std::vector<AdapterModule> modules_of(const fs::path& model, const std::vector<std::string>& targets, int64_t rank,
                                      bool transposed, const std::string& prefix) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<AdapterModule> modules;
  for (const fs::directory_entry& file : fs::directory_iterator(model)) {
    if (file.path().extension() != ".safetensors" || file.path().filename() == "golden.safetensors") {
      continue;
    }
    for (const StoredTensor& tensor : read_safetensors(file.path())) {
      const std::string name =
          tensor.name.ends_with(kWeight) ? tensor.name.substr(0, tensor.name.size() - kWeight.size()) : std::string();
      if (std::any_of(targets.begin(), targets.end(), [&](const std::string& t) { return name.ends_with("." + t); })) {
        modules.push_back({prefix + name, tensor.shape[transposed ? 1 : 0], tensor.shape[transposed ? 0 : 1], rank});
      }
    }
  }
  std::sort(modules.begin(), modules.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return modules;
}

Json adapter_config(const std::vector<std::string>& targets, int64_t rank, double alpha) {
  Json::Array names(targets.begin(), targets.end());
  Json config;
  config.set("peft_type", "LORA");
  config.set("bias", "none");
  config.set("r", rank);
  config.set("lora_alpha", alpha);
  config.set("target_modules", std::move(names));
  config.set("modules_to_save", nullptr);
  config.set("use_dora", false);
  return config;
}

std::vector<StoredTensor> adapter_tensors(const std::vector<AdapterModule>& modules, unsigned seed) {
  std::mt19937 random(seed);
  const auto matrix = [&](int64_t rows, int64_t columns, double spread) {
    std::vector<float> values(static_cast<std::size_t>(rows * columns));
    for (float& value : values) {  // the same numbers with every library
      value = static_cast<float>(spread * (static_cast<double>(random()) / 2147483648.0 - 1.0));
    }
    return values;
  };
  std::vector<StoredTensor> tensors;
  for (const AdapterModule& module : modules) {
    const std::string stem = "base_model.model." + module.name;
    tensors.push_back(
        f32_tensor(stem + ".lora_A.weight", {module.rank, module.columns},
                   matrix(module.rank, module.columns, 1.0 / std::sqrt(static_cast<double>(module.columns)))));
    tensors.push_back(
        f32_tensor(stem + ".lora_B.weight", {module.rows, module.rank}, matrix(module.rows, module.rank, 0.4)));
  }
  return tensors;
}

std::vector<StoredTensor> narrowed(std::vector<StoredTensor> tensors, const std::string& dtype) {
  for (StoredTensor& tensor : tensors) {
    std::vector<uint16_t> values;
    for (const float value : f32_values(tensor)) {
      values.push_back(dtype == "F16" ? f32_to_f16(value) : f32_to_bf16(value));
    }
    tensor.dtype = dtype;
    tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(uint16_t));
  }
  return tensors;
}

void write_adapter(const fs::path& folder, const Json& config, const std::vector<StoredTensor>& tensors) {
  fs::create_directories(folder);
  std::ofstream(folder / "adapter_config.json") << dump_json(config, 2);
  write_safetensors(folder / "adapter_model.safetensors", tensors);
}

}  // namespace longship::testing
