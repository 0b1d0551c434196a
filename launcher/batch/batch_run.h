#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "launcher/batch/batch_input.h"
#include "launcher/batch/batch_output.h"
#include "launcher/generate/model_text.h"
#include "launcher/output/progress_bar.h"
#include "launcher/server/api.h"

namespace longship {

struct BatchOptions {
  std::filesystem::path input;
  std::filesystem::path output;
  std::vector<std::string> served_names;  ///< Models that bodies may name.
  std::string version{};                  ///< Of the program that answers.
  std::vector<AdapterOption> adapters{};  ///< Models as well.
  std::optional<uint64_t> seed{};         ///< Of requests that name none; else random.
  std::size_t in_flight = 32;             ///< Requests in the engine at a time.
  std::chrono::seconds drain_time{20};    ///< For those that run when the job is told to end.
};

/// Answers the lines of a batch that are not answered yet, by the routes of the server.
class BatchRun {
 public:
  /// Ended before all was answered, not by SIGINT: EX_TEMPFAIL of <sysexits.h>.
  static constexpr int kIncomplete = 75;

  /// Checks all of the input and opens the output. Errors: kUsage.
  BatchRun(BatchOptions options, std::shared_ptr<const ModelText> model);

  /// Returns the exit code. Errors: kRank if the engine is lost, kUsage if answers cannot be written.
  int run(Engine& engine);
  /// No more lines are begun and those that run are given up after the drain time. False if it was told before, but for
  /// a second SIGTERM at once. Any thread.
  bool stop(int signal);

 private:
  using Clock = std::chrono::steady_clock;
  class Exchange;

  struct Answered {
    std::string custom_id;
    std::string request_id;
    HttpResponse response;
  };

  void fill();
  void begin(BatchLine line);
  void write_answers();
  void write(const Answered& answer);
  bool over();
  void say_state() const;

  BatchOptions options_;
  BatchInput input_;
  std::unordered_map<std::string, int64_t> lines_;  ///< Their numbers by custom_id.
  BatchOutput output_;
  int64_t answered_ = 0;  ///< Of `lines_`, those of earlier runs included.
  int64_t refused_ = 0;   ///< In this run: answers that are errors.
  int64_t tokens_ = 0;    ///< In this run: generated.
  std::size_t running_ = 0;
  std::vector<Answered> unwritten_;
  bool input_ended_ = false;
  std::atomic<int> signal_ = 0;
  std::atomic<Clock::time_point> told_{};  ///< When the signal came.
  Clock::time_point give_up_;
  Api api_;
  ProgressBar bar_;
};

}  // namespace longship
