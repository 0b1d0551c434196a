// LoRA adapters as users of the program and clients of the server see them.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <map>

#include "tests/e2e/http_client.h"
#include "tests/e2e/program.h"
#include "tests/e2e/server.h"
#include "tests/support/adapter_files.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

using testing::AdapterModule;

constexpr const char* kPrompt = "The ship sails.";

// Two adapters of served_model(), which is 256 wide, with 3 layers of 8 heads over 2 of 32, and 512 in between.
class Adapters {
 public:
  Adapters() {
    write("captain", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}, 16);
    write("cook", {"v_proj", "down_proj"}, 32);
  }

  std::string path(const std::string& name) const { return folder_.path() / name; }
  std::vector<std::string> flags() const {
    return {"--lora-modules", "captain=" + path("captain"), R"({"name":"cook","path":")" + path("cook") + "\"}"};
  }

 private:
  void write(const std::string& name, const std::vector<std::string>& targets, int64_t rank) const {
    const std::map<std::string, AdapterModule> shapes = {
        {"q_proj", {"self_attn.q_proj", 256, 256, rank}}, {"k_proj", {"self_attn.k_proj", 64, 256, rank}},
        {"v_proj", {"self_attn.v_proj", 64, 256, rank}},  {"o_proj", {"self_attn.o_proj", 256, 256, rank}},
        {"gate_proj", {"mlp.gate_proj", 512, 256, rank}}, {"up_proj", {"mlp.up_proj", 512, 256, rank}},
        {"down_proj", {"mlp.down_proj", 256, 512, rank}},
    };
    std::vector<AdapterModule> modules;
    for (int layer = 0; layer < 3; ++layer) {
      for (const std::string& target : targets) {
        AdapterModule module = shapes.at(target);
        module.name = "model.layers." + std::to_string(layer) + "." + module.name;
        modules.push_back(module);
      }
    }
    testing::write_adapter(folder_.path() / name, testing::adapter_config(targets, rank, 8),
                           testing::adapter_tensors(modules, static_cast<unsigned>(rank)));
  }

  testing::TemporaryFolder folder_;
};

std::string body_of(const std::string& model, int tokens) {
  return R"({"prompt":")" + std::string(kPrompt) + R"(","max_tokens":)" + std::to_string(tokens) +
         R"(,"temperature":0,"ignore_eos":true,"n":2)" + (model.empty() ? "" : R"(,"model":")" + model + "\"") + "}";
}

// What `longship run` says on one rank; no adapter where `lora` is empty.
std::string text_of_run(const std::string& lora, int tokens, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"run", served_model(), "--raw", "--greedy",
                                    "-p",  kPrompt,        "-n",    std::to_string(tokens)};
  words.insert(words.end(), more.begin(), more.end());
  if (!lora.empty()) {
    words.insert(words.end(), {"--lora", lora});
  }
  const Outcome outcome = run(longship(words));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.out;
}

TEST(Lora, EachRequestHasTheAdapterOfItsModelOnEveryMesh) {
  const Adapters adapters;
  std::map<std::string, std::string> expected = {{"", text_of_run("", 24)},
                                                 {"captain", text_of_run(adapters.path("captain"), 24)},
                                                 {"cook", text_of_run(adapters.path("cook"), 24)}};
  EXPECT_NE(expected[""], expected["captain"]);
  EXPECT_NE(expected[""], expected["cook"]);
  EXPECT_NE(expected["captain"], expected["cook"]);
  const std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> starts = {
      {longship({}), {"-tp", "2", "-pp", "2"}}, {mpirun(3, {}), {"-tp", "3"}}};
  for (const auto& [start, mesh] : starts) {
    std::vector<std::string> more = mesh;
    for (const std::string& flag : adapters.flags()) more.push_back(flag);
    const Server server(more, start);
    for (int round = 0; round < 2; ++round) {  // the second finds pages of the first
      std::vector<std::pair<std::string, std::future<Json>>> answers;
      for (const std::string model : {"", "captain", "cook", "captain", ""}) {
        answers.emplace_back(model, std::async(std::launch::async, [&server, model] {
                               return server.post("/v1/completions", body_of(model, 24));
                             }));
      }
      for (auto& [model, future] : answers) {
        const Json answer = future.get();
        for (const char* choice : {"0", "1"}) {
          EXPECT_EQ(at(answer, {"choices", choice, "text"}).as_string() + "\n", expected[model]) << model;
        }
        EXPECT_EQ(at(answer, {"model"}), Json(model.empty() ? "llama-Q8_0.gguf" : model));
      }
    }
    const Json models = parse(http(server.port(), "GET", "/v1/models").body);
    ASSERT_EQ(at(models, {"data"}).as_array().size(), 3U);
    EXPECT_EQ(at(models, {"data", "1", "id"}), Json("captain"));
    EXPECT_EQ(at(models, {"data", "1", "parent"}), at(models, {"data", "0", "id"}));
    EXPECT_EQ(at(models, {"data", "1", "root"}), Json(adapters.path("captain")));
    const Json unknown = server.post("/v1/completions", body_of("pilot", 1), 404);
    EXPECT_EQ(at(unknown, {"error", "code"}), Json("model_not_found"));
  }
}

