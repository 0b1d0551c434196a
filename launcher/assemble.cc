#include "launcher/assemble.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <thread>

#include "comm/traced.h"
#include "engine/backend/kv_page.h"
#include "engine/kv/kept_file.h"
#include "engine/local_engine.h"
#include "engine/models/families.h"
#include "engine/rank_loop.h"
#include "engine/reporter.h"
#include "engine/sample/grammar/grammar_spec.h"
#include "engine/schedule/chunk_size.h"
#include "engine/step_runner.h"
#include "engine/text/tokenizer.h"
#include "launcher/device_choice.h"
#include "launcher/draft_vocabulary.h"
#include "launcher/host/host_memory.h"
#include "launcher/host/host_name.h"
#include "launcher/kv_size.h"
#include "launcher/rank_model.h"

namespace longship {

namespace {

namespace fs = std::filesystem;

void check_options(const EngineOptions& options, const ModelConfig& config, const std::string& model = "model") {
  if (kv_dtype(options) == DType::kQ8_0 && config.head_dim % kKvBlock != 0) {
    throw Error(ErrorKind::kUsage,
                "--kv-cache-dtype q8_0 needs heads that are a multiple of 32 wide; this " + model + "'s have " +
                    std::to_string(config.head_dim),
                "Use f16 or bf16.");
  }
  if (options.pp > config.layers) {
    throw Error(ErrorKind::kUsage,
                "-pp " + std::to_string(options.pp) + " asks for more stages than the " + model + "'s " +
                    std::to_string(config.layers) + " layers",
                "Use -pp " + std::to_string(config.layers) + " or less, and -tp for more ranks.");
  }
  if (config.learned_positions && options.max_model_len > config.max_positions) {
    throw Error(ErrorKind::kUsage,
                "--max-model-len " + std::to_string(options.max_model_len) + " is above the " + model + "'s " +
                    std::to_string(config.max_positions) + " learned positions",
                "Use --max-model-len " + std::to_string(config.max_positions) + " or less.");
  }
}

// Guesses are tokens of the vocabulary, at the positions of the model that is served.
void check_draft(const EngineOptions& options, const ModelConfig& target, const ModelConfig& draft) {
  check_options(options, draft, "draft model");
  if (draft.vocab != target.vocab) {
    throw Error(ErrorKind::kUsage,
                "the draft model has a vocabulary of " + std::to_string(draft.vocab) + " tokens, the model one of " +
                    std::to_string(target.vocab),
                "Use a draft model of the same family.");
  }
  const int64_t length = options.max_model_len != 0 ? options.max_model_len : target.max_positions;
  if (draft.learned_positions && draft.max_positions < length) {
    throw Error(ErrorKind::kUsage,
                "the draft model has " + std::to_string(draft.max_positions) + " learned positions, fewer than the " +
                    std::to_string(length) + " of a sequence",
                "Use --max-model-len " + std::to_string(draft.max_positions) + " or less.");
  }
}

// The draft model of the options, if they name one.
std::optional<Checkpoint> open_draft(const EngineOptions& options, const ModelConfig& target) {
  if (options.speculation.draft_tokens == 0) {
    return std::nullopt;
  }
  Checkpoint draft = open_checkpoint(options.speculation.draft_model);
  check_draft(options, target, draft.config);
  return draft;
}

// Errors: kModelFile for an adapter that cannot be used with this model.
std::vector<Adapter> open_adapters(const EngineOptions& options, const ModelConfig& config) {
  std::vector<Adapter> adapters;
  for (const AdapterOption& option : options.adapters) {
    adapters.push_back(Adapter::open(option.path));
    adapters.back().check_fits(config, family_of(config));
  }
  return adapters;
}

// Runs one phase of start-up on every rank, then lets all agree on its outcome.
template <class Body>
void phase(ControlChannel& control, std::string_view name, const Body& body) {
  std::optional<Error> failure;
  try {
    body();
  } catch (const Error& error) {
    failure = error;
  } catch (const std::bad_alloc&) {
    failure = Error(ErrorKind::kDoesNotFit, "memory ran out (" + std::string(name) + ")",
                    "Use more ranks, or a smaller --max-model-len.");
  }
  control.agree(failure ? &*failure : nullptr, name);
}

// Until the source ends. A step that was begun ahead and never asked for needs all ranks to its end, so each waits for
// it before it leaves.
void run_to_the_end(StepSource& source, StepExecutor& executor, Stream& stream) {
  run_rank_loop(source, executor);
  stream.synchronise();
}

// Of the models, and of what the rank exchanges by.
MemoryUse memory_of(const RankModels& models, const DeviceChoice& device, const Mesh& mesh, const Coord& me) {
  MemoryUse use = models.memory();
  use.workspace_bytes += device.group_bytes(me.tp, mesh.extent(Axis::kTp), models.shard_traffic()) +
                         device.group_bytes(me.pp, mesh.extent(Axis::kPp), models.stage_traffic());
  return use;
}

class StageExecutor : public StepExecutor {
 public:
  /// `draft`: null for none.
  StageExecutor(StepRunner& target, StepRunner* draft, SpanLog& spans, Reporter& reporter)
      : target_(target), draft_(draft), spans_(spans), reporter_(reporter) {}

