// What a plan says a rank allocates and reads is what it then allocates and reads, byte for byte.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <optional>

#include "engine/models/families.h"
#include "engine/sample/row_sampler.h"
#include "launcher/assemble.h"
#include "tests/support/fixtures.h"

namespace {

// Memory of tensors comes from these two functions; the program's own definitions come before the C library's.
std::atomic<int64_t> allocated_bytes = 0;

}  // namespace

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  allocated_bytes += static_cast<int64_t>(size);
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

extern "C" void* mmap(void* address, std::size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if ((flags & MAP_ANONYMOUS) != 0) {
    allocated_bytes += static_cast<int64_t>(size);
  }
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, size, protection, flags, fd, offset));
}

namespace longship {
namespace {

struct Case {
  const char* model;
  const char* backend;
  bool exact;
  int tp;
  int pp;
};

class Plan : public ::testing::TestWithParam<Case> {};

TEST_P(Plan, IsWhatRanksAllocateAndRead) {
  const Case& p = GetParam();
  EngineOptions options;
  options.model = testing::data_path(p.model);
  options.tp = p.tp;
  options.pp = p.pp;
  options.backend = p.backend;
  options.exact = p.exact;
  options.max_num_seqs = 2;
  options.max_batched_tokens = 64;
  const MemoryPlan plan = plan_memory(options, open_checkpoint(options.model));
  ASSERT_EQ(plan.ranks.size(), static_cast<std::size_t>(p.tp * p.pp));
  const Mesh mesh(1, p.pp, 1, p.tp);
  for (const RankPlan& rank : plan.ranks) {
    const Checkpoint checkpoint = open_checkpoint(options.model);
    const auto kernels = make_kernels({.name = p.backend, .threads = 1, .exact = p.exact});
    Stage stage(checkpoint.config, family_of(checkpoint.config), *checkpoint.weights, *kernels, mesh, rank.coord,
                {.step = {.rows = 64, .logit_rows = 2},
                 .kv_pages = plan.kv_tokens / kPageTokens,
                 .kv_dtype = p.exact ? DType::kF32 : DType::kF16});
    std::optional<RowSampler> sampler;
    if (rank.coord.pp == p.pp - 1) {
      sampler.emplace(vocabulary_shares(checkpoint.config, p.tp), rank.coord.tp, 2);
    }
    const int64_t before = allocated_bytes;
    stage.allocate();
    if (sampler) sampler->allocate();
    EXPECT_EQ(allocated_bytes - before, rank.memory.total_bytes()) << "rank " << rank.rank;
    const uint64_t read_before = checkpoint.weights->bytes_read();
    stage.load([](int64_t) {});
    EXPECT_EQ(static_cast<int64_t>(checkpoint.weights->bytes_read() - read_before), rank.source_bytes)
        << "rank " << rank.rank;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Plan,
                         ::testing::Values(Case{"models/llama", "reference", false, 1, 1},
                                           Case{"models/llama", "cpu", true, 3, 2},
                                           Case{"models/qwen2", "cpu", false, 8, 1},
                                           Case{"gguf-models/llama-Q4_1.gguf", "cpu", false, 2, 3},
                                           Case{"gguf-models/llama-Q4_K_M.gguf", "cpu", false, 3, 2},
                                           Case{"gguf-models/llama-Q6_K.gguf", "cpu", false, 5, 1},
                                           Case{"gguf-models/gpt2-Q8_0.gguf", "cpu", false, 4, 2}));

// Bytes asked of the source over all ranks: those of the file once, and what is replicated. Key/value heads, norms and
// biases are copied to the ranks that need them, the embedding to the shards of the first stage.
TEST(BytesRead, AreTheFilesOncePlusWhatIsReplicated) {
  const auto model = testing::data_path("gguf-models/llama-Q8_0.gguf");
  const auto file_bytes = static_cast<double>(std::filesystem::file_size(model));
  for (const auto& [tp, pp] : {std::pair{1, 1}, std::pair{2, 1}, std::pair{1, 3}, std::pair{2, 3}}) {
    const Mesh mesh(1, pp, 1, tp);
    double read = 0;
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const Checkpoint checkpoint = open_checkpoint(model);
      const auto kernels = make_kernels({.name = "reference"});
      Stage stage(checkpoint.config, family_of(checkpoint.config), *checkpoint.weights, *kernels, mesh,
                  mesh.coord(rank), {.step = {.rows = 1, .logit_rows = 1}, .kv_pages = 1, .kv_dtype = DType::kF16});
      stage.allocate();
      stage.load([](int64_t) {});
      read += static_cast<double>(checkpoint.weights->bytes_read());
    }
    const ModelConfig config = open_checkpoint(model).config;
    const double embedding = static_cast<double>(bytes_of(DType::kQ8_0, config.vocab * config.width));
    const double norms = static_cast<double>((2 * config.layers + 1) * config.width * 4);
    EXPECT_LE(read, 1.05 * file_bytes + (tp - 1) * (embedding + norms)) << "tp " << tp << " pp " << pp;
    EXPECT_GE(read, 0.9 * file_bytes) << "tp " << tp << " pp " << pp;
  }
}

}  // namespace
}  // namespace longship
