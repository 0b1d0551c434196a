// `longship run` and `longship eval` as their users start them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/json.h"
#include "tests/e2e/program.h"

namespace longship {
namespace {

const std::vector<std::string> kStory = {
    "run", fixture("gguf-models/llama-Q8_0.gguf"), "--raw", "--greedy", "-p", "The ship sails.", "-n", "24"};

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Run, AnswersTheSameOnEveryMeshHoweverItIsStarted) {
  const Outcome alone = run(longship(kStory));
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  ASSERT_FALSE(alone.out.empty());
  EXPECT_NE(alone.err.find("generation 24 tokens"), std::string::npos) << alone.err;
  const std::vector<std::vector<std::string>> others = {
      longship(with(kStory, {"-tp", "2", "-pp", "2"})),
      longship(with(kStory, {"-tp=3"})),
      mpirun(4, with(kStory, {"-tp", "2"})),
      mpirun(3, kStory),
      mpirun(1, kStory),
  };
  for (const auto& words : others) {
    const Outcome other = run(words);
    EXPECT_EQ(other.exit_code, 0) << other.err;
    EXPECT_EQ(other.out, alone.out) << testing::PrintToString(words);
  }
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

// A shell in an allocation of several hosts: ranks that belong to this process must be where it is.
TEST(Run, StartsItsRanksOnThisHostWhateverHostsABatchSystemGives) {
  const Program::Environment allocation = {{"SLURM_JOBID", "7"},
                                           {"SLURM_JOB_ID", "7"},
                                           {"SLURM_NODELIST", "nohost[1-2]"},
                                           {"SLURM_JOB_NODELIST", "nohost[1-2]"},
                                           {"SLURM_NNODES", "2"},
                                           {"SLURM_JOB_NUM_NODES", "2"},
                                           {"SLURM_TASKS_PER_NODE", "1(x2)"}};
  const Outcome meshed = run(longship(with(kStory, {"-tp", "2"})), "", allocation);
  EXPECT_EQ(meshed.exit_code, 0) << meshed.err;
  EXPECT_EQ(meshed.out, run(longship(kStory)).out);
  EXPECT_NE(meshed.err.find("all 2 ranks start on this host; this Slurm job has 2"), std::string::npos) << meshed.err;
}

// The plan is of the mesh that ranks of srun make: shards within a host, stages over hosts.
TEST(Run, PlansWhatSrunHasStarted) {
  const Program::Environment step = {{"SLURM_JOB_ID", "7"}, {"SLURM_STEP_ID", "0"},        {"SLURM_PROCID", "0"},
                                     {"SLURM_NTASKS", "4"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"PMIX_RANK", "0"}};
  const auto plan = [&](const std::string& tasks) {
    Program::Environment environment = step;
    environment.emplace_back("SLURM_STEP_TASKS_PER_NODE", tasks);
    return run(longship(with(kStory, {"--dry-run", "--json"})), "", environment);
  };
  const std::pair<const char*, int64_t> cases[] = {{"4", 1}, {"2(x2)", 2}, {"2,2", 2}};
  for (const auto& [tasks, stages] : cases) {
    const Outcome outcome = plan(tasks);
    const auto json = parse_json(outcome.out);
    ASSERT_TRUE(std::holds_alternative<Json>(json)) << outcome.err;
    EXPECT_EQ(*std::get<Json>(json).find("tp"), Json(4 / stages)) << tasks;
    EXPECT_EQ(*std::get<Json>(json).find("pp"), Json(stages)) << tasks;
  }
  const Outcome uneven = plan("3,1");
  EXPECT_EQ(uneven.exit_code, 2);
  EXPECT_NE(uneven.err.find("unequal numbers of ranks (1 to 3)"), std::string::npos) << uneven.err;
}

TEST(Run, ASeedFixesTheTextOnEveryMesh) {
  const std::vector<std::string> sampled = {
      "run", fixture("models/qwen3"), "--raw", "--seed", "5", "--temp", "1.2", "-p", "The ship", "-n", "16"};
  const Outcome once = run(longship(sampled));
  ASSERT_EQ(once.exit_code, 0) << once.err;
  EXPECT_EQ(run(longship(with(sampled, {"-pp", "2"}))).out, once.out);
  std::vector<std::string> other_seed = sampled;
  other_seed[4] = "6";
  EXPECT_NE(run(longship(other_seed)).out, once.out);
}

TEST(Run, KeepsKeysAndValuesInEveryType) {
  const std::string model = fixture("gguf-models/llama-Q8_0.gguf");
  for (const char* type : {"f32", "f16", "bf16", "q8_0"}) {
    const std::vector<std::string> words = {"run", model, "-p", "abc", "-n", "40", "--greedy", "--kv-cache-dtype",
                                            type};
    const Outcome alone = run(longship(with(words, {"-t", "3"})));
    ASSERT_EQ(alone.exit_code, 0) << alone.err;
    EXPECT_EQ(run(longship(with(words, {"-tp", "2", "-pp", "2"}))).out, alone.out) << type;
  }
  const Outcome narrow = run(longship({"run", fixture("models/llama"), "-p", "abc", "--kv-cache-dtype", "q8_0"}));
  EXPECT_EQ(narrow.exit_code, 2);
  EXPECT_NE(narrow.err.find("multiple of 32"), std::string::npos) << narrow.err;
}

TEST(Run, KeepsPackedWeights) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("packed" + std::to_string(getpid()));
  const auto files = [&folder] {
    return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
  };
  const std::string text = run(longship(kStory)).out;
  for (const auto& mesh : std::vector<std::vector<std::string>>{{}, {"-tp", "3"}, {"-tp", "2", "-pp", "2"}}) {
    const std::vector<std::string> words = with(kStory, with(mesh, {"--pack-cache-dir", folder.native()}));
    for (int start = 0; start < 2; ++start) {
      const Outcome outcome = run(longship(words));
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
      EXPECT_EQ(outcome.out, text) << testing::PrintToString(words);
    }
  }
  EXPECT_EQ(files(), 1 + 3 + 4);
  EXPECT_EQ(run(longship(with(kStory, {"--exact", "--pack-cache-dir", folder.native()}))).exit_code, 0);
  EXPECT_EQ(files(), 1 + 3 + 4 + 1);
  std::filesystem::remove_all(folder);
  const Outcome nowhere = run(longship(with(kStory, {"-tp", "2", "--pack-cache-dir", "/proc/nowhere"})));
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_NE(nowhere.err.find("--pack-cache"), std::string::npos) << nowhere.err;
}

TEST(Run, ReadsAPipedPrompt) {
  std::vector<std::string> words = kStory;
  words.erase(words.begin() + 4, words.begin() + 6);
  EXPECT_EQ(run(longship(words), "The ship sails.").out, run(longship(kStory)).out);
}

TEST(Run, StopsBeforeAStopString) {
  const std::string all = run(longship(kStory)).out;
  const std::string stop = all.substr(all.size() / 2, 2);
  const Outcome stopped = run(longship(with(kStory, {"--stop", stop})));
  EXPECT_EQ(stopped.exit_code, 0);
  EXPECT_EQ(stopped.out, all.substr(0, all.find(stop)) + "\n");
}

TEST(Run, ChatsInTurns) {
  const Outcome chat = run(longship({"run", fixture("models/llama"), "-i", "--greedy", "-n", "4", "-tp", "2"}),
                           "Hello\n/nothing\n/reset\nHello\n/quit\nnever read\n");
  EXPECT_EQ(chat.exit_code, 0) << chat.err;
  const std::string first = chat.out.substr(0, chat.out.size() / 2);
  EXPECT_EQ(chat.out, first + first) << "after /reset the same question has the same answer";
  EXPECT_NE(chat.err.find("generation 8 tokens"), std::string::npos) << chat.err;
}

TEST(Run, EndsQuietlyWhenNobodyReads) {
  const std::vector<std::string> words = {
      "sh", "-c",
      program_path() + " run " + fixture("models/llama") + " --raw --greedy -p ship -n 200 | head -c 1 >/dev/null"};
  const Outcome outcome = run(words);
  EXPECT_EQ(outcome.err.find("error"), std::string::npos) << outcome.err;
  EXPECT_LT(outcome.seconds, 20);
}

TEST(Run, WorksInAnyLocale) {
  const Outcome usual = run(longship(kStory));
  const Outcome other = run(longship(kStory), "", {{"LC_ALL", "de_DE.UTF-8"}, {"LANG", "tr_TR"}});
  EXPECT_EQ(other.exit_code, 0) << other.err;
  EXPECT_EQ(other.out, usual.out);
}

TEST(Eval, GivesALineForEveryLineOnEveryMesh) {
  const std::string input =
      "{\"ids\": [1, 2, 3, 4], \"greedy\": 3}\n{\"text\": \"The ship sails.\"}\nnonsense\n{\"ids\": [-1]}\n"
      "{\"ids\": [5], \"greedy\": 1, \"unknown\": {}}\n\n{\"ids\": [7, 8]}";
  const std::vector<std::string> words = {"eval", fixture("models/llama"), "--jsonl", "-"};
  const Outcome alone = run(longship(words), input);
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_EQ(std::count(alone.out.begin(), alone.out.end(), '\n'), 7) << alone.out;
  std::vector<bool> errors;
  for (std::size_t at = 0; at < alone.out.size(); at = alone.out.find('\n', at) + 1) {
    errors.push_back(alone.out.compare(at, 9, "{\"error\":") == 0);
  }
  EXPECT_EQ(errors, (std::vector<bool>{false, false, true, true, false, true, false}));
  EXPECT_EQ(run(longship(with(words, {"-tp", "3"})), input).out, alone.out);
  EXPECT_EQ(run(mpirun(4, with(words, {"-pp", "2"})), input).out, alone.out);
}

TEST(Eval, PrintsAPerplexity) {
  const std::string folder = testing::TempDir() + "/eval_text";
  std::filesystem::create_directories(folder);
  const Outcome outcome = run(longship({"eval", fixture("models/llama"), "--text", "-", "--ctx", "16"}),
                              std::string(400, 'a') + " The ship sails over the sea. And back again it sails.");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("perplexity ")) << outcome.out;
}