  StepResult execute(const StepPlan& plan) override {
    if (plan.report != ReportKind::kNone) {
      return {.step = plan.step, .reports = reporter_.gather(plan.report)};
    }
    const bool guesses = plan.model == PlanModel::kDraft;
    const ScopedSpan span(&spans_, "step", SpanKind::kStep, guesses ? 0 : std::ssize(plan.tokens));
    if (guesses) {
      LONGSHIP_CHECK(draft_ != nullptr, "only a draft model is planned for");
      return draft_->run(plan);
    }
    if (const StepPlan part = plan.draft_part(); draft_ != nullptr && !part.slices.empty()) {
      draft_->run(part);
    }
    return target_.run(plan);
  }

 private:
  StepRunner& target_;
  StepRunner* draft_;
  SpanLog& spans_;
  Reporter& reporter_;
};

// Spans of all ranks together that are kept: some 32 bytes each.
constexpr std::size_t kMostSpans = std::size_t{1} << 22U;

std::size_t kept_spans(Recording recording, int ranks) {
  return recording == Recording::kNothing ? 0 : kMostSpans / static_cast<std::size_t>(ranks);
}

// One rank from its options to the end of its loop.
class Rank {
 public:
  Rank(const EngineOptions& options, Transport& transport, const LoadReport& report)
      : options_(options),
        transport_(transport),
        report_(report),
        mesh_(1, options.pp, 1, options.tp),
        me_(mesh_.coord(transport.rank())),
        spans_(kept_spans(options.recording, transport.size())),
        world_(transport.split(0, transport.rank())) {}

  void start() {
    ControlChannel& control = transport_.control();
    std::string why;
    const CommonMeans common{
        .cuda = options_.device == "auto" && smallest_over_ranks(has_cuda_device(why) ? 1 : 0) == 1,
        .bf16_tiles = smallest_over_ranks(has_bf16_tiles() ? 1 : 0) == 1};
    phase(control, "configuration", [&] {
      checkpoint_ = open_model(options_);
      check_options(options_, checkpoint_->config);
      draft_ = open_draft(options_, checkpoint_->config);
      if (draft_ && transport_.leads()) check_draft_vocabulary(*checkpoint_, options_.overrides, *draft_);
      device_.emplace(options_, common, transport_.host_place());
      kernels_ = device_->make_kernels();
      adapters_ = open_adapters(options_, checkpoint_->config);
    });
    phase(control, "plan", [&] { choose_sizes(); });
    const int64_t affordable = smallest_over_ranks(memory().affordable_pages());
    const int64_t wanted = smallest_over_ranks(memory().wanted_pages(options_));
    phase(control, "memory", [&] { fit_into(affordable, wanted); });
    phase(control, "allocation", [&] { allocate(); });
    adopt_pages();
    phase(control, "load", [&] { load(); });
    groups_ = device_->make_groups(*world_);
    tp_ = make_group(me_.pp, me_.tp, models_->shard_traffic());
    pp_ = make_group(me_.tp, me_.pp, models_->stage_traffic());
  }

