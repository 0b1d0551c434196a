#include "launcher/batch/batch_run.h"

#include <csignal>
#include <iostream>

#include "core/error.h"
#include "launcher/server/api_error.h"
#include "launcher/server/random_id.h"

namespace longship {

namespace {

constexpr std::chrono::milliseconds kOneWait(50);
constexpr const char* kGoOn = "; the same command goes on";

std::unordered_map<std::string, int64_t> lines_of(BatchInput& input, const BatchOptions& options) {
  std::error_code none;
  if (std::filesystem::equivalent(options.input, options.output, none)) {
    throw Error(ErrorKind::kUsage, options.output.native() + " is the batch itself",
                "Choose another file for the answers.");
  }
  return check_batch(input);
}

// The request that a line stands for. Errors: ApiError.
HttpRequest request_of(const BatchLine& line, const std::string& id) {
  const Json* method = line.request.find("method");
  const Json* url = line.request.find("url");
  const Json* body = line.request.find("body");
  if (method == nullptr || *method != Json("POST")) {
    throw ApiError{.message = "method must be POST", .param = "method"};
  }
  if (url == nullptr || (*url != Json("/v1/chat/completions") && *url != Json("/v1/completions"))) {
    throw ApiError{.message = "url must be /v1/chat/completions or /v1/completions", .param = "url"};
  }
  if (body == nullptr || !body->is_object()) {
    throw ApiError{.message = "body must be an object", .param = "body"};
  }
  if (const Json* stream = body->find("stream"); stream != nullptr && *stream == Json(true)) {
    throw ApiError{.message = "stream must be false in a batch", .param = "stream"};
  }
  return {.method = "POST", .path = url->as_string(), .headers = {}, .body = dump_json(*body), .address = {}, .id = id};
}

}  // namespace

// The exchange of a request without a client: its answer becomes a line.
class BatchRun::Exchange : public HttpExchange {
 public:
  Exchange(BatchRun& batch, std::string custom_id, std::string request_id)
      : batch_(batch), custom_id_(std::move(custom_id)), request_id_(std::move(request_id)) {}

  void respond(HttpResponse response) override {
    batch_.unwritten_.push_back({custom_id_, request_id_, std::move(response)});
  }
  void start_stream(const std::string&) override { LONGSHIP_CHECK(false, "a batch has no streams"); }
  void write(std::string) override {}
  void finish() override {}
  void on_abandoned(std::function<void()>) override {}

 private:
  BatchRun& batch_;
  std::string custom_id_;
  std::string request_id_;
};

BatchRun::BatchRun(BatchOptions options, std::shared_ptr<const ModelText> model)
    : options_(std::move(options)),
      input_(options_.input),
      lines_(lines_of(input_, options_)),
      output_(options_.output),
      api_({.served_names = options_.served_names,
            .adapters = options_.adapters,
            .seed = options_.seed,
            .most_requests = INT64_MAX,
            .version = options_.version},
           std::move(model)),
      bar_("requests", static_cast<int64_t>(lines_.size())) {
  for (const std::string& id : output_.done()) {
    answered_ += lines_.contains(id) ? 1 : 0;
  }
  if (!output_.done().empty()) {
    std::cerr << "longship: going on after " + std::to_string(answered_) + " answers of an earlier run\n";
  }
}

int BatchRun::run(Engine& engine) {
  api_.attach(engine);
  try {
    for (fill(); !over(); fill()) {
      if (const std::optional<EngineEvent> event = engine.next_event(Clock::now() + kOneWait)) {
        api_.hub()->deliver(*event);
      }
      write_answers();
    }
  } catch (const Error& error) {
    bar_.finish();
    say_state();
    throw;
  }
  bar_.finish();
  say_state();
  if (input_ended_ && running_ == 0) {
    return 0;
  }
  constexpr int kSignals = 128;
  return signal_ == SIGINT ? kSignals + SIGINT : kIncomplete;
}

// Begins lines while there is room.
void BatchRun::fill() {
  while (running_ < options_.in_flight && !input_ended_ && signal_ == 0) {
    std::optional<BatchLine> line = input_.next();
    input_ended_ = !line;
    if (line && !output_.done().contains(line->custom_id)) {
      begin(std::move(*line));
    }
    write_answers();  // of a line that was refused
  }
}

void BatchRun::begin(BatchLine line) {
  const std::string id = random_id("req-", 24);
  const auto exchange = std::make_shared<Exchange>(*this, std::move(line.custom_id), id);
  ++running_;
  try {
    api_.handle(request_of(line, id), exchange);
  } catch (const ApiError& error) {
    exchange->respond(error.response());
  }
}

void BatchRun::write_answers() {
  for (const Answered& answer : std::exchange(unwritten_, {})) {
    write(answer);
    --running_;
    ++answered_;
  }
}

void BatchRun::write(const Answered& answered) {
  constexpr int kOk = 200;
  auto body = parse_json(answered.response.body, {.unique_keys = false});
  LONGSHIP_CHECK(std::holds_alternative<Json>(body), "answers are JSON");
  Json response;
  response.set("status_code", answered.response.status);
  response.set("request_id", answered.request_id);
  response.set("body", std::get<Json>(std::move(body)));
  if (answered.response.status != kOk) {
    ++refused_;
  } else if (const Json* usage = response.find("body")->find("usage"); usage != nullptr) {
    tokens_ += usage->find("completion_tokens")->as_int();
  }
  Json line;
  line.set("id", random_id("batch_req_", 24));
  line.set("custom_id", answered.custom_id);
  line.set("response", std::move(response));
  line.set("error", nullptr);
  output_.write(line);
  const std::string failures = refused_ == 0 ? "" : ", " + std::to_string(refused_) + " with an error";
  bar_.update(answered_ + 1, std::to_string(tokens_) + " tokens generated" + failures);
}

// Whether all that will be answered is.
bool BatchRun::over() {
  if (signal_ == 0) {
    give_up_ = Clock::now() + options_.drain_time;
    return input_ended_ && running_ == 0;
  }
  return running_ == 0 || Clock::now() >= give_up_;
}

bool BatchRun::stop(int signal) {
  constexpr std::chrono::seconds kSameRequest(1);  // Slurm's SIGTERM at the time limit comes by two ways
  const auto now = Clock::now();
  int none = 0;
  if (!signal_.compare_exchange_strong(none, signal)) {
    return signal == SIGTERM && none == SIGTERM && now - told_.load() < kSameRequest;
  }
  told_ = now;
  std::cerr << "longship: ending: requests that run have " + std::to_string(options_.drain_time.count()) +
                   " s; once more to end at once\n";
  return true;
}

void BatchRun::say_state() const {
  const auto lines = static_cast<int64_t>(lines_.size());
  std::string text = "longship: " + std::to_string(answered_) + " of " + std::to_string(lines) +
                     " requests are answered in " + options_.output.native();
  if (refused_ > 0) {
    text += ", " + std::to_string(refused_) + " of this run with an error";
  }
  std::cerr << text + (answered_ == lines ? "" : kGoOn) + "\n";
}

}  // namespace longship