// Process and name of every event that `--trace` left in a file; for the names of processes, those.
std::set<std::pair<int64_t, std::string>> traced(const std::string& file) {
  std::ifstream stream(file);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const Json all = std::get<Json>(parse_json(text));
  std::set<std::pair<int64_t, std::string>> seen;
  for (const Json& event : all.find("traceEvents")->as_array()) {
    const bool names = event.find("ph")->as_string() == "M";
    seen.emplace(event.find("pid")->as_int(),
                 (names ? event.find("args")->find("name") : event.find("name"))->as_string());
  }
  return seen;
}

TEST(Run, TracesEveryRank) {
  const std::string file = testing::TempDir() + "/run_trace.json";
  const Outcome outcome = run(longship(with(kStory, {"-tp", "2", "--trace", file})));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto seen = traced(file);
  for (const int64_t rank : {0, 1}) {
    for (const char* name : {"step", "linear", "attention", "tree_reduce", "gather"}) {
      EXPECT_TRUE(seen.contains({rank, name})) << rank << " " << name;
    }
  }
}

// What a program that succeeded printed, which is JSON and nothing else; throws where it is not.
Json json_of(const Outcome& outcome) {
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return std::get<Json>(parse_json(outcome.out));
}

// What a row of `bench run` says must fit together.
void expect_sound(const Json& row) {
  const double speed = row.find("avg_ts")->as_double();
  EXPECT_GT(speed, 0);
  EXPECT_NEAR(row.find("ms_per_token")->as_double() * speed, 1000, 1e-6);
  double sum = 0;
  for (const Json& sample : row.find("samples_ts")->as_array()) sum += sample.as_double();
  EXPECT_NEAR(sum / 2, speed, 1e-6 * speed);
  for (const char* share : {"comm_share", "wait_share"}) {
    EXPECT_GE(row.find(share)->as_double(), 0) << share;
    EXPECT_LE(row.find(share)->as_double(), 1) << share;
  }
  for (const char* rate : {"mbu", "mfu", "read_gbps", "peak_gops"}) {  // small weights are read from the caches
    EXPECT_GT(row.find(rate)->as_double(), 0) << rate;
  }
}

