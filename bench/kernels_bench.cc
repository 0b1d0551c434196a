// Speed of single kernels of the cpu backend, beside what this machine reaches in the same process.
//
//   longship_bench_kernels [--threads=N] [--small] [--benchmark_filter=REGEX] [--benchmark_format=json]
//
// Columns: GB/s of weights (or keys and values) read, GOPS (a multiply-add counts two), and `of_peak`: the part of the
// read bandwidth or of the arithmetic peak that this is, whichever bounds the kernel.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "bench/made_up_weights.h"
#include "engine/backend/kernels.h"
#include "engine/backend/kv_page.h"

namespace longship {
namespace {

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,
                            DType::kQ5_0, DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kMXFP4};

// Matrices that are to come from memory are at least so large.
constexpr int64_t kPastCachesBytes = int64_t{256} << 20U;

struct Settings {
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  bool small = false;  ///< Sizes that only show that all runs.
};

// One object for the process, as a rank has it.
class Machine {
 public:
  explicit Machine(const Settings& settings)
      : settings_(settings), kernels_(make_kernels({.name = "cpu", .threads = settings.threads, .exact = false})) {}

  Kernels& kernels() { return *kernels_; }
  bool small() const { return settings_.small; }
  const Roofline& roofline(DType dtype) {
    auto& roofline = is_block_quantised(dtype) ? quantised_ : (dtype == DType::kBF16 ? bf16_ : plain_);
    if (roofline.ops_per_s == 0) {
      roofline = kernels_->measure_roofline(dtype);
    }
    return roofline;
  }

 private:
  Settings settings_;
  std::unique_ptr<Kernels> kernels_;
  Roofline plain_;
  Roofline bf16_;
  Roofline quantised_;
};

Tensor random_tensor(const Shape& shape) {
  std::minstd_rand random(1);
  Tensor x = Tensor::allocate(DType::kF32, shape);
  for (float& value : x.values<float>()) {
    value = static_cast<float>(random() % 2048) / 1024.0F - 1.0F;
  }
  return x;
}

// Stored rows of plausible values, and the weight packed from them.
class Matrix {
 public:
  Matrix(Kernels& kernels, DType dtype, int64_t rows, int64_t columns)
      : kernels_(kernels),
        stored_(made_up_rows(dtype, rows, columns)),
        memory_(Tensor::allocate(DType::kU8, {kernels.packed_bytes(dtype, rows, columns)})),
        weight_{dtype, rows, columns, memory_.data<std::byte>()} {
    pack();
  }

  void pack() { kernels_.pack({weight_.dtype, weight_.rows, weight_.columns, stored_.data()}, 0, weight_); }
  const Weight& weight() const { return weight_; }
  int64_t stored_bytes() const { return static_cast<int64_t>(stored_.size()); }
  int64_t packed_bytes() const { return memory_.bytes(); }

