#include "launcher/server/serve.h"

#include <array>
#include <cstdio>
#include <future>
#include <iostream>

#include "core/error.h"

namespace longship {

namespace {

constexpr std::chrono::seconds kStatusPeriod(10);
constexpr std::chrono::seconds kFlushTime(1);

template <class... Values>
std::string line(const char* format, Values... values) {
  std::array<char, 300> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

}  // namespace

ServeFrontEnd::ServeFrontEnd(ServeOptions options, std::shared_ptr<const ModelText> model)
    : options_(std::move(options)),
      api_(options_.api, std::move(model)),
      server_(options_.host, options_.port, options_.limits,
              [this](const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
                api_.handle(request, exchange);
              }),
      next_status_(Clock::now() + kStatusPeriod) {}

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
  on_server([&] { api_.attach(engine); });
  print_banner(engine.info());
  try {
    api_.hub()->pump([this] { return finished(); },
                     [this](std::vector<EngineEvent> events) {
                       server_.post([this, events = std::move(events)] {
                         for (const EngineEvent& event : events) {
                           api_.hub()->deliver(event);
                         }
                       });
                     });
  } catch (const Error& error) {
    abandon("the engine was lost: " + error.cause());
    throw;
  }
  abandon("the server ended before the answer was complete");
  return 0;
}

bool ServeFrontEnd::drain() {
  if (told_.exchange(true)) {
    return false;
  }
  std::cerr << "longship: ending: open requests have " << options_.drain_time.count()
            << " s; once more to end at once\n";
  api_.drain();
  return true;
}

void ServeFrontEnd::abandon(const std::string& why) {
  api_.drain();
  on_server([&] {
    if (api_.hub() != nullptr) api_.hub()->fail(why);
  });
  server_.flush(kFlushTime);
}

// Called by the thread that takes events, every few milliseconds.
bool ServeFrontEnd::finished() {
  const Clock::time_point now = Clock::now();
  if (now >= next_status_) {
    next_status_ = now + kStatusPeriod;
    server_.post([this] { print_status(); });
  }
  if (!api_.draining()) {
    drain_deadline_ = now + options_.drain_time;
    return false;
  }
  server_.post([this] { idle_ = api_.hub()->idle(); });
  return idle_ || now >= drain_deadline_;
}

void ServeFrontEnd::print_banner(const EngineInfo& info) const {
  const bool any = options_.host == "0.0.0.0" || options_.host == "::";
  const std::string url = "http://" + (any ? "127.0.0.1" : options_.host) + ":" + std::to_string(server_.port());
  const double concurrency = static_cast<double>(info.kv_tokens) / static_cast<double>(info.max_model_len);
  std::cerr << "longship " + options_.api.version + ": " + options_.title +
                   line(": tp %d, pp %d, %d threads a rank\n", info.tp, info.pp, info.threads) +
                   line("KV cache size: %lld tokens\n", static_cast<long long>(info.kv_tokens)) +
                   line("Maximum concurrency for %lld tokens per request: %.2fx\n",
                        static_cast<long long>(info.max_model_len), concurrency) +
                   "Ready: " + url + "/v1\n  curl " + url +
                   "/v1/chat/completions -H 'Content-Type: application/json' -d '{\"messages\":[{\"role\":\"user\","
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
  std::cerr << line(
      "longship: running %lld, waiting %lld, KV %.1f %%, prompts %.1f tokens/s, generation %.1f tokens/s\n",
      static_cast<long long>(now.running), static_cast<long long>(now.waiting),
      100 * static_cast<double>(stats.pages_used) / static_cast<double>(std::max<int64_t>(1, stats.pages)),
      per_second(prompt), per_second(generated));
}

}  // namespace longship