// Devices of the emulator, or the GPU of scripts/gpu-check, which share layers or are stages.
TEST(Lora, DevicesAnswerAsCpusDo) {
  constexpr int kTokens = 6;
  const std::string device = testing::cuda_test_device();
  const Adapters adapters;
  std::map<std::string, std::string> expected = {
      {"", text_of_run("", kTokens, {"--exact"})},
      {"captain", text_of_run(adapters.path("captain"), kTokens, {"--exact"})},
      {"cook", text_of_run(adapters.path("cook"), kTokens, {"--exact"})}};
  EXPECT_NE(expected[""], expected["captain"]);
  EXPECT_NE(expected[""], expected["cook"]);
  EXPECT_EQ(text_of_run(adapters.path("cook"), kTokens, {"--exact", "--device", device}), expected["cook"]);
  // NCCL refuses ranks of one host that share a device, so each says that it is a host.
  std::vector<std::string> as_hosts = mpirun(4, {});
  as_hosts.insert(as_hosts.end() - 1, {"sh", "-c", "NCCL_HOSTID=h$OMPI_COMM_WORLD_RANK exec \"$@\"", "sh"});
  const std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> starts = {
      {mpirun(2, {}), {"-tp", "2", "--comm", "ipc"}}, {as_hosts, {"-tp", "2", "-pp", "2", "--comm", "nccl"}}};
  for (const auto& [start, mesh] : starts) {
    std::vector<std::string> more = mesh;
    more.insert(more.end(), {"--device", device, "--exact", "--max-num-seqs", "6"});
    for (const std::string& flag : adapters.flags()) more.push_back(flag);
    const Server server(more, start);
    std::vector<std::pair<std::string, std::future<Json>>> answers;
    for (const std::string model : {"", "captain", "cook"}) {
      answers.emplace_back(model, std::async(std::launch::async, [&server, model] {
                             return server.post("/v1/completions", body_of(model, kTokens));
                           }));
    }
    for (auto& [model, future] : answers) {
      const Json answer = future.get();
      for (const char* choice : {"0", "1"}) {
        EXPECT_EQ(at(answer, {"choices", choice, "text"}).as_string() + "\n", expected[model]) << model;
      }
    }
  }
}

TEST(Lora, ALossOfARankChangesNoAnswer) {
  const Adapters adapters;
  std::vector<std::string> more = {"-tp", "2"};
  for (const std::string& flag : adapters.flags()) more.push_back(flag);
  Server server(more);
  constexpr int kTokens = 400;
  std::map<std::string, std::string> expected;
  for (const std::string model : {"", "captain", "cook"}) {
    expected[model] = at(server.post("/v1/completions", body_of(model, kTokens)), {"choices", "0", "text"}).as_string();
  }
  std::vector<std::pair<std::string, std::future<Json>>> answers;
  for (const auto& [model, text] : expected) {
    answers.emplace_back(model, std::async(std::launch::async, [&server, model = model] {
                           return server.post("/v1/completions", body_of(model, kTokens));
                         }));
  }
  const double before = server.metric("longship:generation_tokens_total");
  EXPECT_TRUE(
      server.wait_for_metric("longship:generation_tokens_total", [&](double tokens) { return tokens > before + 60; }));
  const std::vector<pid_t> ranks = ranks_of(server.program().pid(), 2);
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGKILL);
  for (auto& [model, future] : answers) {
    const Json answer = future.get();
    EXPECT_EQ(at(answer, {"choices", "0", "text"}), Json(expected[model])) << model;
    EXPECT_EQ(at(answer, {"choices", "1", "text"}), Json(expected[model])) << model;
  }
  const Outcome outcome = server.stop();
  EXPECT_NE(outcome.err.find("starting the ranks again"), std::string::npos) << outcome.err;
}

