#include "launcher/eval/eval_jsonl.h"

#include <map>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "core/json.h"
#include "launcher/eval/logits_file.h"
#include "launcher/eval/prompt_score.h"
#include "launcher/generate/line_queue.h"
#include "launcher/output/text_output.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

// While nothing runs there is only input to wait for; else both are looked at in turn.
constexpr std::chrono::milliseconds kIdleWait(100);
constexpr std::chrono::milliseconds kBusyWait(5);
constexpr int64_t kMostGreedy = int64_t{1} << 24;

struct LineRequest {
  std::vector<int32_t> ids;
  int64_t greedy = 0;
};

// What is wrong with a line: a value, as the run goes on.
struct LineError {
  std::string cause;
};

int32_t token_of(const Json& value, int64_t vocab) {
  if (!value.is_int() || value.as_int() < 0 || value.as_int() >= vocab) {
    throw LineError{"ids are integers from 0 to " + std::to_string(vocab - 1)};
  }
  return static_cast<int32_t>(value.as_int());
}

std::vector<int32_t> encode_text(const std::string& text, const EvalJsonlTask& task) {
  if (!task.tokenizer) {
    throw LineError{task.no_tokenizer};
  }
  return task.tokenizer->encode(text, {.add_special = true, .parse_special = false});
}

std::vector<int32_t> ids_of(const Json& line, int64_t vocab, const EvalJsonlTask& task) {
  const Json* ids = line.find("ids");
  const Json* text = line.find("text");
  if (ids == nullptr && text != nullptr && text->is_string()) {
    return encode_text(text->as_string(), task);
  }
  if (ids == nullptr || !ids->is_array()) {
    throw LineError{"a line needs ids (an array of integers) or text (a string)"};
  }
  std::vector<int32_t> result;
  result.reserve(ids->as_array().size());
  for (const Json& id : ids->as_array()) {
    result.push_back(token_of(id, vocab));
  }
  return result;
}

int64_t greedy_of(const Json& line) {
  const Json* greedy = line.find("greedy");
  if (greedy == nullptr || greedy->is_null()) {
    return 0;
  }
  if (!greedy->is_int() || greedy->as_int() < 0 || greedy->as_int() > kMostGreedy) {
    throw LineError{"greedy is a number of tokens"};
  }
  return greedy->as_int();
}

LineRequest parse_line(const std::string& text, const EngineInfo& info, const EvalJsonlTask& task) {
  auto parsed = parse_json(text);
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw LineError{"not JSON: offset " + std::to_string(error->offset) + ": " + error->rule};
  }
  const Json& line = std::get<Json>(parsed);
  if (!line.is_object()) {
    throw LineError{"a line is a JSON object"};
  }
  LineRequest request{.ids = ids_of(line, info.vocab, task), .greedy = greedy_of(line)};
  const int64_t needed = static_cast<int64_t>(request.ids.size()) + request.greedy;
  if (request.ids.empty()) {
    throw LineError{"there are no tokens"};
  }
  if (needed > info.max_model_len) {
    throw LineError{std::to_string(needed) + " tokens are needed, but the context has " +
                    std::to_string(info.max_model_len)};
  }
  return request;
}

std::string error_line(const std::string& cause) {
  Json json;
  json.set("error", cause);
  return dump_json(json) + "\n";
}

// A line whose request runs.
struct Running {
  int64_t line = 0;
  PromptScore score;
  std::vector<int32_t> greedy;
  std::optional<std::size_t> matrix;

  std::string result() const {
    Json::Array ids;
    for (const int32_t id : greedy) {
      ids.emplace_back(int64_t{id});
    }
    Json json;
    json.set("nll", score.sum());
    json.set("tokens", static_cast<int64_t>(score.ids().size()));
    json.set("greedy", std::move(ids));
    return dump_json(json) + "\n";
  }
};

