#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "engine/weights/packed_copy.h"

namespace longship {

/// What a rank's packed weights are kept as: a file that names all that they depend on.
struct PackIdentity {
  std::string name;   ///< Of the file, up to a hash of `facts`; unique for a model and a rank's place.
  std::string facts;  ///< Checkpoint, packing, parameters: any other text is other weights.
};

/// Facts of a checkpoint's files: where they are, how long, and when they were last changed. Empty for none.
std::string checkpoint_facts(const std::filesystem::path& path);

/// Packed weights on disk, mapped. Movable; the memory lives as long as the object.
class PackFile final : public PackedCopy {
 public:
  /// A complete copy that was published before, mapped for reading and in memory as far as the page cache has it;
  /// nothing if there is none of exactly this identity and size.
  static std::optional<PackFile> open(const std::filesystem::path& folder, const PackIdentity& identity, int64_t bytes);
  /// An unpublished copy in `folder`, zeros to be filled; its space on disk is taken. Errors: kUsage if the file cannot
  /// be made (no space, no permission).
  static PackFile create(const std::filesystem::path& folder, const PackIdentity& identity, int64_t bytes);

  static PackFile open_or_create(const std::filesystem::path& folder, const PackIdentity& identity, int64_t bytes);

  PackFile(PackFile&& other) noexcept;
  PackFile& operator=(PackFile&&) = delete;
  /// Deletes the file if it was never published.
  ~PackFile() override;

  bool complete() const override { return temporary_.empty(); }
  /// 4096-byte aligned.
  std::byte* data() const override { return memory_ + kHeaderBytes; }
  /// Puts the filled copy, once it is on the disk, where open() finds it, in place of what other checkpoints left under
  /// the same name. Errors: kUsage.
  void publish() override;

 private:
  static constexpr std::size_t kHeaderBytes = std::size_t{1} << 16U;

  PackFile(std::filesystem::path path, std::byte* memory, std::size_t size) noexcept
      : path_(std::move(path)), memory_(memory), size_(size) {}
  static std::filesystem::path path_of(const std::filesystem::path& folder, const PackIdentity& identity);
  static std::string header(const PackIdentity& identity, int64_t bytes);

  std::filesystem::path path_;       ///< Once published.
  std::filesystem::path temporary_;  ///< Empty once published.
  std::string stem_;                 ///< Of files that publish() replaces.
  std::byte* memory_;
  std::size_t size_;
};

}  // namespace longship
