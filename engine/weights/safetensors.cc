#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <unordered_set>

#include "core/error.h"
#include "core/json.h"
#include "engine/weights/mapped_file.h"
#include "engine/weights/mapped_tensors.h"
#include "engine/weights/sources.h"

namespace longship {

namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxTensors = 1 << 20;
constexpr std::size_t kMaxNameBytes = 512;
constexpr std::size_t kMaxDimensions = 8;

struct StoredType {
  std::string_view name;
  uint64_t bits;
};

constexpr std::array kStoredTypes = {
    StoredType{"BOOL", 8},    StoredType{"U8", 8},      StoredType{"I8", 8},   StoredType{"F8_E5M2", 8},
    StoredType{"F8_E4M3", 8}, StoredType{"F8_E8M0", 8}, StoredType{"I16", 16}, StoredType{"U16", 16},
    StoredType{"F16", 16},    StoredType{"BF16", 16},   StoredType{"I32", 32}, StoredType{"U32", 32},
    StoredType{"F32", 32},    StoredType{"F64", 64},    StoredType{"I64", 64}, StoredType{"U64", 64},
};

struct Entry {
  std::string name;
  std::string dtype;
  Shape shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// One safetensors file: its header, checked against its bytes.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path) : path_(path.string()), file_(path) {
    const Json header = read_header();
    for (const Json::Member& member : header.as_object()) {
      if (member.first == "__metadata__") {
        check_metadata(member.second);
      } else {
        entries_.push_back(read_entry(member.first, member.second));
      }
    }
    check_layout();
  }

  const std::vector<Entry>& entries() const { return entries_; }
  std::span<const std::byte> bytes(const Entry& entry) const {
    return file_.bytes().subspan(data_ + entry.begin, entry.end - entry.begin);
  }

 private:
  [[noreturn]] void fail(const std::string& place, std::string_view rule) const {
    throw model_file_error(path_, place, rule);
  }

