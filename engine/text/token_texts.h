#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longship {

/// The texts of a vocabulary, one behind the other: hundreds of thousands of them take few pages of memory.
class TokenTexts {
 public:
  TokenTexts() = default;
  explicit TokenTexts(std::span<const std::string_view> texts) {
    std::size_t bytes = 0;
    for (const std::string_view text : texts) bytes += text.size();
    reserve(texts.size(), bytes);
    for (const std::string_view text : texts) append(text);
  }

  void reserve(std::size_t tokens, std::size_t bytes) {
    ends_.reserve(tokens);
    bytes_.reserve(bytes);
  }
  /// The text of the next id.
  void append(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(bytes_.size());
  }

  int32_t size() const { return static_cast<int32_t>(ends_.size()); }
  /// `id` is below size(). Valid until the next append().
  std::string_view operator[](int32_t id) const {
    const auto place = static_cast<std::size_t>(id);
    const std::size_t begin = place == 0 ? 0 : ends_[place - 1];
    return std::string_view(bytes_).substr(begin, ends_[place] - begin);
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

}  // namespace longship