TEST(Lora, ABatchAsksForThemByTheirNames) {
  const Adapters adapters;
  const testing::TemporaryFolder folder;
  const std::string in = folder.path() / "in";
  const std::string out = folder.path() / "out";
  {
    std::ofstream file(in);
    for (const std::string model : {"cook", "llama-Q8_0.gguf"}) {
      file << R"({"custom_id":")" << model << R"(","method":"POST","url":"/v1/completions","body":)"
           << body_of(model, 8) << "}\n";
    }
  }
  std::vector<std::string> words = {"batch", in, out, served_model(), "-c", "512"};
  for (const std::string& flag : adapters.flags()) words.push_back(flag);
  const Outcome outcome = run(longship(words));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::ifstream lines(out);
  std::size_t answered = 0;
  for (std::string line; std::getline(lines, line); ++answered) {
    const Json answer = parse(line);
    const std::string model = at(answer, {"custom_id"}).as_string();
    EXPECT_EQ(at(answer, {"response", "body", "model"}), Json(model));
    EXPECT_EQ(at(answer, {"response", "body", "choices", "0", "text"}).as_string() + "\n",
              text_of_run(model == "cook" ? adapters.path("cook") : "", 8));
  }
  EXPECT_EQ(answered, 2U);
}

TEST(Lora, PlansCountThem) {
  const Adapters adapters;
  const auto weights = [](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"serve", served_model(), "--dry-run", "--json", "-tp", "2"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(longship(words));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return at(parse(outcome.out), {"ranks", "0", "weights_bytes"}).as_int();
  };
  // Columns of A and rows of B of a layer, on one of two ranks: those of q, k and v, o, gate and up, down.
  constexpr int64_t kCaptain = 3 * 256 + 128 + 2 * 256 + 256 + (128 + 2 * 32) + 256 + 2 * 256 + 256;
  constexpr int64_t kCook = 256 + 256 + 32 + 256;
  EXPECT_EQ(weights(adapters.flags()) - weights({}), 3 * 4 * (16 * kCaptain + 32 * kCook));
}

TEST(Lora, WhatIsWrongIsSaidOnceBeforeAnythingStarts) {
  const Adapters adapters;
  const testing::TemporaryFolder folder;
  const auto expect = [&](const std::vector<std::string>& more, int code, const std::string& cause) {
    std::vector<std::string> words = {"serve", served_model(), "--port", "0", "-c", "512"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(longship(words));
    EXPECT_EQ(outcome.exit_code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(cause), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find("error:"), outcome.err.rfind("error:")) << outcome.err;
  };
  const std::string captain = adapters.path("captain");
  expect({"--lora-modules", "captain"}, 2, "is not NAME=PATH");
  expect({"--lora-modules", "a=" + captain, "a=" + captain}, 2, "which is that of another one");
  expect({"--lora-modules", "llama-Q8_0.gguf=" + captain}, 2, "or of the model");
  expect({"--enable-lora"}, 2, "--enable-lora");
  expect({"--lora-modules", "a=/nowhere", "-tp", "2"}, 3, "/nowhere has no adapter_config.json");
  testing::write_adapter(folder.path(), testing::adapter_config({"q_proj"}, 4, 8),
                         testing::adapter_tensors({{"model.layers.7.self_attn.q_proj", 256, 256, 4}}, 1));
  expect({"--lora-modules", "a=" + folder.path().native(), "-tp", "2"}, 3, "the model has no model.layers.7");
}

}  // namespace
}  // namespace longship