  Json read_header() {
    const std::span<const std::byte> bytes = file_.bytes();
    uint64_t length = 0;
    if (bytes.size() < sizeof(length)) {
      fail("offset 0", "the file is shorter than the 8 bytes of its header's length");
    }
    std::memcpy(&length, bytes.data(), sizeof(length));
    if (length > kMaxHeaderBytes || length > bytes.size() - sizeof(length)) {
      fail("offset 0",
           "a header of " + std::to_string(length) + " bytes is longer than the file or the limit of 100 MB");
    }
    data_ = sizeof(length) + length;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(length), length);
    if (text.empty() || text.front() != '{') {
      fail("offset 8", "the header must begin with {");
    }
    auto parsed = parse_json(text);
    if (const auto* error = std::get_if<JsonError>(&parsed)) {
      fail("offset " + std::to_string(sizeof(length) + error->offset), error->rule);
    }
    const std::size_t end = text.find_last_not_of(' ');
    if (text[end] != '}') {
      fail("offset " + std::to_string(sizeof(length) + end), "only spaces may follow the header's JSON");
    }
    return std::get<Json>(std::move(parsed));
  }

  void check_metadata(const Json& metadata) const {
    if (!metadata.is_object()) {
      fail("__metadata__", "must be an object of strings");
    }
    for (const Json::Member& member : metadata.as_object()) {
      if (!member.second.is_string()) {
        fail("__metadata__." + member.first, "must be a string");
      }
    }
  }

  uint64_t natural(const std::string& place, const Json& value) const {
    if (!value.is_int() || value.as_int() < 0) {
      fail(place, "must be a whole number from 0 to 2^63 - 1");
    }
    return static_cast<uint64_t>(value.as_int());
  }

  Entry read_entry(const std::string& name, const Json& value) const {
    if (name.size() > kMaxNameBytes || entries_.size() >= kMaxTensors) {
      fail(name.substr(0, kMaxNameBytes), "too many tensors, or a name of more than 512 bytes");
    }
    const Json* dtype = value.find("dtype");
    const Json* shape = value.find("shape");
    const Json* offsets = value.find("data_offsets");
    if (dtype == nullptr || shape == nullptr || offsets == nullptr) {
      fail(name, "must be an object with dtype, shape and data_offsets");
    }
    if (!dtype->is_string()) {
      fail(name + ".dtype", "must be a string");
    }
    const auto type = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                   [&](const StoredType& t) { return t.name == dtype->as_string(); });
    if (type == kStoredTypes.end()) {
      fail(name + ".dtype", "the type " + dtype->as_string() + " is unknown");
    }
    if (!shape->is_array() || shape->as_array().size() > kMaxDimensions) {
      fail(name + ".shape", "must be a list of at most 8 dimensions");
    }
    Entry entry{name, dtype->as_string(), {}, 0, 0};
    uint64_t bytes = type->bits / 8;
    for (const Json& extent : shape->as_array()) {
      const uint64_t size = natural(name + ".shape", extent);
      if (__builtin_mul_overflow(bytes, size, &bytes)) {
        fail(name + ".shape", "the size in bytes overflows 64 bits");
      }
      entry.shape.push_back(static_cast<int64_t>(size));
    }
    if (!offsets->is_array() || offsets->as_array().size() != 2) {
      fail(name + ".data_offsets", "must be two numbers");
    }
    entry.begin = natural(name + ".data_offsets", offsets->as_array()[0]);
    entry.end = natural(name + ".data_offsets", offsets->as_array()[1]);
    if (entry.begin > entry.end || entry.end > file_.bytes().size() - data_) {
      fail(name + ".data_offsets", "the tensor must lie within the file, its begin before its end");
    }
    if (entry.end - entry.begin != bytes) {
      fail(name + ".data_offsets", "the length is not that of shape and dtype");
    }
    return entry;
  }

  // In the order of their bytes, tensors follow each other without holes from the header to the end of the file.
  void check_layout() const {
    std::vector<const Entry*> order;
    for (const Entry& entry : entries_) {
      order.push_back(&entry);
    }
    std::sort(order.begin(), order.end(),
              [](const Entry* a, const Entry* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
    uint64_t expected = 0;
    for (const Entry* entry : order) {
      if (entry->begin != expected) {
        fail(entry->name + ".data_offsets", entry->begin < expected ? "the tensor shares bytes with another"
                                                                    : "bytes before the tensor belong to none");
      }
      expected = entry->end;
    }
    if (data_ + expected != file_.bytes().size()) {
      fail("offset " + std::to_string(data_ + expected), "bytes after the last tensor belong to none");
    }
  }

  std::string path_;
  MappedFile file_;
  uint64_t data_ = 0;
  std::vector<Entry> entries_;
};

class SafetensorsWeights : public MappedTensors {
 public:
  explicit SafetensorsWeights(const std::filesystem::path& path) : MappedTensors(path.string()) {}

  void add_file(std::unique_ptr<SafetensorsFile> file, const auto& wanted) {
    for (const Entry& entry : file->entries()) {
      if (!wanted(entry.name)) {
        continue;
      }
      const std::optional<DType> dtype = dtype_from_safetensors(entry.dtype);
      if (dtype && *dtype != DType::kI32 && *dtype != DType::kU8) {
        add({entry.name, *dtype, entry.shape}, file->bytes(entry));
      } else {
        add_unsupported(entry.name, entry.dtype);
      }
    }
    files_.push_back(std::move(file));
  }

 private:
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
};

// A shard lies beside its index: a bare file name, nothing that leads elsewhere.
bool is_bare_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

std::shared_ptr<WeightSource> open_safetensors(const std::filesystem::path& path) {
  auto weights = std::make_shared<SafetensorsWeights>(path);
  weights->add_file(std::make_unique<SafetensorsFile>(path), [](const std::string&) { return true; });
  return weights;
}

std::shared_ptr<WeightSource> open_safetensors_index(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const auto parsed = parse_json(text);
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw model_file_error(path.string(), "offset " + std::to_string(error->offset), error->rule);
  }
  const Json* map = std::get<Json>(parsed).find("weight_map");
  if (map == nullptr || !map->is_object()) {
    throw model_file_error(path.string(), "weight_map", "must be an object of file names");
  }
  std::map<std::string, std::unordered_set<std::string>> shards;
  for (const Json::Member& member : map->as_object()) {
    if (!member.second.is_string() || !is_bare_file_name(member.second.as_string())) {
      throw model_file_error(path.string(), "weight_map." + member.first,
                             "must be the bare name of a file beside the index");
    }
    shards[member.second.as_string()].insert(member.first);
  }
  auto weights = std::make_shared<SafetensorsWeights>(path);
  for (auto& [name, tensors] : shards) {
    if (!std::filesystem::is_regular_file(path.parent_path() / name)) {
      throw model_file_error(path.string(), "weight_map." + *tensors.begin(), "the shard " + name + " is not there");
    }
    auto shard = std::make_unique<SafetensorsFile>(path.parent_path() / name);
    std::unordered_set<std::string> missing = tensors;
    for (const Entry& entry : shard->entries()) {
      missing.erase(entry.name);
    }
    if (!missing.empty()) {
      throw model_file_error(path.string(), "weight_map." + *missing.begin(),
                             "the shard " + name + " does not have it");
    }
    weights->add_file(std::move(shard),
                      [&tensors = tensors](const std::string& tensor) { return tensors.count(tensor) != 0; });
  }
  return weights;
}

}  // namespace longship
