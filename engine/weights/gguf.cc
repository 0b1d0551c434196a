#include "engine/weights/gguf.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "core/utf8.h"
#include "engine/weights/ggml_types.h"
#include "engine/weights/mapped_file.h"

namespace longship {

namespace {

constexpr uint64_t kMaxStringBytes = uint64_t{16} << 20;
constexpr uint64_t kMaxArrayItems = uint64_t{16} << 20;
constexpr uint64_t kMaxKeys = 65536;
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr int kMaxArrayDepth = 8;
// Longer ones are vocabularies, which find_array() gives.
constexpr uint64_t kMaxJsonItems = 4096;
constexpr uint32_t kDefaultAlignment = 32;

enum ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
  kValueTypes
};

// Smallest size of a value of each type in the file; strings and arrays begin with their length.
constexpr uint64_t kValueBytes[kValueTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

// Reads forward through the file. Every length is checked against the bytes that remain.
class Reader {
 public:
  Reader(std::string path, std::span<const std::byte> bytes) : path_(std::move(path)), bytes_(bytes) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }
  /// What errors are about: a key, a tensor, or (empty) the offset.
  void set_place(std::string place) { place_ = std::move(place); }

  [[noreturn]] void fail(std::string_view rule) const { fail_at(place_, rule); }
  [[noreturn]] void fail_at(const std::string& place, std::string_view rule) const {
    throw model_file_error(path_, place.empty() ? "offset " + std::to_string(offset_) : place, rule);
  }

  template <class T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string_view string() {
    const auto size = get<uint64_t>();
    if (size > kMaxStringBytes || size > remaining()) {
      fail("a string of " + std::to_string(size) + " bytes is longer than the file or the limit of 16 MiB");
    }
    const auto text = take(size);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  Json value(uint32_t type) {
    switch (type) {
      case kU8:
        return Json(int64_t{get<uint8_t>()});
      case kI8:
        return Json(int64_t{get<int8_t>()});
      case kU16:
        return Json(int64_t{get<uint16_t>()});
      case kI16:
        return Json(int64_t{get<int16_t>()});
      case kU32:
        return Json(int64_t{get<uint32_t>()});
      case kI32:
        return Json(int64_t{get<int32_t>()});
      case kU64:
        return Json(get<uint64_t>());
      case kI64:
        return Json(get<int64_t>());
      case kF32:
        return Json(static_cast<double>(get<float>()));
      case kF64:
        return Json(get<double>());
      case kBool:
        return boolean();
      case kString:
        return Json(string());
      case kArray:
        return array(1);
      default:
        fail("the value type " + std::to_string(type) + " is unknown");
    }
  }

 private:
  std::span<const std::byte> take(uint64_t size) {
    if (size > remaining()) {
      fail("the file ends inside it, at offset " + std::to_string(bytes_.size()));
    }
    const auto part = bytes_.subspan(offset_, size);
    offset_ += size;
    return part;
  }

  Json boolean() {
    const auto value = get<uint8_t>();
    if (value > 1) {
      fail("a bool must be 0 or 1");
    }
    return Json(value == 1);
  }

  Json array(int depth) {
    const auto type = get<uint32_t>();
    const auto count = get<uint64_t>();
    if (type >= kValueTypes) {
      fail("an array of the unknown type " + std::to_string(type));
    }
    if (count > kMaxArrayItems || count > remaining() / kValueBytes[type]) {
      fail("an array of " + std::to_string(count) + " items is longer than the file or the limit");
    }
    if (depth > kMaxArrayDepth) {
      fail("arrays are nested deeper than " + std::to_string(kMaxArrayDepth));
    }
    Json::Array items;
    if (count > kMaxJsonItems) {
      skip(type, count, depth);
      return Json(std::move(items));
    }
    items.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      items.push_back(type == kArray ? array(depth + 1) : value(type));
    }
    return Json(std::move(items));
  }

  // Checks items without keeping them.
  void skip(uint32_t type, uint64_t count, int depth) {
    if (type != kString && type != kArray && type != kBool) {
      take(count * kValueBytes[type]);
      return;
    }
    for (uint64_t i = 0; i < count; ++i) {
      if (type == kString) {
        string();
      } else if (type == kArray) {
        array(depth + 1);
      } else {
        boolean();
      }
    }
  }

  std::string path_;
  std::span<const std::byte> bytes_;
  uint64_t offset_ = 0;
  std::string place_;
};

template <class T>
T read_at(std::span<const std::byte> bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

// Of an array that the reader has passed.
GgufArray array_at(std::span<const std::byte> bytes) {
  constexpr uint64_t kHead = sizeof(uint32_t) + sizeof(uint64_t);
  return {read_at<uint32_t>(bytes, 0), read_at<uint64_t>(bytes, sizeof(uint32_t)), bytes.subspan(kHead)};
}

template <class T>
std::vector<int64_t> integers_of(std::span<const std::byte> items, uint64_t count) {
  std::vector<int64_t> integers(count);
  for (uint64_t i = 0; i < count; ++i) {
    integers[i] = int64_t{read_at<T>(items, i * sizeof(T))};
  }
  return integers;
}

bool parse_whole(std::string_view text, auto& value) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc() && end.ptr == text.data() + text.size();
}

// The text of an override as a value of the type that it replaces.
Json override_value(const Json* old, const MetadataOverride& change) {
  const auto refuse = [&](std::string_view type) {
    return Error(ErrorKind::kUsage,
                 "--override-kv " + change.key + "=" + change.value + ": the key holds " + std::string(type),
                 "Give a value of that type.");
  };
  const std::string& text = change.value;
  const bool boolean = text == "true" || text == "false";
  int64_t integer = 0;
  double number = 0;
  const bool is_integer = parse_whole(text, integer);
  const bool is_number = parse_whole(text, number);
  if (old == nullptr || old->is_null()) {
    return boolean ? Json(text == "true") : is_integer ? Json(integer) : is_number ? Json(number) : Json(text);
  }
  if (old->is_bool()) {
    if (!boolean) throw refuse("true or false");
    return Json(text == "true");
  }
  if (old->is_int()) {
    if (!is_integer) throw refuse("an integer");
    return Json(integer);
  }
  if (old->is_double()) {
    if (!is_number) throw refuse("a number");
    return Json(number);
  }
  if (!old->is_string()) {
    throw refuse("an array, which cannot be replaced");
  }
  return Json(text);
}

}  // namespace

