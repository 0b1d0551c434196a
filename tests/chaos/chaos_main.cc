// Kills and stops ranks of a server under load, and checks that no accepted request is lost and none answered
// otherwise.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>

#include "tests/chaos/load.h"
#include "tests/e2e/program.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Options {
  std::string model;
  int tp = 2;
  int pp = 2;
  int kills = 40;
  int stops = 10;
  int pairs = 3;        ///< Two ranks at once.
  int in_recovery = 3;  ///< A second fault while the ranks are started again.
  int streams = 16;
  int tokens = 200;
  uint64_t seed = 1;
};

constexpr milliseconds kMostWait(30000);
constexpr std::chrono::seconds kDrainTime(60);

milliseconds since(Clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
}

// Requests of every kind: greedy and drawn, choices, logprobs, penalties, stops, a grammar.
std::vector<std::string> request_bodies(const Options& options) {
  constexpr const char* kKinds[] = {R"("temperature":0)",
                                    R"("temperature":1)",
                                    R"("temperature":0.8,"top_p":0.9,"logprobs":3)",
                                    R"("temperature":1,"n":2,"presence_penalty":0.3)",
                                    R"("temperature":1.2,"stop":["zzq"],"min_tokens":8)",
                                    R"("temperature":0.7,"top_k":40,"repetition_penalty":1.1)",
                                    R"("temperature":1,"guided_regex":"([a-z]{2,9} ){1,9999}")"};
  std::vector<std::string> bodies;
  for (int i = 0; i < options.streams; ++i) {
    bodies.push_back(R"({"prompt":"Story number )" + std::to_string(i) +
                     R"(: the ship","stream":true,"ignore_eos":true,)" + R"("max_tokens":)" +
                     std::to_string(options.tokens) + R"(,"seed":)" + std::to_string(i) + "," +
                     kKinds[static_cast<std::size_t>(i) % std::size(kKinds)] + "}");
  }
  return bodies;
}

class ChaosServer {
 public:
  explicit ChaosServer(const Options& options)
      : ranks_(options.tp * options.pp),
        began_(Clock::now()),
        program_(longship({"serve", options.model, "--port", "0", "-tp", std::to_string(options.tp), "-pp",
                           std::to_string(options.pp), "-c", "4096", "--kv-cache-memory", "256MiB", "--max-num-seqs",
                           "32", "--drain-timeout", std::to_string(kDrainTime.count())})) {}