 private:
  Kernels& kernels_;
  std::vector<std::byte> stored_;
  Tensor memory_;
  Weight weight_;
};

void count_bytes(benchmark::State& state, int64_t bytes, const Roofline& roofline) {
  using benchmark::Counter;
  const auto total = static_cast<double>(bytes) * static_cast<double>(state.iterations());
  state.counters["GB/s"] = Counter(total / 1e9, Counter::kIsRate);
  state.counters["of_peak"] = Counter(total / roofline.read_bytes_per_s, Counter::kIsRate);
}

void count_ops(benchmark::State& state, int64_t ops, const Roofline& roofline) {
  using benchmark::Counter;
  const auto total = static_cast<double>(ops) * static_cast<double>(state.iterations());
  state.counters["GOPS"] = Counter(total / 1e9, Counter::kIsRate);
  state.counters["of_peak"] = Counter(total / roofline.ops_per_s, Counter::kIsRate);
}

// A product: for one token with a matrix larger than the caches, bound by its bytes, for many by arithmetic.
void linear(benchmark::State& state, Machine& machine, DType dtype, int64_t tokens) {
  const int64_t columns = machine.small() ? 256 : 4096;
  Kernels& kernels = machine.kernels();
  const int64_t lines = kPastCachesBytes / kernels.packed_bytes(dtype, 64, columns) * 64;
  const int64_t rows = machine.small() ? 64 : (tokens == 1 ? lines : 4096);
  const Roofline& roofline = machine.roofline(dtype);
  const Matrix matrix(kernels, dtype, rows, columns);
  const Tensor x = random_tensor({tokens, columns});
  Tensor y = Tensor::allocate(DType::kF32, {1, tokens, rows});
  const GroupStep whole{0, columns, 0, true};
  kernels.reserve(tokens, columns);
  Stream stream;
  for ([[maybe_unused]] auto _ : state) {
    kernels.linear(x, {&matrix.weight(), 1}, {&whole, 1}, y, stream);
  }
  if (tokens == 1) {
    count_bytes(state, matrix.packed_bytes(), roofline);
  } else {
    count_ops(state, 2 * tokens * rows * columns, roofline);
  }
}

// Seconds for a GB of stored weights and one thread: the rate's inverse, which is what a load waits for.
void packing(benchmark::State& state, Machine& machine, DType dtype) {
  Matrix matrix(machine.kernels(), dtype, machine.small() ? 64 : 4096, machine.small() ? 256 : 4096);
  for ([[maybe_unused]] auto _ : state) {
    matrix.pack();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * matrix.stored_bytes());
}

// As many layers as do not fit into the caches, in turn, each with a sequence of `depth` keys, of which the last
// `tokens` attend: 12 query heads on 2 key/value heads of 128.
void attention(benchmark::State& state, Machine& machine, DType dtype, int64_t tokens, int64_t depth) {
  constexpr int64_t kHeads = 12;
  constexpr int64_t kKvHeads = 2;
  constexpr int64_t kHeadDim = 128;
  depth = machine.small() ? std::max<int64_t>(tokens, 128) : depth;
  Kernels& kernels = machine.kernels();
  const Roofline& roofline = machine.roofline(DType::kF32);
  const int64_t pages = (depth + kPageTokens - 1) / kPageTokens;
  const int64_t page_bytes = bytes_of(dtype, kHeadDim * kPageTokens);
  const int64_t layer_bytes = 2 * pages * kKvHeads * page_bytes;
  std::vector<KvLayer> layers;
  for (int64_t left = machine.small() || tokens > 1 ? 1 : kPastCachesBytes; left > 0; left -= layer_bytes) {
    layers.push_back({Tensor::allocate(dtype, {pages, kKvHeads, kHeadDim, kPageTokens}),
                      Tensor::allocate(dtype, {pages, kKvHeads, kPageTokens, kHeadDim})});
    for (const Tensor* half : {&layers.back().keys, &layers.back().values}) {
      std::memset(half->data<std::byte>(), 0, static_cast<std::size_t>(half->bytes()));  // memory of its own
    }
  }
  auto layer = layers.begin();
  Tensor positions = Tensor::allocate(DType::kI32, {tokens});
  BatchSlice slice{.first_row = 0, .rows = tokens, .begin = depth - tokens, .pages = {}};
  for (int32_t page = 0; page < pages; ++page) {
    slice.pages.push_back(page);
  }
  const Batch batch{.tokens = {}, .positions = positions, .slices = {slice}};
  const Tensor query = random_tensor({tokens, kHeads * kHeadDim});
  Tensor out = Tensor::allocate(DType::kF32, {tokens, kHeads * kHeadDim});
  AttentionSpec spec{.scale = 0.1F, .window = 0, .kv_head = {}};
  for (int32_t head = 0; head < kHeads; ++head) {
    spec.kv_head.push_back(head / static_cast<int32_t>(kHeads / kKvHeads));
  }
  kernels.reserve(tokens, kHeads * kHeadDim);
  Stream stream;
  for ([[maybe_unused]] auto _ : state) {
    kernels.attention({query, 0, kHeads, kHeadDim}, *layer, batch, spec, out, stream);
    if (++layer == layers.end()) {
      layer = layers.begin();
    }
  }
  if (tokens == 1) {
    count_bytes(state, layer_bytes, roofline);
  } else {
    count_ops(state, 4 * kHeads * kHeadDim * (tokens * depth - tokens * (tokens - 1) / 2), roofline);
  }
}

// Gate, up and SiLU of a 1.5B-class model, as one operation or as two.
void gate_up(benchmark::State& state, Machine& machine, DType dtype, int64_t tokens, bool fused) {
  const int64_t columns = machine.small() ? 256 : 1536;
  const int64_t inner = machine.small() ? 64 : 8960;
  Kernels& kernels = machine.kernels();
  const Roofline& roofline = machine.roofline(dtype);
  // As many layers as do not fit into the caches, in turn: those of a model come from memory.
  std::deque<Matrix> matrices;
  std::vector<std::vector<Weight>> layers;
  for (int64_t left = machine.small() || tokens > 1 ? 1 : kPastCachesBytes; left > 0;) {
    const Weight& gate = matrices.emplace_back(kernels, dtype, inner, columns).weight();
    const Weight& up = matrices.emplace_back(kernels, dtype, inner, columns).weight();
    layers.push_back({gate, up});
    left -= 2 * matrices.back().packed_bytes();
  }
  auto layer = layers.begin();
  const Tensor x = random_tensor({tokens, columns});
  Tensor room = Tensor::allocate(DType::kF32, {tokens, 2 * inner});
  Tensor y = Tensor::allocate(DType::kF32, {tokens, inner});
  const GroupStep whole{0, columns, 0, true};
  kernels.reserve(tokens, inner);
  Stream stream;
  for ([[maybe_unused]] auto _ : state) {
    if (fused) {
      kernels.linear_silu_mul(x, *layer, {&whole, 1}, room, y, {}, stream);
    } else {
      kernels.Kernels::linear_silu_mul(x, *layer, {&whole, 1}, room, y, {}, stream);
    }
    if (++layer == layers.end()) {
      layer = layers.begin();
    }
  }
  if (tokens == 1) {
    count_bytes(state, 2 * matrices.back().packed_bytes(), roofline);
  } else {
    count_ops(state, 4 * tokens * inner * columns, roofline);
  }
}

// Tokens as wide as a 1B-class model, 512 at once: read and written once each.
template <class Op>
void elementwise(benchmark::State& state, Machine& machine, int64_t width, const Op& op) {
  const int64_t tokens = machine.small() ? 4 : 512;
  const Tensor x = random_tensor({tokens, width});
  Tensor y = Tensor::allocate(DType::kF32, {tokens, width});
  Stream stream;
  for ([[maybe_unused]] auto _ : state) {
    op(x, y, stream);
  }
  count_bytes(state, x.bytes() + y.bytes(), machine.roofline(DType::kF32));
}

void register_linear(Machine& machine) {
  for (const DType dtype : kTypes) {
    const std::string type(name(dtype));
    for (const int64_t tokens : {1, 8, 16, 32, 512}) {
      benchmark::RegisterBenchmark(
          ("linear/" + type + "/tokens:" + std::to_string(tokens)).c_str(),
          [&machine, dtype, tokens](benchmark::State& state) { linear(state, machine, dtype, tokens); });
    }
    benchmark::RegisterBenchmark(("pack/" + type).c_str(),
                                 [&machine, dtype](benchmark::State& state) { packing(state, machine, dtype); });
  }
}

void register_gate_up(Machine& machine) {
  for (const DType dtype : {DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_K}) {
    for (const int64_t tokens : {1, 16, 512}) {
      for (const bool fused : {true, false}) {
        benchmark::RegisterBenchmark(("gate_up/" + std::string(name(dtype)) + "/tokens:" + std::to_string(tokens) +
                                      (fused ? "/fused" : "/apart"))
                                         .c_str(),
                                     [&machine, dtype, tokens, fused](benchmark::State& state) {
                                       gate_up(state, machine, dtype, tokens, fused);
                                     });
      }
    }
  }
}

void register_attention(Machine& machine) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0}) {
    const std::string type(name(dtype));
    for (const int64_t depth : {1024, 8192, 32768}) {
      benchmark::RegisterBenchmark(
          ("attention/" + type + "/decode/depth:" + std::to_string(depth)).c_str(),
          [&machine, dtype, depth](benchmark::State& state) { attention(state, machine, dtype, 1, depth); });
    }
    benchmark::RegisterBenchmark(
        ("attention/" + type + "/prefill:512/depth:2048").c_str(),
        [&machine, dtype](benchmark::State& state) { attention(state, machine, dtype, 512, 2048); });
  }
}