class JsonlEvaluation {
 public:
  JsonlEvaluation(const EvalJsonlTask& task, Engine& engine)
      : task_(task), engine_(engine), info_(engine.info()), lines_(task.input) {
    if (!task.logits.empty()) {
      logits_.emplace(task.logits);
    }
  }

  int run() {
    while (!running_.empty() || !lines_.ended()) {
      take_line();
      if (!running_.empty()) {
        take_event();
      }
      if (!write_finished()) {
        return 0;
      }
    }
    if (logits_) {
      logits_->finish();
    }
    return 0;
  }

 private:
  void take_line() {
    while (static_cast<int64_t>(running_.size()) < task_.max_in_flight) {
      const auto wait = running_.empty() ? kIdleWait : std::chrono::milliseconds(0);
      const std::optional<std::string> line = lines_.pop(Clock::now() + wait);
      if (!line) {
        return;
      }
      start(*line, next_line_++);
      if (running_.empty()) {  // a bad line is answered at once
        return;
      }
    }
  }

  void start(const std::string& text, int64_t line) {
    try {
      LineRequest parsed = parse_line(text, info_, task_);
      const auto rows = static_cast<int64_t>(parsed.ids.size());
      GenerationRequest request;
      request.prompt = parsed.ids;
      request.max_tokens = parsed.greedy;
      request.sampling.temperature = 0;
      request.prompt_logits = true;
      Running running{
          .line = line, .score = PromptScore(std::move(parsed.ids), 1, info_.vocab), .greedy = {}, .matrix = {}};
      if (logits_) {
        running.matrix = logits_->add("logits_" + std::to_string(line), rows, info_.vocab);
      }
      running_.emplace(engine_.submit(std::move(request)), std::move(running));
    } catch (const LineError& error) {
      finished_[line] = error_line(error.cause);
    } catch (const Error& error) {  // of the tokenizer
      finished_[line] = error_line(error.cause());
    }
  }

  void take_event() {
    const std::optional<EngineEvent> event = engine_.next_event(Clock::now() + kBusyWait);
    if (!event) {
      return;
    }
    const auto found = running_.find(event->request);
    if (found == running_.end()) {
      return;
    }
    Running& running = found->second;
    switch (event->kind) {
      case EngineEvent::Kind::kLogits:
        running.score.add(event->first_position, event->logits);
        if (running.matrix) logits_->write(*running.matrix, event->first_position, event->logits);
        break;
      case EngineEvent::Kind::kToken:
        running.greedy.push_back(event->token);
        break;
      case EngineEvent::Kind::kPromptLogprobs:
      case EngineEvent::Kind::kReport:
      case EngineEvent::Kind::kStats:
      case EngineEvent::Kind::kActivity:
        break;
      case EngineEvent::Kind::kFinished:
        finish(running, *event);
        running_.erase(found);
        break;
    }
  }

  void finish(const Running& running, const EngineEvent& event) {
    if (event.reason < FinishReason::kError) {
      finished_[running.line] = running.result();
      return;
    }
    finished_[running.line] = error_line(event.error);
    if (running.matrix) {
      logits_->drop(*running.matrix);
    }
  }

  // In the order of the input. False if nobody reads.
  bool write_finished() {
    for (auto next = finished_.find(next_written_); next != finished_.end(); next = finished_.find(next_written_)) {
      if (!write_output(next->second)) {
        return false;
      }
      finished_.erase(next);
      ++next_written_;
    }
    return true;
  }

  const EvalJsonlTask& task_;
  Engine& engine_;
  EngineInfo info_;
  LineQueue lines_;
  std::optional<LogitsFile> logits_;
  std::unordered_map<RequestId, Running> running_;
  std::map<int64_t, std::string> finished_;
  int64_t next_line_ = 0;
  int64_t next_written_ = 0;
};

}  // namespace

int run_eval_jsonl(const EvalJsonlTask& task, Engine& engine) {
  return JsonlEvaluation(task, engine).run();
}

}  // namespace longship
