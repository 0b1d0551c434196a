#include "launcher/bench/comm_bench.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "comm/gather_frames.h"
#include "comm/tree_sum.h"
#include "core/error.h"
#include "engine/backend/kernels.h"
#include "launcher/host/host_memory.h"

namespace longship {

namespace {

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));
// A sample of a fast operation lasts about this long.
constexpr double kSampleSeconds = 200e-6;
constexpr double kMostRepeats = 200;

// Whole numbers that add up exactly, different on every rank.
float value_of(int rank, int64_t i) {
  return static_cast<float>((i * 7 + rank * 13) % 97);
}

// What follows a sum in the model.
class NormStep {
 public:
  explicit NormStep(int ranks) : kernels_(make_kernels({})), tree_(tree_of_ranks(ranks)) {}

  // For sums of `x` into `out`, of one shape.
  void prepare(const Tensor& x, const Tensor& out) {
    const int64_t count = x.elements();
    const int64_t width = std::min<int64_t>(count, kMostWidth);
    const Shape shape = {count / width, width};
    const int64_t rows_count = shape[0] * width;
    nodes_ = x.slice(0, rows_count);
    root_ = out.slice(0, rows_count).reshape(shape);
    then_ = {.bias = {},
             .hidden = zeros(shape),
             .gain = zeros({width}),
             .norm_bias = {},
             .eps = 1e-5F,
             .normed = zeros(shape)};
  }

  // The sum of rows of x over the ranks, then hidden += sum and its norm. Returns hidden.
  Tensor run(Communicator& group) {
    Stream stream;
    group.tree_reduce_add_norm(
        nodes_, tree_, root_, then_, [&](Range rows) { kernels_->add_norm(root_, rows, then_, {}, stream); }, stream);
    return then_.hidden;
  }

 private:
  static constexpr int64_t kMostWidth = 4096;

  static Tensor zeros(Shape shape) {
    Tensor x = Tensor::allocate(DType::kF32, std::move(shape));
    std::ranges::fill(x.values<float>(), 0.0F);
    return x;
  }

  std::unique_ptr<Kernels> kernels_;
  ReductionTree tree_;
  Tensor nodes_;
  Tensor root_;
  AddNorm then_;
};

struct Op {
  std::string name;
  /// Moves values of `x` into `out`, or within `x`, and returns the result. counts[r] values belong to rank r.
  Tensor (*run)(Communicator& group, Tensor& x, Tensor& out, const std::vector<int64_t>& counts, NormStep& norm);
  /// What stands at place i of rank r's result.
  float (*expected)(int ranks, int rank, int64_t i, const std::vector<int64_t>& counts);
  /// Bytes over the slowest link for each byte of the size, times the number of ranks.
  int64_t (*bus_bytes)(int64_t ranks);
};

Tensor front(const Tensor& x, int64_t count) {
  return x.slice(0, count);
}

int64_t begin_of(const std::vector<int64_t>& counts, int rank) {
  return std::accumulate(counts.begin(), counts.begin() + rank, int64_t{0});
}

Tensor all_reduce(Communicator& group, Tensor& x, Tensor& /*out*/, const std::vector<int64_t>& /*counts*/,
                  NormStep& /*norm*/) {
  Stream stream;
  group.all_reduce(x, stream);
  return x;
}

Tensor all_gather(Communicator& group, Tensor& x, Tensor& out, const std::vector<int64_t>& counts, NormStep& /*norm*/) {
  Stream stream;
  group.all_gather(front(x, counts[static_cast<std::size_t>(group.rank())]), counts, out, stream);
  return out;
}

Tensor reduce_scatter(Communicator& group, Tensor& x, Tensor& out, const std::vector<int64_t>& counts,
                      NormStep& /*norm*/) {
  Stream stream;
  Tensor part = front(out, counts[static_cast<std::size_t>(group.rank())]);
  group.reduce_scatter(x, counts, part, stream);
  return part;
}