std::optional<std::vector<std::string_view>> GgufArray::strings() const {
  if (type_ != kString) {
    return std::nullopt;
  }
  std::vector<std::string_view> strings;
  strings.reserve(count_);
  uint64_t offset = 0;
  for (uint64_t i = 0; i < count_; ++i) {
    const auto bytes = read_at<uint64_t>(items_, offset);
    const auto text = items_.subspan(offset + sizeof(uint64_t), bytes);
    strings.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
    offset += sizeof(uint64_t) + bytes;
  }
  return strings;
}

std::optional<std::vector<int64_t>> GgufArray::integers() const {
  switch (type_) {
    case kU8:
      return integers_of<uint8_t>(items_, count_);
    case kI8:
      return integers_of<int8_t>(items_, count_);
    case kU16:
      return integers_of<uint16_t>(items_, count_);
    case kI16:
      return integers_of<int16_t>(items_, count_);
    case kU32:
      return integers_of<uint32_t>(items_, count_);
    case kI32:
      return integers_of<int32_t>(items_, count_);
    case kU64:
    case kI64:
      return integers_of<int64_t>(items_, count_);
    default:
      return std::nullopt;
  }
}

struct GgufFile::Impl {
  Impl(std::filesystem::path file_path) : path(std::move(file_path)), file(path) {}

