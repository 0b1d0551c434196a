// What plans say of memory that the device takes once work comes.
#include <gtest/gtest.h>

#include <numeric>

#include "cuda/api.h"
#include "engine/backend/cuda/cuda_kernels.h"
#include "engine/backend/ops.h"
#include "engine/model/checkpoint.h"
#include "engine/model/stage.h"
#include "engine/models/families.h"
#include "tests/support/adapter_files.h"
#include "tests/support/data_path.h"

namespace longship {
namespace {

int64_t free_memory() {
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  cuda::check(cuda::api().memory_info(&free_bytes, &total_bytes), "a test");
  return static_cast<int64_t>(free_bytes);
}

std::unique_ptr<Kernels> kernels() {
  return make_cuda_kernels({.name = "cuda", .deterministic = true}, 0);
}

TEST(PlannedMemory, OfListsOfProductsIsWhatTheyTake) {
  constexpr int64_t kGroups = 5000;
  const std::unique_ptr<Kernels> kernels = longship::kernels();
  const std::unique_ptr<Stream> stream = kernels->make_stream();
  const std::vector<GroupProduct> products(kGroups);
  Tensor x = kernels->allocate(DType::kF32, {1, 64});
  Tensor y = kernels->allocate(DType::kF32, {1, 64});
  Tensor nodes = kernels->allocate(DType::kF32, {1, 1, 64});
  Tensor rows = kernels->allocate(DType::kI32, {1});
  const int32_t zero = 0;
  kernels->write(&zero, rows, *stream);
  const RowGroups groups{rows, rows};
  GroupRoom room;
  const int64_t before = free_memory();
  kernels->grouped_linear(x, groups, products, room, nodes, *stream);
  const int64_t first = before - free_memory();
  EXPECT_EQ(first, kernels->group_list_bytes(kGroups));
  EXPECT_GT(first, kGroups * static_cast<int64_t>(sizeof(void*)));
  kernels->grouped_linear(x, groups, products, room, nodes, *stream);
  EXPECT_EQ(before - free_memory(), first) << "a list that is known";
}

// Each of the seven matrices of a layer that it changes has an A and a B.
TEST(PlannedMemory, OfAnAdapterHasItsLists) {
  const std::vector<std::string> targets = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                            "gate_proj", "up_proj", "down_proj"};
  const testing::TemporaryFolder folder;
  const auto modules = testing::modules_of(data_path("models/llama"), targets, 4, false, "");
  testing::write_adapter(folder.path(), testing::adapter_config(targets, 4, 8.0),
                         testing::narrowed(testing::adapter_tensors(modules, 1), "F16"));
  const std::vector<Adapter> adapters = {Adapter::open(folder.path()), Adapter::open(folder.path())};
  const Checkpoint checkpoint = open_checkpoint(data_path("models/llama"));
  const std::unique_ptr<Kernels> kernels = longship::kernels();
  const auto memory_with = [&](std::size_t count) {
    const Stage stage(checkpoint.config, family_of(checkpoint.config), *checkpoint.weights, *kernels, Mesh(1, 1, 1, 1),
                      {}, {.step = {.rows = 8, .logit_rows = 1}, .kv_pages = 1, .kv_dtype = DType::kF16},
                      std::span(adapters).first(count));
    return stage.memory();
  };
  EXPECT_EQ(memory_with(2).workspace_bytes - memory_with(1).workspace_bytes,
            kernels->group_list_bytes(14 * checkpoint.config.layers));
}

// Draws from more and more rows, whole ones and those of which another rank has the same.
TEST(PlannedMemory, OfDrawsIsEnough) {
  constexpr int64_t kVocab = 3000;
  constexpr int64_t kRows = 17;
  const std::unique_ptr<Kernels> kernels = longship::kernels();
  const std::unique_ptr<Stream> stream = kernels->make_stream();
  Tensor logits = kernels->allocate(DType::kF32, {kRows, kVocab});
  std::vector<float> values(static_cast<std::size_t>(logits.elements()));
  std::iota(values.begin(), values.end(), 0.0F);
  kernels->write(values.data(), logits, *stream);
  const std::vector<Range> whole = {{0, kVocab}};
  const std::vector<Range> halves = {{0, kVocab}, {kVocab, 2 * kVocab}};
  const auto gather = [](const Tensor& mine, Tensor& all, Stream& order) {
    for (int64_t rank = 0; rank < 2; ++rank) {
      cuda::check(cuda::api().memcpy_async(all.data<int32_t>() + rank * mine.elements(), mine.data<void>(),
                                           static_cast<std::size_t>(mine.bytes()), cuda::CopyKind::kDeviceToDevice,
                                           static_cast<cuda::StreamHandle>(order.native())),
                  "a test");
    }
  };
  for (const std::vector<Range>& shares : {whole, halves}) {
    const int64_t before = free_memory();
    const std::unique_ptr<Kernels> own = longship::kernels();
    for (int64_t rows = 1; rows <= kRows; ++rows) {
      std::vector<TokenDraw> draws(static_cast<std::size_t>(rows), {.temperature = 1.0});
      for (std::size_t i = 0; i < draws.size(); ++i) {
        draws[i].row = static_cast<int32_t>(i);
      }
      const auto drawn = shares.size() == 1 ? own->draw_tokens(logits, draws, *stream)
                                            : own->draw_tokens(logits, {.shares = shares, .rank = 0, .gather = gather},
                                                               draws, *stream);
      drawn->read();
      EXPECT_LE(before - free_memory(), own->draw_bytes(rows, shares)) << rows << " rows";
    }
    EXPECT_GT(before - free_memory(), 0);
  }
}

}  // namespace
}  // namespace longship
