#pragma once

#include <filesystem>
#include <memory>
#include <string_view>
#include <thread>

#include "engine/kv/kept_file.h"
#include "engine/weights/packed_copy.h"

namespace longship {

/// Packed weights in memory of another process. Once they are complete a thread of the lowest priority moves them to
/// huge pages, piece by piece, as memory of a file has small ones and products read weights about a tenth slower from
/// these; the next process maps the huge pages at once.
class KeptWeights final : public PackedCopy {
 public:
  /// `bytes` bytes of weights that depend on `facts` alone. Null if the file cannot be opened or grow.
  static std::unique_ptr<KeptWeights> open(const std::filesystem::path& file, std::string_view facts, int64_t bytes);

  KeptWeights(KeptFile file, int64_t bytes);

  bool complete() const override;
  std::byte* data() const override { return file_.data() + kSealBytes; }
  void publish() override;

 private:
  static constexpr int64_t kSealBytes = 4096;

  void use_huge_pages(const std::stop_token& stop) const;

  KeptFile file_;
  int64_t bytes_;
  std::jthread mover_;  // last: it uses the others
};

}  // namespace longship
