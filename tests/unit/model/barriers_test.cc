// How often the threads of a rank wait for each other in a layer: what a step costs beside its work.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <vector>

#include "comm/transport.h"
#include "core/thread_pool.h"
#include "engine/model/checkpoint.h"
#include "engine/model/stage.h"
#include "engine/models/families.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

struct Case {
  std::string name;
  int tp = 1;
  int sequences = 1;
  int64_t rows = 1;     ///< Of each sequence in the step.
  int64_t context = 0;  ///< Tokens of each sequence before the step.
  int64_t most = 0;     ///< Waits in a layer.
};

std::ostream& operator<<(std::ostream& out, const Case& test) {
  return out << test.name << "_tp" << test.tp;
}

constexpr int64_t kRows = 512;
constexpr int64_t kPagesOfSequence = 34;

// A folder with the shape of a small Llama.
class ModelFolder {
 public:
  ModelFolder(int layers, int rank)
      : folder_(fs::temp_directory_path() / ("barriers" + std::to_string(getpid()) + "_" + std::to_string(rank))) {
    fs::create_directories(folder_);
    std::ofstream(folder_ / "config.json")
        << R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":256,"hidden_size":768,)"
        << R"("intermediate_size":1536,"num_attention_heads":6,"num_key_value_heads":6,"rms_norm_eps":1e-5,)"
        << R"("max_position_embeddings":4096,"rope_theta":10000.0,"tie_word_embeddings":true,"num_hidden_layers":)"
        << layers << "}";
  }
  ~ModelFolder() { fs::remove_all(folder_); }
  ModelFolder(const ModelFolder&) = delete;
  ModelFolder& operator=(const ModelFolder&) = delete;

  const fs::path& folder() const { return folder_; }

 private:
  fs::path folder_;
};

StepPlan plan_of(int sequences, int64_t rows, int64_t begin) {
  StepPlan plan;
  for (int sequence = 0; sequence < sequences; ++sequence) {
    PlanSlice slice{.begin = begin, .rows = rows, .logit_rows = 1, .pages = {}};
    for (int32_t page = 0; page * kPageTokens < begin + rows; ++page) {
      slice.pages.push_back(static_cast<int32_t>(sequence * kPagesOfSequence) + page);
    }
    plan.slices.push_back(slice);
    plan.tokens.insert(plan.tokens.end(), static_cast<std::size_t>(rows), sequence % 256);
  }
  return plan;
}

// Of a step of this rank, two threads each.
int64_t waits_in_step(const Case& test, Transport& transport, int layers) {
  const ModelFolder model(layers, transport.rank());
  Checkpoint checkpoint = open_synthetic(model.folder(), DType::kQ4_0);
  const std::unique_ptr<Kernels> kernels = make_kernels({.threads = 2});
  const Mesh mesh(1, 1, 1, test.tp);
  const Coord me{.tp = transport.rank()};
  const int64_t pages = test.sequences * kPagesOfSequence;
  Stage stage(checkpoint.config, family_of(checkpoint.config), *checkpoint.weights, *kernels, mesh, me,
              {.step = {.rows = kRows, .logit_rows = 16}, .kv_pages = pages});
  stage.allocate();
  stage.load([](int64_t) {});
  const std::unique_ptr<Communicator> tp = transport.split(0, transport.rank());
  const std::unique_ptr<Communicator> pp = transport.split(transport.rank(), 0);
  const std::unique_ptr<Stream> stream = kernels->make_stream();
  Ops ops(*kernels);
  RankContext ctx{mesh, me, *tp, *pp, ops, stage.workspace(), *stream};
  for (int64_t begin = 0; begin < test.context; begin += kRows) {
    stage.execute(plan_of(test.sequences, std::min(kRows, test.context - begin), begin), ctx);
  }
  const int64_t before = ThreadPool::waits_of_this_thread();
  stage.execute(plan_of(test.sequences, test.rows, test.context), ctx);
  return ThreadPool::waits_of_this_thread() - before;
}

class Barriers : public testing::TestWithParam<Case> {};

// What a step costs beside its layers cancels out.
TEST_P(Barriers, AreFewInALayer) {
  run_thread_ranks(GetParam().tp, [](Transport& transport) {
    const int64_t one = waits_in_step(GetParam(), transport, 1);
    const int64_t three = waits_in_step(GetParam(), transport, 3);
    EXPECT_LE((three - one) / 2, GetParam().most);
    EXPECT_GE((three - one) / 2, 3) << "they are counted";
  });
}

// A rank that decodes waits as often as it multiplies by weights, and once for attention. Where there are many rows,
// what is done to each row by itself is shared by the threads as well, which is faster than to spare the wait:
// rotation, the quantisation of attention's output, and two norms.
std::vector<Case> cases() {
  constexpr int64_t kDecode = 5;
  constexpr int64_t kManyRows = kDecode + 4;
  std::vector<Case> all;
  for (const int tp : {1, 2}) {
    all.push_back({.name = "decode", .tp = tp, .most = kDecode});
    all.push_back({.name = "deep_decode", .tp = tp, .context = 2048, .most = kDecode});
    all.push_back({.name = "decode_of_16", .tp = tp, .sequences = 16, .most = kManyRows});
    all.push_back({.name = "prefill", .tp = tp, .rows = 512, .most = kManyRows});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cases, Barriers, testing::ValuesIn(cases()), testing::PrintToStringParamName());

}  // namespace
}  // namespace longship
