#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/schedule/chunk_size.h"
#include "engine/schedule/paged_cache.h"
#include "engine/schedule/sequence.h"
#include "engine/schedule/step_plan.h"
#include "engine/schedule/step_result.h"

namespace longship {

struct SchedulerLimits {
  int64_t vocab = 0;
  int64_t max_model_len = 0;
  int64_t max_num_seqs = 1;        ///< Sequences that hold pages at a time.
  int64_t max_batched_tokens = 1;  ///< Tokens of a step.
  int64_t max_logit_rows = 1;      ///< Rows of a step that want logits.
  int64_t kv_pages = 1;
  int64_t page_tokens = 64;
  int window = 1;            ///< Plans in flight that keep every stage busy.
  double key_cost = 0;       ///< Time of attending to one key, where the rest of a token's work takes 1.
  bool prefix_cache = true;  ///< Sequences that begin alike share pages.
  PromptLookup lookup{};     ///< Guesses of next tokens, which change no token.
};

/// The leader's decisions: which tokens run in which step, on which pages. Continuous batching with chunked prefill:
/// each step holds the next token of the sequences that have one, then prompt chunks up to the token budget, those of
/// short prompts first. Several plans may be in flight, also with chunks of one prompt; a generated token is planned
/// only after it was chosen, together with guesses of those behind it, if that is asked for. Sequences join by
/// priority, and among equals client by client, when there are pages for all their tokens. Should those that run
/// outgrow the pool, the last of them in this order gives its pages up and is recomputed later. Not synchronised.
class Scheduler {
 public:
  /// `kept`: see PagedCache.
  explicit Scheduler(const SchedulerLimits& limits, KeptPages* kept = nullptr);

  /// A request that can never run ends with kError among the events. `guide` is that of the request's grammar, behind
  /// its output.
  void submit(RequestId id, GenerationRequest request, std::optional<Guide> guide = {});
  void cancel(RequestId id);
  void cancel_all();

  /// The next plan, or nothing while there is nothing to run or everything waits for results in flight.
  std::optional<StepPlan> schedule();
  /// Takes the result of a plan of schedule(), in their order: appends tokens, ends sequences.
  void commit(const StepResult& result);
  /// What happened since the last call, in order.
  std::vector<EngineEvent> take_events();

  bool idle() const { return running_.empty() && waiting_.empty(); }
  int64_t free_pages() const { return cache_.free_pages(); }
  EngineStats stats() const;

 private:
  using SequencePtr = std::unique_ptr<Sequence>;

  int64_t next_turn(uint64_t client);
  void wait(SequencePtr sequence);
  void admit();
  bool has_room_for(const Sequence& sequence) const;
  bool reserve(Sequence& sequence, int64_t tokens);
  bool preempt_one_behind(const Sequence& sequence);
  bool plan(Sequence& sequence, int64_t tokens, StepPlan& plan);
  void draft(Sequence& sequence, int64_t most);
  void plan_decodes(StepPlan& plan);
  void plan_prompts(StepPlan& plan);
  void plan_chunk(Sequence& sequence, int64_t most, StepPlan& plan);
  void commit_slice(Sequence& sequence, const PlanSlice& slice, const float* rows, std::span<const RowChoice> choices);
  void report_prompt(Sequence& sequence, const PlanSlice& slice, const float* rows);
  void verify(Sequence& sequence, std::span<const RowChoice> choices);
  bool append(Sequence& sequence, const RowChoice& choice);
  void finish(Sequence& sequence, FinishReason reason, std::string error = {});
  void remove(RequestId id);
  Sequence* find_running(RequestId id) const;

  SchedulerLimits limits_;
  PagedCache cache_;
  std::deque<SequencePtr> waiting_;   ///< In the order of their ranks.
  std::vector<SequencePtr> running_;  ///< As well.
  std::deque<StepPlan> in_flight_;
  std::vector<EngineEvent> events_;
  int64_t turn_ = 0;                             ///< That clients have come to.
  std::unordered_map<uint64_t, int64_t> turns_;  ///< The last one of each client that has taken later ones.
  uint64_t next_step_ = 0;
  EngineStats counts_;  ///< Only what is counted here.
};

}  // namespace longship