Tensor sendrecv(Communicator& group, Tensor& x, Tensor& out, const std::vector<int64_t>& /*counts*/,
                NormStep& /*norm*/) {
  Stream stream;
  const int size = group.size();
  group.send(x, (group.rank() + 1) % size, stream);
  group.recv(out, (group.rank() + size - 1) % size, stream);
  return out;
}

Tensor all_reduce_add_norm(Communicator& group, Tensor& /*x*/, Tensor& /*out*/, const std::vector<int64_t>& /*counts*/,
                           NormStep& norm) {
  return norm.run(group);
}

float sum_of_ranks(int ranks, int64_t i) {
  float sum = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    sum += value_of(rank, i);
  }
  return sum;
}

float gathered_value(int /*ranks*/, int /*rank*/, int64_t i, const std::vector<int64_t>& counts) {
  int from = 0;
  while (i >= counts[static_cast<std::size_t>(from)]) {
    i -= counts[static_cast<std::size_t>(from++)];
  }
  return value_of(from, i);
}

int64_t all_but_one(int64_t ranks) {
  return ranks - 1;
}

const std::vector<Op>& ops() {
  static const std::vector<Op> kOps = {
      {"all_reduce", all_reduce,
       [](int ranks, int, int64_t i, const std::vector<int64_t>&) { return sum_of_ranks(ranks, i); },
       [](int64_t ranks) { return 2 * (ranks - 1); }},
      {"all_gather", all_gather, gathered_value, all_but_one},
      {"reduce_scatter", reduce_scatter,
       [](int ranks, int rank, int64_t i, const std::vector<int64_t>& counts) {
         return sum_of_ranks(ranks, begin_of(counts, rank) + i);
       },
       all_but_one},
      {"sendrecv", sendrecv,
       [](int ranks, int rank, int64_t i, const std::vector<int64_t>&) {
         return value_of((rank + ranks - 1) % ranks, i);
       },
       [](int64_t ranks) { return ranks; }},
      {kAddNormOp, all_reduce_add_norm,
       [](int ranks, int, int64_t i, const std::vector<int64_t>&) { return sum_of_ranks(ranks, i); },
       [](int64_t ranks) { return 2 * (ranks - 1); }},
  };
  return kOps;
}

const Op& op_named(const std::string& name) {
  return *std::ranges::find(ops(), name, &Op::name);
}

std::vector<int64_t> even_counts(int64_t count, int ranks) {
  std::vector<int64_t> counts;
  for (int rank = 0; rank < ranks; ++rank) {
    counts.push_back(count * (rank + 1) / ranks - count * rank / ranks);
  }
  return counts;
}