  /// Waits until it answers; false if it does not within a minute.
  bool wait_until_ready() {
    const std::string mark = "Ready: http://127.0.0.1:";
    while (since(began_) < std::chrono::minutes(1)) {
      const std::string text = program_.err_so_far();
      if (const auto found = text.find(mark); found != std::string::npos) {
        port_ = static_cast<uint16_t>(std::atoi(text.c_str() + found + mark.size()));
        return true;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    std::fprintf(stderr, "%s", program_.err_so_far().c_str());
    return false;
  }
  uint16_t port() const { return port_; }
  milliseconds age() const { return since(began_); }
  Program& program() { return program_; }
  std::vector<pid_t> ranks() { return ranks_of(program_.pid(), static_cast<std::size_t>(ranks_)); }
  /// Ranks of which none is among `old`.
  std::vector<pid_t> ranks_after(const std::vector<pid_t>& old) {
    std::vector<pid_t> now;
    do {
      now = ranks();
    } while (std::find_first_of(now.begin(), now.end(), old.begin(), old.end()) != now.end());
    return now;
  }

 private:
  int ranks_;
  Clock::time_point began_;
  Program program_;
  uint16_t port_ = 0;
};

class Chaos {
 public:
  explicit Chaos(const Options& options) : options_(options), random_(options.seed) {}

  int run() {
    std::printf("%s on %d x %d, %d streams, seed %llu\n", options_.model.c_str(), options_.tp, options_.pp,
                options_.streams, static_cast<unsigned long long>(options_.seed));
    ChaosServer server(options_);
    if (!server.wait_until_ready()) return 1;
    std::printf("start to ready: %lld ms, without a fault\n", static_cast<long long>(server.age().count()));
    StreamLoad load(server.port(), request_bodies(options_));
    if (!load.learn()) {
      std::printf("the requests fail without a fault\n");
      return 1;
    }
    std::printf("%-22s %7s %9s %9s %9s %8s %6s %10s\n", "fault", "faults", "p50 ms", "p99 ms", "max ms", "answers",
                "lost", "different");
    load.start(options_.streams);
    repeat("SIGKILL", options_.kills, server, load, [&](const auto& ranks) { kill(any(ranks), SIGKILL); });
    repeat("SIGSTOP", options_.stops, server, load, [&](const auto& ranks) { kill(any(ranks), SIGSTOP); });
    repeat("two ranks at once", options_.pairs, server, load, [&](const auto& ranks) {
      kill(ranks.front(), SIGKILL);
      kill(ranks.back(), SIGSTOP);
    });
    repeat("again in recovery", options_.in_recovery, server, load, [&](const auto& ranks) {
      kill(any(ranks), SIGKILL);
      const std::vector<pid_t> next = server.ranks_after(ranks);
      pause(0, 400);
      if (!next.empty()) kill(any(next), SIGKILL);
    });
    in_drain(server, load);
    in_load();
    if (!leftovers().empty()) {
      std::printf("left behind: %s\n", leftovers().front().c_str());
      failed_ = true;
    }
    return failed_ ? 1 : 0;
  }

 private:
  using Fault = std::function<void(const std::vector<pid_t>& ranks)>;

  pid_t any(const std::vector<pid_t>& ranks) {
    return ranks[std::uniform_int_distribution<std::size_t>(0, ranks.size() - 1)(random_)];
  }
  void pause(int least_ms, int most_ms) {
    std::this_thread::sleep_for(milliseconds(std::uniform_int_distribution<int>(least_ms, most_ms)(random_)));
  }

  void repeat(const char* name, int times, ChaosServer& server, StreamLoad& load, const Fault& fault) {
    if (times == 0) return;
    const int before[] = {load.answers(), load.lost(), load.different()};
    std::vector<milliseconds> waits;
    for (int i = 0; i < times; ++i) {
      pause(100, 900);
      const std::vector<pid_t> ranks = server.ranks();
      if (ranks.empty() || !load.wait_until_flowing(kMostWait)) {
        std::printf("%s: the ranks are not there, or do not answer\n", name);
        failed_ = true;
        return;
      }
      const Clock::time_point begin = Clock::now();
      fault(ranks);
      const std::vector<milliseconds> all = load.waits_after(begin, kMostWait);
      waits.insert(waits.end(), all.begin(), all.end());
    }
    report(name, times, waits, load.answers() - before[0], load.lost() - before[1], load.different() - before[2]);
    if (!load.first_failure().empty()) std::printf("first failure: %s\n", load.first_failure().c_str());
  }

  void report(const char* name, int faults, std::vector<milliseconds> waits, int answers, int lost, int different) {
    std::sort(waits.begin(), waits.end());
    const auto quantile = [&](double part) {
      const auto index = static_cast<std::size_t>(part * static_cast<double>(waits.size() - 1));
      return waits.empty() ? 0LL : static_cast<long long>(waits[index].count());
    };
    std::printf("%-22s %7d %9lld %9lld %9lld %8d %6d %10d\n", name, faults, quantile(0.5), quantile(0.99), quantile(1),
                answers, lost, different);
    std::fflush(stdout);
    failed_ = failed_ || lost > 0 || different > 0;
  }

  // Open requests are answered although the server was told to end and then loses a rank.
  void in_drain(ChaosServer& server, StreamLoad& load) {
    const int before[] = {load.answers(), load.lost(), load.different()};
    const std::vector<pid_t> ranks = server.ranks();
    std::thread stopping([&] { load.stop(); });
    pause(50, 200);
    kill(server.program().pid(), SIGTERM);
    pause(50, 200);
    kill(any(ranks), SIGKILL);
    stopping.join();
    const int exit_code = server.program().wait(kDrainTime + std::chrono::seconds(10)).exit_code;
    report("in the drain", 1, {}, load.answers() - before[0], load.lost() - before[1], load.different() - before[2]);
    if (exit_code != 0) {
      std::printf("the server ended with %d\n", exit_code);
      failed_ = true;
    }
  }

  // The ranks are lost before they have loaded: the server starts them again.
  void in_load() {
    ChaosServer server(options_);
    const std::vector<pid_t> ranks = server.ranks();
    pause(0, 300);
    kill(any(ranks), SIGKILL);
    const bool ready = server.wait_until_ready();
    StreamLoad load(server.port(), request_bodies(options_));
    const bool answers = ready && load.learn();
    report("while loading", 1, {server.age()}, answers ? options_.streams : 0, answers ? 0 : options_.streams, 0);
    kill(server.program().pid(), SIGTERM);
    server.program().wait();
  }

  Options options_;
  std::mt19937_64 random_;
  bool failed_ = false;
};

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Faults at a longship server under load; prints a table, ends with 1 if a request was lost or changed.");
  app.add_option("--model", options.model, "GGUF file or folder")->required();
  app.add_option("--tp", options.tp, "Tensor-parallel ranks")->capture_default_str();
  app.add_option("--pp", options.pp, "Stages")->capture_default_str();
  app.add_option("--kills", options.kills, "Ranks killed")->capture_default_str();
  app.add_option("--stops", options.stops, "Ranks stopped")->capture_default_str();
  app.add_option("--pairs", options.pairs, "Pairs of ranks lost at once")->capture_default_str();
  app.add_option("--in-recovery", options.in_recovery, "Ranks killed while others are started again")
      ->capture_default_str();
  app.add_option("--streams", options.streams, "Requests open at a time")->capture_default_str();
  app.add_option("--tokens", options.tokens, "Tokens of each answer")->capture_default_str();
  app.add_option("--seed", options.seed, "Of the faults")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return Chaos(options).run();
}

}  // namespace
}  // namespace longship

int main(int argc, char** argv) {
  return longship::main(argc, argv);
}
