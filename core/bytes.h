#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace longship {

using Bytes = std::vector<std::byte>;

/// Appends plain values to a frame, in the byte order of the host (frames never leave the job).
class ByteWriter {
 public:
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) { append(&value, sizeof(T)); }
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put_span(std::span<const T> values) {
    put(static_cast<uint64_t>(values.size()));
    append(values.data(), values.size_bytes());
  }
  void put_string(std::string_view text) { put_span(std::span<const char>(text.data(), text.size())); }

  Bytes take() { return std::move(bytes_); }

 private:
  void append(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
  }
  Bytes bytes_;
};

/// Reads what ByteWriter wrote. A frame that ends early or claims more than it holds throws kRank.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  requires std::is_trivially_copyable_v<T> T get() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  template <class T>
  requires std::is_trivially_copyable_v<T> std::vector<T> get_vector() {
    const auto count = get<uint64_t>();
    if (count > bytes_.size() / sizeof(T)) {
      truncated();
    }
    std::vector<T> values(count);
    if (count != 0) {
      std::memcpy(values.data(), take(count * sizeof(T)).data(), count * sizeof(T));
    }
    return values;
  }
  std::string get_string() {
    const std::vector<char> text = get_vector<char>();
    return {text.begin(), text.end()};
  }
  bool done() const { return bytes_.empty(); }

 private:
  [[noreturn]] static void truncated() {
    throw Error(ErrorKind::kRank, "a frame between ranks is shorter than it says",
                "Check that every rank runs the same version of longship.");
  }
  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size()) {
      truncated();
    }
    const auto part = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return part;
  }
  std::span<const std::byte> bytes_;
};

}  // namespace longship