double median(std::vector<float> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

class CommBench {
 public:
  CommBench(Transport& transport, const CommBenchOptions& options)
      : transport_(transport),
        samples_(options.repetitions),
        records_(options.record),
        world_(transport.split(0, transport.rank())),
        norm_(world_->size()) {
    check_memory(options);
    ways_ = transport.alternatives();
    x_ = Tensor::allocate(DType::kF32, {options.most_bytes / kFloatBytes});
    out_ = Tensor::allocate(DType::kF32, {options.most_bytes / kFloatBytes});
  }

  // One row for each operation and transport.
  void measure(const std::vector<const Op*>& measured, int64_t bytes, Json::Array& rows) {
    const int64_t count = bytes / kFloatBytes;
    const Buffers buffers{front(x_, count), front(out_, count), even_counts(count, world_->size())};
    norm_.prepare(buffers.x, buffers.out);
    std::vector<Run> runs;
    for (const Op* op : measured) {
      for (const NamedCommunicator& way : ways_) {
        Run& run = runs.emplace_back(*op, way, buffers);
        run.errors = count_errors(run);
        std::ranges::fill(run.buffers.x.values<float>(), 0.0F);  // sums of sums stay finite
        run.repeats = choose_repeats(run);
      }
    }
    for (int sample = 0; sample < samples_; ++sample) {
      for (Run& run : runs) {
        run.times.push_back(static_cast<float>(time(run, run.repeats)));
        if (records_) record(run);
      }
    }
    for (const Run& run : runs) {
      rows.push_back(row(run, bytes, median(slowest(run.times))));
    }
  }

  // What all ranks recorded, on the leader.
  std::vector<RankReport> gather_reports() {
    RankReport mine;
    mine.rank = mine.tp = world_->rank();
    mine.spans = std::move(spans_);
    from_all({0});  // nobody goes on before all are there
    mine.clock_ns = now_ns();
    std::vector<RankReport> reports;
    for (const Bytes& frame : gather_frames(*world_, mine.serialize())) {
      reports.push_back(RankReport::parse(frame));
    }
    return reports;
  }

 private:
  struct Buffers {
    Tensor x;
    Tensor out;
    std::vector<int64_t> counts;
  };

  // One operation over one transport.
  struct Run {
    Run(const Op& op_of, const NamedCommunicator& way_of, const Buffers& buffers_of)
        : op(op_of), way(way_of), buffers(buffers_of) {}

    const Op& op;
    const NamedCommunicator& way;
    Buffers buffers;
    int64_t errors = 0;
    int64_t repeats = 1;
    std::vector<float> times;
  };

  Tensor run_once(Run& run) {
    return run.op.run(*run.way.group, run.buffers.x, run.buffers.out, run.buffers.counts, norm_);
  }

  void check_memory(const CommBenchOptions& options) const {
    const std::vector<int> hosts = transport_.ranks_per_host();
    const int64_t needed = 2 * options.most_bytes * *std::ranges::max_element(hosts);
    const bool fits = needed <= available_memory_bytes();
    const Error error(ErrorKind::kDoesNotFit,
                      "the ranks of a host need " + std::to_string(needed >> 20) + " MiB for their buffers",
                      "Use a smaller -e.");
    transport_.control().agree(fits ? nullptr : &error, "memory");
  }

  // The values of all ranks, as many from each.
  std::vector<float> from_all(const std::vector<float>& mine) {
    Tensor part = Tensor::allocate(DType::kF32, {static_cast<int64_t>(mine.size())});
    std::ranges::copy(mine, part.data<float>());
    Tensor all = Tensor::allocate(DType::kF32, {part.elements() * world_->size()});
    const std::vector<int64_t> counts(static_cast<std::size_t>(world_->size()), part.elements());
    Stream stream;
    world_->all_gather(part, counts, all, stream);
    return {all.data<float>(), all.data<float>() + all.elements()};
  }

  // Of each value the largest of all ranks.
  std::vector<float> slowest(const std::vector<float>& mine) {
    const std::vector<float> all = from_all(mine);
    std::vector<float> most(mine.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      most[i % mine.size()] = std::max(most[i % mine.size()], all[i]);
    }
    return most;
  }

  int64_t count_errors(Run& run) {
    const int rank = run.way.group->rank();
    Buffers& buffers = run.buffers;
    for (int64_t i = 0; i < buffers.x.elements(); ++i) {
      buffers.x.data<float>()[i] = value_of(rank, i);
      buffers.out.data<float>()[i] = -1;
    }
    const Tensor result = run_once(run);
    int64_t wrong = 0;
    for (int64_t i = 0; i < result.elements(); ++i) {
      wrong += result.data<float>()[i] == run.op.expected(run.way.group->size(), rank, i, buffers.counts) ? 0 : 1;
    }
    norm_.prepare(buffers.x, buffers.out);  // its rows hold the sum now
    const std::vector<float> all = from_all({static_cast<float>(wrong)});
    return static_cast<int64_t>(std::accumulate(all.begin(), all.end(), 0.0));
  }

  int64_t choose_repeats(Run& run) {
    time(run, 2);
    const double seconds = slowest({static_cast<float>(time(run, 2))})[0];
    return static_cast<int64_t>(std::clamp(kSampleSeconds / std::max(seconds, 1e-9), 1.0, kMostRepeats));
  }

  // Seconds of one operation of `repeats`.
  double time(Run& run, int64_t repeats) {
    Tensor one = Tensor::allocate(DType::kF32, {1});
    Stream stream;
    run.way.group->all_reduce(one, stream);  // nobody begins before all are there
    begin_ns_ = now_ns();
    for (int64_t i = 0; i < repeats; ++i) {
      run_once(run);
    }
    end_ns_ = now_ns();
    return static_cast<double>(end_ns_ - begin_ns_) * 1e-9 / static_cast<double>(repeats);
  }

  // The sample that was timed last.
  void record(const Run& run) {
    const std::string times = run.repeats > 1 ? " x " + std::to_string(run.repeats) : "";
    spans_.push_back(
        {run.op.name + " " + run.way.name + times, SpanKind::kCollective, begin_ns_, end_ns_, run.buffers.x.bytes()});
  }

  Json row(const Run& run, int64_t bytes, double seconds) const {
    const double rate = static_cast<double>(bytes) / std::max(seconds, 1e-9) / 1e9;
    const auto ranks = static_cast<double>(world_->size());
    Json row;
    row.set("op", run.op.name);
    row.set("transport", run.way.name);
    row.set("type", "float");
    row.set("size_bytes", bytes);
    row.set("ranks", static_cast<int64_t>(world_->size()));
    row.set("time_us", seconds * 1e6);
    row.set("algbw_gbps", rate);
    row.set("busbw_gbps", rate * static_cast<double>(run.op.bus_bytes(world_->size())) / ranks);
    row.set("errors", run.errors);
    return row;
  }

  Transport& transport_;
  int samples_;
  bool records_;
  std::unique_ptr<Communicator> world_;
  std::vector<NamedCommunicator> ways_;
  NormStep norm_;
  Tensor x_;
  Tensor out_;
  int64_t begin_ns_ = 0;  // of what was timed last
  int64_t end_ns_ = 0;
  std::vector<NamedSpan> spans_;
};

}  // namespace