TEST(Bench, MeasuresPromptsAndGenerationAtDepths) {
  const std::vector<std::string> words = {
      "bench", "run", fixture("gguf-models/llama-Q8_0.gguf"), "-p", "32", "-n", "8", "-d", "0,100", "-r", "2",
      "-o",    "json"};
  for (const auto& started :
       {longship(words), longship(with(words, {"-tp", "2"})), mpirun(4, with(words, {"-pp", "2"}))}) {
    const Json all = json_of(run(started));
    const Json::Array& rows = all.find("results")->as_array();
    ASSERT_EQ(rows.size(), 4U);
    const std::vector<std::string> names = {"pp32", "tg8", "pp32 @ d100", "tg8 @ d100"};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].find("test")->as_string(), names[i]);
      expect_sound(rows[i]);
    }
    EXPECT_NE(all.find("machine")->find("cpu"), nullptr);
  }
}

TEST(Bench, MeasuresAModelThatHasNoWeights) {
  const std::string config = fixture("models/llama-rope-llama3/config.json");
  const std::vector<std::string> words = {
      "bench", "run", "--synthetic", config, "--synthetic-type", "F16", "-p", "16", "-n", "4", "-r", "1", "-o", "json"};
  const Outcome alone = run(longship(words));
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_EQ(run(longship(with(words, {"-tp", "2"}))).exit_code, 0);
  const Outcome plan = run(longship({"plan", "--synthetic", config, "-tp", "2", "--json"}));
  EXPECT_EQ(json_of(plan).find("ranks")->as_array().size(), 2U);
  EXPECT_EQ(run(longship({"plan", "--synthetic", config, "--synthetic-type", "Q9"})).exit_code, 2);
  EXPECT_EQ(run(longship({"plan", "--synthetic", "/nonexistent/config.json"})).exit_code, 3);
  // A model of the environment is not meant, one beside it cannot be.
  const std::vector<std::string> one = {"plan", "--synthetic", config};
  EXPECT_EQ(run(longship(one), "", {{"LONGSHIP_MODEL", fixture("gguf-models/llama-Q8_0.gguf")}}).exit_code, 0);
  EXPECT_EQ(run(longship(with(one, {fixture("gguf-models/llama-Q8_0.gguf")}))).exit_code, 2);
}

