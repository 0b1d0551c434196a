#include "launcher/server/serve.h"

#include <array>
#include <cstdio>
#include <future>
#include <iostream>

#include "core/error.h"
#include "launcher/output/log.h"
#include "launcher/server/layout.h"

namespace longship {

namespace {

constexpr std::chrono::seconds kStatusPeriod(10);
constexpr std::chrono::seconds kFlushTime(1);
// Threads that read the bodies of requests.
constexpr int kReaders = 2;
// For the ranks to say where they are.
constexpr std::chrono::seconds kAnnounceTime(1);

constexpr const char* kNotRepeatable =
    "A request's text may differ between runs on these devices: --deterministic makes it the same whatever runs beside "
    "it, before it, and after a loss of ranks.";

template <class... Values>
std::string line(const char* format, Values... values) {
  std::array<char, 300> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

// Names by which clients of this machine know the server, unless others were given.
AccessOptions with_known_hosts(AccessOptions access, const std::string& host) {
  if (access.hosts.empty() && is_loopback(host)) {
    access.hosts = {"localhost", "127.0.0.1", "[::1]", host};
  }
  return access;
}

std::shared_ptr<TlsCertificate> certificate_of(const ServeOptions& options) {
  return options.certificate_file.empty()
             ? nullptr
             : std::make_shared<TlsCertificate>(options.certificate_file, options.key_file);
}

Json cost_json(const AccessRecord& record, bool with_body) {
  Json json;
  json.set("id", record.id);
  json.set("method", record.method);
  json.set("route", record.path);
  json.set("status", record.status);
  json.set("abandoned", record.abandoned);
  json.set("prompt_tokens", record.cost.prompt_tokens);
  json.set("completion_tokens", record.cost.completion_tokens);
  json.set("first_token_s", record.cost.first_token_s);
  json.set("total_s", record.seconds);
  if (with_body) {
    json.set("body", record.body);
  }
  return json;
}

}  // namespace

ServeFrontEnd::ServeFrontEnd(ServeOptions options, std::shared_ptr<const ModelText> model)
    : options_(std::move(options)),
      access_(with_known_hosts(options_.access, options_.host)),
      certificate_(certificate_of(options_)),
      trace_(options_.trace.empty() ? nullptr : std::make_unique<ServerTrace>(options_.trace)),
      api_(options_.api, std::move(model)),
      server_(options_.host, options_.port, options_.limits, handlers(), certificate_),
      next_status_(Clock::now() + kStatusPeriod),
      workers_(kReaders, static_cast<std::size_t>(options_.api.most_requests)) {}

HttpHandlers ServeFrontEnd::handlers() {
  return {.admit = [this](const HttpRequest& head) { return access_.admit(head, Api::kind_of(head.path)); },
          .handle = [this](const HttpRequest& request,
                           const std::shared_ptr<HttpExchange>& exchange) { api_.handle(request, exchange); },
          .answered = [this](const AccessRecord& record) { log_access(record); }};
}

void ServeFrontEnd::log_access(const AccessRecord& record) const {
  if (!options_.log_requests) {
    return;
  }
  const std::string status = record.status == 0 ? "no answer" : std::to_string(record.status);
  const std::string text =
      record.id + " " + record.method + " " + record.path.substr(0, 200) + " " + status +
      (record.abandoned ? ", abandoned" : "") +
      line(", %lld + %lld tokens, first after %.3f s, all in %.3f s", static_cast<long long>(record.cost.prompt_tokens),
           static_cast<long long>(record.cost.completion_tokens), record.cost.first_token_s, record.seconds) +
      (options_.log_prompts && !record.body.empty() ? ": " + record.body : "");
  log_line(LogLevel::kInfo, text, cost_json(record, options_.log_prompts));
}

bool ServeFrontEnd::reload() {
  if (options_.access.key_file.empty() && !certificate_) {
    return false;
  }
  server_.post([this] {
    try {
      access_.reload();
      if (certificate_) certificate_->reload();
      log_line(LogLevel::kInfo, "keys and certificates were read again");
    } catch (const Error& error) {
      log_line(LogLevel::kError, error.cause() + "; what was there before stays");
    }
  });
  return true;
}

// Runs `work` on the server's thread and waits for it.
void ServeFrontEnd::on_server(const std::function<void()>& work) {
  std::promise<void> done;
  server_.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

int ServeFrontEnd::run(Engine& engine) {
  on_server([&] {
    api_.attach(engine,
                [this](std::function<Api::Work()> read, bool large) { return read_aside(std::move(read), large); });
  });
  announce_deadline_ = Clock::now() + kAnnounceTime;
  on_server([&] { announce(); });
  try {
    api_.hub()->pump([this] { return finished(); },
                     [this](std::vector<EngineEvent> events) {
                       server_.post([this, events = std::move(events)] {
                         for (const EngineEvent& event : events) {
                           deliver(event);
                         }
                       });
                     });
    if (trace_) {
      on_server([] {});  // whatever it was to do with the trace is done
      trace_->take_last(engine);
    }
  } catch (const Error& error) {
    abandon("the engine was lost: " + error.cause());
    throw;
  }
  abandon("the server ended before the answer was complete");
  return 0;
}

void ServeFrontEnd::deliver(const EngineEvent& event) {
  if (trace_ && event.kind == EngineEvent::Kind::kReport) {
    trace_->add(event.reports);
  } else {
    api_.hub()->deliver(event);
  }
}

void ServeFrontEnd::end_trace() {
  try {
    trace_->finish();
  } catch (const Error& error) {
    log_line(LogLevel::kError, error.cause());
  }
}

bool ServeFrontEnd::read_aside(std::function<Api::Work()> read, bool large) {
  return workers_.submit([this, read = std::move(read)] { server_.post(read()); }, large);
}

bool ServeFrontEnd::drain() {
  if (told_.exchange(true)) {
    return false;
  }
  log_line(LogLevel::kInfo, "ending: open requests have " + std::to_string(options_.drain_time.count()) +
                                " s; once more to end at once");
  api_.drain();
  return true;
}

void ServeFrontEnd::abandon(const std::string& why) {
  api_.drain();
  on_server([&] {
    if (api_.hub() != nullptr) api_.hub()->fail(why);
    if (trace_) end_trace();
  });
  server_.flush(kFlushTime);
}

// Called by the thread that takes events, every few milliseconds.
bool ServeFrontEnd::finished() {
  const Clock::time_point now = Clock::now();
  if (now < announce_deadline_ + kAnnounceTime) {
    server_.post([this] { announce(); });
  }
  if (trace_) {
    server_.post([this, now] { trace_->ask(*api_.hub(), now); });
  }
  if (now >= next_status_) {
    next_status_ = now + kStatusPeriod;
    server_.post([this] { print_status(); });
  }
  if (!api_.draining()) {
    drain_deadline_ = now + options_.drain_time;
    return false;
  }
  server_.post([this] { idle_ = api_.idle(); });
  return idle_ || now >= drain_deadline_;
}

// As soon as every rank has said where it is.
void ServeFrontEnd::announce() {
  const EngineInfo info = api_.hub()->info();
  std::vector<RankActivity> ranks;
  for (const RankRate& rate : api_.hub()->cluster().rates(Clock::now())) {
    ranks.push_back(rate.activity);
  }
  const bool all = ranks.size() == static_cast<std::size_t>(info.tp) * static_cast<std::size_t>(info.pp);
  if (!announced_ && (all || Clock::now() >= announce_deadline_)) {
    announced_ = true;
    print_banner(info, ranks);
  }
}

void ServeFrontEnd::print_banner(const EngineInfo& info, const std::vector<RankActivity>& ranks) const {
  const std::string url = url_of(options_.host, server_.port(), certificate_ != nullptr);
  const double concurrency = static_cast<double>(info.kv_tokens) / static_cast<double>(info.max_model_len);
  if (log_format() == LogFormat::kJson) {
    Json fields;
    fields.set("version", options_.api.version);
    fields.set("model", options_.title);
    fields.set("tp", info.tp);
    fields.set("pp", info.pp);
    fields.set("threads", info.threads);
    fields.set("kv_cache_tokens", info.kv_tokens);
    fields.set("max_model_len", info.max_model_len);
    fields.set("max_concurrency", concurrency);
    Json::Array layout;
    for (const std::string& part : layout_lines(ranks)) {
      layout.emplace_back(part);
    }
    fields.set("layout", std::move(layout));
    fields.set("repeatable", info.repeatable);
    if (!info.repeatable) log_line(LogLevel::kWarning, kNotRepeatable);
    log_line(LogLevel::kInfo, "Ready: " + url + "/v1", fields);
    return;
  }
  const bool asks_for_key = !options_.access.keys.empty() || !options_.access.key_file.empty();
  std::string layout;
  for (const std::string& part : layout_lines(ranks)) {
    layout += "  " + part + "\n";
  }
  std::cerr << "longship " + options_.api.version + ": " + options_.title +
                   line(": tp %d, pp %d, %d threads a rank\n", info.tp, info.pp, info.threads) + layout +
                   (info.repeatable ? "" : std::string(kNotRepeatable) + "\n") +
                   line("KV cache size: %lld tokens\n", static_cast<long long>(info.kv_tokens)) +
                   line("Maximum concurrency for %lld tokens per request: %.2fx\n",
                        static_cast<long long>(info.max_model_len), concurrency) +
                   "Ready: " + url + "/v1\n  in a browser: " + url + "/\n  curl " + url + "/v1/chat/completions" +
                   (asks_for_key ? " -H 'Authorization: Bearer KEY'" : "") +
                   " -H 'Content-Type: application/json' -d '{\"messages\":[{\"role\":\"user\","
                   "\"content\":\"Why do ships float?\"}]}'\n"
            << std::flush;
}

// Nothing while nothing happens.
void ServeFrontEnd::print_status() {
  const EngineCounters now = api_.hub()->counters();
  const EngineCounters before = std::exchange(last_status_, now);
  const int64_t prompt = now.prompt_tokens - before.prompt_tokens;
  const int64_t generated = now.generated_tokens - before.generated_tokens;
  if (prompt + generated + now.running + now.waiting == 0) {
    return;
  }
  const auto per_second = [](int64_t tokens) {
    return static_cast<double>(tokens) / std::chrono::duration<double>(kStatusPeriod).count();
  };
  const EngineStats& stats = api_.hub()->stats();
  const double usage = static_cast<double>(stats.pages_used) / static_cast<double>(std::max<int64_t>(1, stats.pages));
  Json fields;
  fields.set("running", now.running);
  fields.set("waiting", now.waiting);
  fields.set("kv_cache_usage", usage);
  fields.set("prompt_tokens_per_s", per_second(prompt));
  fields.set("generation_tokens_per_s", per_second(generated));
  log_line(LogLevel::kInfo,
           line("running %lld, waiting %lld, KV %.1f %%, prompts %.1f tokens/s, generation %.1f tokens/s",
                static_cast<long long>(now.running), static_cast<long long>(now.waiting), 100 * usage,
                per_second(prompt), per_second(generated)),
           fields);
}

}  // namespace longship