  std::filesystem::path path;
  MappedFile file;
  uint32_t version = 0;
  Json::Object metadata;
  std::unordered_map<std::string, GgufArray> arrays;
  std::unordered_map<std::string, std::size_t> keys;
  std::vector<GgufTensor> tensors;
  std::unordered_map<std::string, std::size_t> names;

  void read_metadata(Reader& reader, uint64_t count);
  void apply(std::span<const MetadataOverride> overrides);
  uint64_t alignment(const Reader& reader) const;
  void read_tensor(Reader& reader, std::unordered_set<std::string_view>& seen);
  void place_tensors(const Reader& reader, uint64_t alignment);
};

void GgufFile::Impl::read_metadata(Reader& reader, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    reader.set_place("");
    std::string key(reader.string());
    if (key.empty() || !is_utf8(key)) {
      reader.fail("a key must be UTF-8 text");
    }
    reader.set_place(key);
    if (!keys.emplace(key, metadata.size()).second) {
      reader.fail("the key appears twice");
    }
    const auto type = reader.get<uint32_t>();
    const uint64_t begin = reader.offset();
    Json value = reader.value(type);
    if (type == kArray) {
      arrays.emplace(key, array_at(file.bytes().subspan(begin, reader.offset() - begin)));
    }
    metadata.emplace_back(std::move(key), std::move(value));
  }
  reader.set_place("");
}

void GgufFile::Impl::apply(std::span<const MetadataOverride> overrides) {
  for (const MetadataOverride& change : overrides) {
    const auto found = keys.find(change.key);
    if (found != keys.end()) {
      Json& value = metadata[found->second].second;
      value = override_value(&value, change);
    } else {
      keys.emplace(change.key, metadata.size());
      metadata.emplace_back(change.key, override_value(nullptr, change));
    }
  }
}

uint64_t GgufFile::Impl::alignment(const Reader& reader) const {
  const auto found = keys.find("general.alignment");
  if (found == keys.end()) {
    return kDefaultAlignment;
  }
  const Json& value = metadata[found->second].second;
  const int64_t bytes = value.is_int() ? value.as_int() : 0;
  if (bytes <= 0 || bytes > (1 << 30) || (bytes & (bytes - 1)) != 0) {
    reader.fail_at("general.alignment", "must be a power of two");
  }
  return static_cast<uint64_t>(bytes);
}

void GgufFile::Impl::read_tensor(Reader& reader, std::unordered_set<std::string_view>& seen) {
  reader.set_place("tensor info at offset " + std::to_string(reader.offset()));
  const std::string_view tensor_name = reader.string();
  if (!is_utf8(tensor_name) || tensor_name.empty() || tensor_name.size() > 512) {
    reader.fail("a tensor name must be 1 to 512 bytes of UTF-8");
  }
  const auto dims = reader.get<uint32_t>();
  if (dims > 4) {
    reader.fail_at(dims <= 64 ? std::string(tensor_name) : "tensor info of " + std::string(tensor_name),
                   std::to_string(dims) + " dimensions; at most 4 are allowed");
  }
  reader.set_place(std::string(tensor_name));
  if (!seen.insert(tensor_name).second) {
    reader.fail("the tensor appears twice");
  }
  GgufTensor tensor;
  tensor.name = tensor_name;
  uint64_t values = 1;
  for (uint32_t i = 0; i < dims; ++i) {
    const auto extent = reader.get<uint64_t>();
    if (extent == 0 || extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
        extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / values) {
      reader.fail("dimensions must be positive and their product below 2^63");
    }
    values *= extent;
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(extent));
  }
  tensor.ggml_type = reader.get<uint32_t>();
  tensor.offset = reader.get<uint64_t>();
  const GgmlType* type = ggml_type(tensor.ggml_type);
  if (type == nullptr) {
    reader.fail("the tensor type " + std::to_string(tensor.ggml_type) + " is unknown");
  }
  const uint64_t row = tensor.shape.empty() ? 1 : static_cast<uint64_t>(tensor.shape.back());
  if (row % type->block_values != 0) {
    reader.fail("a row of " + std::to_string(row) + " values is not a whole number of " + std::string(type->name) +
                " blocks");
  }
  const uint64_t blocks = values / type->block_values;
  if (blocks > file.bytes().size() / type->block_bytes) {
    reader.fail("the tensor is larger than the file");
  }
  tensor.bytes = blocks * type->block_bytes;
  names.emplace(tensor.name, tensors.size());
  tensors.push_back(std::move(tensor));
}