TEST(Bench, DecodesStreamsTogether) {
  const Json all = json_of(run(longship({"bench", "run", fixture("gguf-models/llama-Q8_0.gguf"), "-p", "0", "-n", "8",
                                         "-d", "70", "-npl", "1,20", "-r", "2", "-o", "json"})));
  const Json::Array& rows = all.find("results")->as_array();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].find("test")->as_string(), "tg8 @ d70");
  EXPECT_EQ(rows[0].find("n_parallel")->as_int(), 1);
  EXPECT_EQ(rows[1].find("test")->as_string(), "tg8 x 20 @ d70");
  EXPECT_EQ(rows[1].find("n_parallel")->as_int(), 20);
  for (const Json& row : rows) expect_sound(row);
  std::vector<std::string> many = longship({"bench", "run", fixture("gguf-models/llama-Q8_0.gguf"), "-p", "0", "-n",
                                            "8", "-d", "1500", "-npl", "16", "-r", "1"});
  EXPECT_EQ(run(many).exit_code, 0) << "room is made for 25600 tokens";
  many.insert(many.end(), {"--kv-cache-memory", "1MiB"});
  const Outcome little = run(many);
  EXPECT_EQ(little.exit_code, 2);
  EXPECT_NE(little.err.find("room for 25600 tokens"), std::string::npos) << little.err;
}

