#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace longship {

/// A whole file mapped for reading. Movable; any thread may read. A file that shrinks while it is mapped ends the
/// process with SIGBUS, as any mapping does.
class MappedFile {
 public:
  /// Errors: kModelFile if it is not a readable regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace longship