const std::vector<std::string>& comm_ops() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Op& op : ops()) {
      if (op.name != kAddNormOp) {
        names.push_back(op.name);
      }
    }
    return names;
  }();
  return kNames;
}

CommBenchResult run_comm_benchmarks(Transport& transport, const CommBenchOptions& options,
                                    const std::function<void(const std::string&)>& progress) {
  if (transport.size() == 1) {
    throw Error(ErrorKind::kUsage, "there is one rank, which has nobody to talk to",
                "Start more: mpirun -n 2 longship bench comm, or --ranks 2.");
  }
  CommBench bench(transport, options);
  CommBenchResult result;
  for (const std::string& name : options.ops) {
    std::vector<const Op*> measured = {&op_named(name)};
    if (name == kAddNormOp) {
      measured.insert(measured.begin(), &op_named("all_reduce"));
    }
    for (int64_t bytes = options.least_bytes; bytes <= options.most_bytes; bytes *= options.factor) {
      progress(name + ", " + std::to_string(bytes) + " bytes");
      bench.measure(measured, bytes / kFloatBytes * kFloatBytes, result.rows);
    }
  }
  if (options.record) {
    result.reports = bench.gather_reports();
  }
  return result;
}

const std::vector<TableColumn>& comm_columns() {
  static const std::vector<TableColumn> kColumns = {
      {"op", "op"},
      {"size_bytes", "bytes"},
      {"type", "type"},
      {"transport", "transport"},
      {"ranks", "ranks"},
      {"time_us", "time us", 2},
      {"algbw_gbps", "algbw GB/s", 3},
      {"busbw_gbps", "busbw GB/s", 3},
      {"errors", "errors"},
  };
  return kColumns;
}

}  // namespace longship
