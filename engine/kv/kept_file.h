#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace longship {

/// Memory in a file that another process holds, so that it outlives this one. Movable; mapped as long as the object
/// lives.
class KeptFile {
 public:
  /// Maps `bytes` bytes behind a header that names what they are. Nothing if the file cannot be opened or grow.
  static std::optional<KeptFile> open(const std::filesystem::path& file, std::string_view identity, int64_t bytes);

  KeptFile(KeptFile&& other) noexcept;
  KeptFile& operator=(KeptFile&& other) noexcept;
  ~KeptFile();

  /// An earlier process left the contents, under the same name; else they are zeros.
  bool known() const { return known_; }
  /// 4096-byte aligned; huge pages of the file are such of memory.
  std::byte* data() const { return memory_ + kHeaderBytes; }

 private:
  static constexpr std::size_t kHeaderBytes = 4096;

  KeptFile(std::byte* memory, std::size_t size, bool known) noexcept : memory_(memory), size_(size), known_(known) {}

  std::byte* memory_;
  std::size_t size_;
  bool known_;
};

}  // namespace longship