// A mesh that is advised is one of the rows, and none is predicted to be faster.
void expect_advice(const Json& all, const char* what, const char* test) {
  const Json* advised = all.find("advice")->find(what);
  ASSERT_NE(advised, nullptr) << what;
  EXPECT_EQ(advised->find("test")->as_string(), test);
  bool found = false;
  for (const Json& row : all.find("results")->as_array()) {
    if (row.find("test")->as_string() != test) {
      continue;
    }
    EXPECT_LE(row.find("predicted_ts")->as_double(), advised->find("predicted_ts")->as_double());
    found |= *row.find("tp") == *advised->find("tp") && *row.find("pp") == *advised->find("pp");
  }
  EXPECT_TRUE(found) << what;
}

TEST(Bench, ScalesOverGrowingMeshes) {
  const std::string svg = testing::TempDir() + "/scale.svg";
  const std::vector<std::string> words = {
      "bench", "scale", fixture("gguf-models/llama-Q8_0.gguf"), "--mode", "both", "-p", "16", "-n", "4", "-r", "2"};
  const std::vector<std::string> json = with(words, {"--ranks", "1,3", "-o", "json", "--svg", svg});
  for (const auto& started : {longship(json), mpirun(3, json)}) {
    std::filesystem::remove(svg);
    const Json all = json_of(run(started));
    const Json::Array& rows = all.find("results")->as_array();
    ASSERT_EQ(rows.size(), 8U);
    for (const Json& row : rows) {
      expect_sound(row);
      EXPECT_GT(row.find("bound_ts")->as_double(), 0);
      EXPECT_GT(row.find("predicted_ts")->as_double(), 0);
      EXPECT_LT(row.find("slowest_rank")->as_int(), row.find("ranks")->as_int());
    }
    // A mesh that others are predicted from is what it was.
    EXPECT_NEAR(rows[1].find("predicted_ts")->as_double() / rows[1].find("avg_ts")->as_double(), 1, 1e-3);
    EXPECT_EQ(rows[2].find("tp")->as_int(), 3);
    EXPECT_EQ(rows[6].find("pp")->as_int(), 3);
    expect_advice(all, "prefill", "pp16");
    expect_advice(all, "decode", "tg4");
    EXPECT_TRUE(std::filesystem::exists(svg));
  }
  const Outcome table = run(longship(with(words, {"--ranks", "1"})));
  EXPECT_NE(table.out.find("advised: -tp 1 -pp 1 for pp16 ("), std::string::npos) << table.out;
  const Outcome small = run(mpirun(2, json));
  EXPECT_EQ(small.exit_code, 2);
  EXPECT_NE(small.err.find("3 ranks are to be measured"), std::string::npos) << small.err;
}

TEST(Bench, ComparesWaysToCommunicate) {
  const std::vector<std::string> words = {"bench", "comm", "-b", "8", "-e", "8K", "-f", "32", "-o", "json"};
  for (const auto& started : {longship(words), mpirun(3, words)}) {
    const Json all = json_of(run(started));
    const Json::Array& rows = all.find("results")->as_array();
    ASSERT_EQ(rows.size(), 4U * 3 * 3);  // operations, sizes, transports
    std::set<std::string> transports;
    for (const Json& row : rows) {
      transports.insert(row.find("transport")->as_string());
      EXPECT_EQ(row.find("errors")->as_int(), 0);
      EXPECT_EQ(row.find("ranks")->as_int(), all.find("machine")->find("ranks")->as_int());
      EXPECT_NEAR(row.find("time_us")->as_double() * row.find("algbw_gbps")->as_double() * 1e3,
                  row.find("size_bytes")->as_double(), 0.01);
      EXPECT_GT(row.find("busbw_gbps")->as_double(), 0);
    }
    EXPECT_EQ(transports, (std::set<std::string>{"shm", "mpi", "mpi_native"}));
  }
  EXPECT_EQ(run(mpirun(1, words)).exit_code, 2);
  const Json fused = json_of(run(
      mpirun(3, {"bench", "comm", "--op", "all_reduce_add_norm", "-b", "8", "-e", "48K", "-f", "6144", "-o", "json"})));
  const Json::Array& rows = fused.find("results")->as_array();
  ASSERT_EQ(rows.size(), 2U * 2 * 3);  // with the sum alone
  for (const Json& row : rows) {
    EXPECT_EQ(row.find("errors")->as_int(), 0) << row.find("op")->as_string();
  }
  EXPECT_EQ(run(longship({"bench", "comm", "-b", "1M", "-e", "1K"})).exit_code, 2);
}