  int run(const FrontEnd& front_end) {
    SpanLog* recorded = options_.recording == Recording::kNothing ? nullptr : &spans_;
    Ops ops(*kernels_, options_.recording == Recording::kOperations ? recorded : nullptr);
    const std::unique_ptr<Stream> stream = kernels_->make_stream();
    const auto context = [&](RankModel& model) -> RankContext {
      return {mesh_, me_, *tp_, *pp_, ops, model.stage().workspace(), *stream};
    };
    const bool can = StepRunner::can_go_ahead(context(models_->target()));
    const bool stages_go_ahead = smallest_over_ranks(can ? 1 : 0) == 1;
    const auto running = [&](RankModel& model) {
      return StepRunner(model.stage(), model.sampler(), context(model), stages_go_ahead);
    };
    StepRunner target = running(models_->target());
    std::optional<StepRunner> draft;
    if (models_->draft() != nullptr) {
      draft.emplace(running(*models_->draft()));
    }
    Reporter reporter({models_->target().stage(), target.context(), recorded, *world_});
    StageExecutor executor(target, draft ? &*draft : nullptr, spans_, reporter);
    ActivityNews news(facts(), spans_);
    if (transport_.leads()) {
      return lead(executor, *stream, news, front_end);
    }
    run_to_the_end(*make_follower_source(transport_.control(), &news), executor, *stream);
    return 0;
  }

 private:
  void make_models() {
    models_.emplace(options_, *checkpoint_, adapters_, draft_ ? &*draft_ : nullptr, *kernels_, mesh_, me_, kv_.pages);
  }

  void choose_sizes() {
    kv_ = usual_kv_size(options_, checkpoint_->config);
    make_models();
  }

  std::unique_ptr<Communicator> make_group(int color, int key, const GroupTraffic& most) {
    std::unique_ptr<Communicator> group = transport_.split(color, key);
    return make_traced(groups_ != nullptr ? groups_->make(std::move(group), most) : std::move(group), spans_);
  }

  KvBudget budget() const {
    if (const std::optional<DeviceMemory> device = kernels_->device_memory()) {
      return KvBudget::of_device(options_, *device, device_->sharers());
    }
    const std::vector<int> hosts = transport_.ranks_per_host();
    return KvBudget::of_host(options_, available_memory_bytes(), *std::max_element(hosts.begin(), hosts.end()));
  }

  RankMemory memory() const { return {budget(), memory_of(*models_, *device_, mesh_, me_), kv_.pages}; }

  int64_t smallest_over_ranks(int64_t value) {
    constexpr int64_t kMost = int64_t{1} << 23;  // whole numbers up to here are exact in f32
    Tensor mine = Tensor::allocate(DType::kF32, {1});
    Tensor all = Tensor::allocate(DType::kF32, {world_->size()});
    *mine.data<float>() = static_cast<float>(std::min(value, kMost));
    const std::vector<int64_t> counts(static_cast<std::size_t>(world_->size()), 1);
    Stream stream;
    world_->all_gather(mine, counts, all, stream);
    const auto values = all.values<float>();
    return static_cast<int64_t>(*std::min_element(values.begin(), values.end()));
  }

  // The same on every rank.
  void fit_into(int64_t affordable, int64_t wanted) {
    kv_ = options_.kv_pages != 0 ? KvSize{.pages = options_.kv_pages, .max_model_len = options_.max_model_len}
                                 : fitting_kv_size(options_, kv_, affordable, wanted, memory());
    make_models();
  }

  void allocate() {
    kept_keys_values_ = open_kept(options_.kept.keys_values, models_->memory().kv_bytes);
    models_->allocate(kept_keys_values_ ? kept_keys_values_->data() : nullptr, options_.kept);
  }

  std::optional<KeptFile> open_kept(const fs::path& file, int64_t bytes) const {
    const bool keeps = !file.empty() && kernels_->in_host_memory();
    return keeps ? KeptFile::open(file, kept_identity(), bytes) : std::nullopt;
  }

  // Other keys and values than those of the same weights and sizes are of no use.
  std::string kept_identity() const {
    const std::string facts = models_->weights_facts();
    return std::to_string(std::hash<std::string>()(facts)) + ' ' + options_.kv_cache_dtype + ' ' +
           std::to_string(kv_.pages) + (options_.exact ? " exact" : "");
  }

