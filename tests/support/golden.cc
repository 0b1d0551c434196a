#include "tests/support/golden.h"

namespace longship::testing {

namespace {

// A safetensors file of I32 and F32 tensors, by hand: the weight sources refuse I32.
struct TensorFile {
  Json header;
  std::string bytes;
  std::size_t data = 0;
};

TensorFile read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  TensorFile result;
  result.bytes.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  uint64_t length = 0;
  std::memcpy(&length, result.bytes.data(), sizeof(length));
  result.header = std::get<Json>(parse_json(std::string_view(result.bytes).substr(8, length)));
  result.data = 8 + length;
  return result;
}

template <class T>
std::vector<T> values(const TensorFile& file, const std::string& name) {
  const Json& offsets = *file.header.find(name)->find("data_offsets");
  const auto begin = static_cast<std::size_t>(offsets.as_array()[0].as_int());
  const auto end = static_cast<std::size_t>(offsets.as_array()[1].as_int());
  std::vector<T> result((end - begin) / sizeof(T));
  std::memcpy(result.data(), file.bytes.data() + file.data + begin, end - begin);
  return result;
}

}  // namespace

std::vector<GoldenPrompt> read_golden(const std::filesystem::path& path) {
  const TensorFile file = read_file(path);
  std::vector<GoldenPrompt> prompts;
  for (int k = 0; file.header.find("prompt_" + std::to_string(k)) != nullptr; ++k) {
    const std::string suffix = std::to_string(k);
    prompts.push_back({values<int32_t>(file, "prompt_" + suffix), values<float>(file, "logits_" + suffix),
                       values<int32_t>(file, "greedy_" + suffix)});
  }
  return prompts;
}

}  // namespace longship::testing