// Turns offsets into offsets from the beginning of the file, and checks that tensors lie in it apart.
void GgufFile::Impl::place_tensors(const Reader& reader, uint64_t align) {
  const uint64_t size = file.bytes().size();
  const uint64_t data = (reader.offset() + align - 1) / align * align;
  std::vector<const GgufTensor*> order;
  for (GgufTensor& tensor : tensors) {
    if (tensor.offset % align != 0) {
      reader.fail_at(tensor.name, "the offset is not a multiple of the alignment");
    }
    if (data > size || tensor.offset > size - data || tensor.bytes > size - data - tensor.offset) {
      reader.fail_at(tensor.name, "the tensor ends beyond the end of the file at offset " + std::to_string(size));
    }
    tensor.offset += data;
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset) {
      reader.fail_at(order[i]->name, "the tensor shares bytes with " + order[i - 1]->name);
    }
  }
}

std::shared_ptr<const GgufFile> GgufFile::open(const std::filesystem::path& path,
                                               std::span<const MetadataOverride> overrides) {
  auto impl = std::make_unique<Impl>(path);
  Reader reader(path.string(), impl->file.bytes());
  if (impl->file.bytes().size() < 4 || std::memcmp(impl->file.bytes().data(), "GGUF", 4) != 0) {
    reader.fail("the magic is not GGUF");
  }
  reader.get<uint32_t>();
  impl->version = reader.get<uint32_t>();
  if (impl->version != 2 && impl->version != 3) {
    reader.fail_at("offset 4", "version " + std::to_string(impl->version) + " is not supported; versions 2 and 3 are");
  }
  const auto tensor_count = reader.get<uint64_t>();
  // Least sizes in the file: a description of 24 bytes, a key of 13.
  if (tensor_count > kMaxTensors || tensor_count > reader.remaining() / 24) {
    reader.fail_at("offset 8", std::to_string(tensor_count) + " tensors are more than the file can hold");
  }
  const auto key_count = reader.get<uint64_t>();
  if (key_count > kMaxKeys || key_count > reader.remaining() / 13) {
    reader.fail_at("offset 16", std::to_string(key_count) + " keys are more than the file can hold");
  }
  impl->read_metadata(reader, key_count);
  const uint64_t align = impl->alignment(reader);
  std::unordered_set<std::string_view> seen;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    impl->read_tensor(reader, seen);
  }
  impl->place_tensors(reader, align);
  impl->apply(overrides);
  return std::shared_ptr<const GgufFile>(new GgufFile(std::move(impl)));
}

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::~GgufFile() = default;

const std::filesystem::path& GgufFile::path() const {
  return impl_->path;
}
uint32_t GgufFile::version() const {
  return impl_->version;
}
std::span<const GgufTensor> GgufFile::tensors() const {
  return impl_->tensors;
}
std::span<const std::byte> GgufFile::bytes() const {
  return impl_->file.bytes();
}

const Json* GgufFile::find(std::string_view key) const {
  const auto found = impl_->keys.find(std::string(key));
  return found == impl_->keys.end() ? nullptr : &impl_->metadata[found->second].second;
}

const GgufArray* GgufFile::find_array(std::string_view key) const {
  const auto found = impl_->arrays.find(std::string(key));
  return found == impl_->arrays.end() ? nullptr : &found->second;
}

const GgufTensor* GgufFile::find_tensor(std::string_view tensor_name) const {
  const auto found = impl_->names.find(std::string(tensor_name));
  return found == impl_->names.end() ? nullptr : &impl_->tensors[found->second];
}

}  // namespace longship