  // The leader's account of what is in the keys and values: for the ranks that follow, if all of these keep theirs, and
  // from those before, if all of them did.
  void adopt_pages() {
    constexpr int64_t kKept = 1;
    constexpr int64_t kKnown = 2;
    const int64_t mine = kept_keys_values_ ? (kept_keys_values_->known() ? kKnown : kKept) : 0;
    const int64_t all = smallest_over_ranks(mine);
    const int64_t bytes = KeptPages::bytes(kv_.pages, kPageTokens);
    kept_pages_file_ = transport_.leads() ? open_kept(options_.kept.pages, bytes) : std::nullopt;
    if (!kept_pages_file_) {
      return;
    }
    if (all != kKnown) {
      std::memset(kept_pages_file_->data(), 0, static_cast<std::size_t>(bytes));
    }
    if (all != 0) {
      kept_pages_.emplace(kept_pages_file_->data(), kv_.pages, kPageTokens);
    }
  }

  void load() {
    int64_t done = 0;
    const int64_t total = models_->source_bytes();
    models_->load([&](int64_t bytes) { report_(done += bytes, total); });
  }

  // Called by a thread of the front end, while the loop runs.
  std::shared_ptr<const TokenTrie> load_vocabulary() const {
    const auto tokenizer = checkpoint_->gguf ? Tokenizer::from_gguf(*checkpoint_->gguf)
                                             : Tokenizer::load(checkpoint_->path, options_.overrides);
    std::vector<std::string> bytes(static_cast<std::size_t>(tokenizer->vocab_size()));
    for (int32_t token = 0; token < tokenizer->vocab_size(); ++token) {
      const std::string_view text = tokenizer->bytes_of(token);
      bytes[static_cast<std::size_t>(token)] = tokenizer->is_special(token) ? special_bytes(text) : std::string(text);
    }
    return std::make_shared<const TokenTrie>(std::move(bytes));
  }

  RankActivity facts() const {
    const MemoryUse use = models_->memory();
    RankActivity facts;
    facts.rank = transport_.rank();
    facts.tp = me_.tp;
    facts.pp = me_.pp;
    facts.host = host_name();
    facts.pid = getpid();
    facts.device = device_->name(*kernels_);
    facts.tp_wire = tp_->wire();
    facts.pp_wire = pp_->wire();
    facts.layers = stage_layers(checkpoint_->config.layers, options_.pp, me_.pp);
    facts.weights_bytes = use.weights_bytes;
    facts.kv_bytes = use.kv_bytes;
    return facts;
  }

  int lead(StepExecutor& executor, Stream& stream, ActivityNews& news, const FrontEnd& front_end) {
    const StageLimits limits = stage_limits(options_, *kernels_, kv_.pages);
    const EngineInfo info{.vocab = checkpoint_->config.vocab,
                          .max_model_len = kv_.max_model_len,
                          .kv_tokens = kv_.pages * kPageTokens,
                          .tp = options_.tp,
                          .pp = options_.pp,
                          .threads = options_.threads,
                          .step_tokens = limits.step.rows,
                          .repeatable = device_->is_repeatable()};
    const SchedulerLimits scheduling{.vocab = info.vocab,
                                     .adapters = std::ssize(adapters_),
                                     .max_model_len = kv_.max_model_len,
                                     .max_num_seqs = options_.max_num_seqs,
                                     .max_batched_tokens = limits.step.rows,
                                     .max_logit_rows = limits.step.logit_rows,
                                     .kv_pages = kv_.pages,
                                     .page_tokens = kPageTokens,
                                     .window = options_.pp,
                                     .key_cost = pipeline_cost(options_.pp, models_->target().stage().cost()).key,
                                     .prefix_cache = options_.prefix_cache,
                                     .lookup = options_.speculation.lookup,
                                     .draft_tokens = options_.speculation.draft_tokens};
    LocalEngine engine(
        info, scheduling, transport_.control(), [this] { return load_vocabulary(); }, &news,
        kept_pages_ ? &*kept_pages_ : nullptr);
    int exit_code = 0;
    std::exception_ptr front_end_error;
    std::thread front([&] {
      try {
        exit_code = front_end(engine);
      } catch (...) {
        front_end_error = std::current_exception();
      }
      engine.shutdown();
    });
    std::exception_ptr loop_error;
    try {
      run_to_the_end(engine.source(), executor, stream);
    } catch (const Error& error) {
      loop_error = std::current_exception();
      engine.fail(error);
    }
    front.join();
    if (loop_error || front_end_error) {
      std::rethrow_exception(loop_error ? loop_error : front_end_error);
    }
    return exit_code;
  }