TEST(Bench, TracesEveryRankOfEveryMesh) {
  const std::string file = testing::TempDir() + "/scale_trace.json";
  const std::vector<std::string> words = {
      "bench", "scale", fixture("gguf-models/llama-Q8_0.gguf"), "-p", "8", "-n", "0", "-r", "1", "--trace", file};
  for (const auto& started : {longship(words), mpirun(2, words)}) {
    std::filesystem::remove(file);
    const Outcome outcome = run(started);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto seen = traced(file);
    const std::vector<std::string> ranks = {"-tp 1 -pp 1, rank 0 (stage 0, shard 0)",
                                            "-tp 2 -pp 1, rank 0 (stage 0, shard 0)",
                                            "-tp 2 -pp 1, rank 1 (stage 0, shard 1)"};
    for (int process = 0; process < 3; ++process) {
      EXPECT_TRUE(seen.contains({process, ranks[static_cast<std::size_t>(process)]}));
      EXPECT_TRUE(seen.contains({process, "step"}));
      EXPECT_TRUE(seen.contains({process, "linear"}));
      EXPECT_EQ(seen.contains({process, "tree_reduce"}), process > 0);
    }
  }
}

TEST(Bench, TracesWaysToCommunicate) {
  const std::string file = testing::TempDir() + "/comm_trace.json";
  const std::vector<std::string> words = {"bench", "comm", "--op", "all_gather", "-b",      "4M",
                                          "-e",    "4M",   "-r",   "3",          "--trace", file};
  for (const auto& started : {longship(words), mpirun(3, words)}) {
    std::filesystem::remove(file);
    const Outcome outcome = run(started);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto seen = traced(file);
    for (const int64_t rank : {0, 1}) {
      for (const char* name : {"all_gather shm", "all_gather mpi", "all_gather mpi_native"}) {
        const auto found = seen.lower_bound({rank, name});
        EXPECT_TRUE(found != seen.end() && found->first == rank && found->second.starts_with(name)) << name;
      }
    }
  }
  const Outcome nowhere = run(longship({"bench", "comm", "-e", "8", "--trace", "/nowhere/trace.json"}));
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_NE(nowhere.err.find("/nowhere/trace.json cannot be written"), std::string::npos) << nowhere.err;
  EXPECT_EQ(nowhere.err.find("mpirun"), std::string::npos) << nowhere.err;
}

// Minutes of measuring are not lost to a name that cannot be written to.
TEST(Bench, ScaleKnowsBeforeItMeasuresWhereItCannotWrite) {
  for (const char* flag : {"--svg", "--trace"}) {
    const std::vector<std::string> words = {"bench", "scale", fixture("gguf-models/llama-Q8_0.gguf"), flag,
                                            "/nowhere/file"};
    for (const auto& started : {longship(words), mpirun(2, words)}) {
      const Outcome outcome = run(started);
      EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
      EXPECT_NE(outcome.err.find("/nowhere/file cannot be written"), std::string::npos) << outcome.err;
      EXPECT_EQ(outcome.err.find("loaded"), std::string::npos) << outcome.err;
    }
  }
}

TEST(Bench, RefusesWhatDoesNotFit) {
  const Outcome outcome = run(longship({"bench", "run", fixture("models/llama"), "-p", "600", "-c", "512"}));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("pp600 needs a context"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace longship