void register_elementwise(Machine& machine) {
  constexpr int64_t kWidth = 2048;
  benchmark::RegisterBenchmark("rms_norm", [&machine](benchmark::State& state) {
    const Tensor gain = random_tensor({kWidth});
    elementwise(state, machine, kWidth, [&](const Tensor& x, Tensor& y, Stream& stream) {
      machine.kernels().rms_norm(x, gain, 1e-5F, y, stream);
    });
  });
  benchmark::RegisterBenchmark("add", [&machine](benchmark::State& state) {
    elementwise(state, machine, kWidth,
                [&](const Tensor& x, Tensor& y, Stream& stream) { machine.kernels().add(x, {}, y, y, stream); });
  });
  benchmark::RegisterBenchmark("silu_mul", [&machine](benchmark::State& state) {
    Tensor half = Tensor::allocate(DType::kF32, {machine.small() ? 4 : 512, kWidth});
    elementwise(state, machine, 2 * kWidth,
                [&](const Tensor& x, Tensor&, Stream& stream) { machine.kernels().silu_mul(x, half, stream); });
  });
}

// Takes our own words out of the command line; false for one that nobody knows.
bool take_words(int& count, char** words, Settings& settings) {
  int kept = 1;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    constexpr std::string_view kThreads = "--threads=";
    if (word == "--small") {
      settings.small = true;
    } else if (word.starts_with(kThreads)) {
      settings.threads = std::atoi(word.substr(kThreads.size()).data());
    } else {
      words[kept++] = words[i];
    }
  }
  count = kept;
  return settings.threads > 0;
}

}  // namespace
}  // namespace longship

int main(int count, char** words) {
  using namespace longship;
  Settings settings;
  if (!take_words(count, words, settings)) {
    return 2;
  }
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) {
    return 2;
  }
  Machine machine(settings);
  register_linear(machine);
  register_gate_up(machine);
  register_attention(machine);
  register_elementwise(machine);
  const Roofline& quantised = machine.roofline(DType::kQ8_0);
  const Roofline& plain = machine.roofline(DType::kF32);
  benchmark::AddCustomContext("kernels", std::string(machine.kernels().name()));
  benchmark::AddCustomContext("threads", std::to_string(settings.threads));
  benchmark::AddCustomContext("read_gbps", std::to_string(quantised.read_bytes_per_s / 1e9));
  benchmark::AddCustomContext("peak_int8_gops", std::to_string(quantised.ops_per_s / 1e9));
  benchmark::AddCustomContext("peak_f32_gops", std::to_string(plain.ops_per_s / 1e9));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