  const EngineOptions& options_;
  Transport& transport_;
  const LoadReport& report_;
  Mesh mesh_;
  Coord me_;
  SpanLog spans_;
  std::unique_ptr<Communicator> world_;
  std::optional<Checkpoint> checkpoint_;
  std::optional<Checkpoint> draft_;
  std::vector<Adapter> adapters_;
  std::optional<DeviceChoice> device_;
  std::unique_ptr<Kernels> kernels_;
  std::unique_ptr<DeviceGroups> groups_;  ///< Null on CPUs.
  std::unique_ptr<Communicator> tp_;
  std::unique_ptr<Communicator> pp_;
  std::optional<KeptFile> kept_keys_values_;
  std::optional<KeptFile> kept_pages_file_;
  std::optional<KeptPages> kept_pages_;
  std::optional<RankModels> models_;
  KvSize kv_;
};

}  // namespace

Checkpoint open_model(const EngineOptions& options) {
  return options.synthetic ? open_synthetic(options.model, *options.synthetic)
                           : open_checkpoint(options.model, options.overrides);
}

int run_rank(const EngineOptions& options, Transport& transport, const LoadReport& report, const FrontEnd& front_end) {
  LONGSHIP_CHECK(options.tp * options.pp == transport.size(), "the mesh has as many ranks as the job");
  Rank rank(options, transport, report);
  rank.start();
  return rank.run(front_end);
}

MemoryPlan plan_memory(const EngineOptions& options, const Checkpoint& checkpoint,
                       const std::optional<KvBudget>& budget) {
  check_options(options, checkpoint.config);
  std::string why;
  const bool auto_is_cuda = options.device == "auto" && has_cuda_device(why);
  const DeviceChoice device = DeviceChoice::for_plan(options, auto_is_cuda);
  const std::unique_ptr<Kernels> kernels = device.make_kernels();
  const Mesh mesh(1, options.pp, 1, options.tp);
  KvSize kv = usual_kv_size(options, checkpoint.config);
  const std::optional<Checkpoint> draft = open_draft(options, checkpoint.config);
  if (draft) check_draft_vocabulary(checkpoint, options.overrides, *draft);
  const std::vector<Adapter> adapters = open_adapters(options, checkpoint.config);
  const auto models_of = [&](const Coord& me) {
    return RankModels(options, checkpoint, adapters, draft ? &*draft : nullptr, *kernels, mesh, me, kv.pages);
  };
  if (budget) {
    std::optional<RankMemory> tightest;
    int64_t wanted = std::numeric_limits<int64_t>::max();
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const Coord me = mesh.coord(rank);
      const RankMemory memory(*budget, memory_of(models_of(me), device, mesh, me), kv.pages);
      wanted = std::min(wanted, memory.wanted_pages(options));
      if (!tightest || memory.affordable_pages() < tightest->affordable_pages()) tightest = memory;
    }
    kv = fitting_kv_size(options, kv, tightest->affordable_pages(), wanted, *tightest);
  }
  MemoryPlan plan;
  plan.max_model_len = kv.max_model_len;
  plan.kv_tokens = kv.pages * kPageTokens;
  for (int rank = 0; rank < mesh.size(); ++rank) {
    const Coord me = mesh.coord(rank);
    const RankModels models = models_of(me);
    plan.ranks.push_back({rank, me, stage_layers(checkpoint.config.layers, options.pp, me.pp),
                          memory_of(models, device, mesh, me), models.source_bytes()});
  }
  return plan;
}

}  // namespace longship
