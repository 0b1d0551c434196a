// `longship` on CUDA devices, here those of the emulator, as its users start it.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/json.h"
#include "tests/e2e/http_client.h"
#include "tests/e2e/program.h"
#include "tests/e2e/server.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

const std::vector<std::string> kStory = {"run", fixture("models/llama"), "--raw", "--greedy", "--exact",
                                         "-p",  "The ship sails.",       "-n",    "6"};

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<std::string> emulated(const std::vector<std::string>& words) {
  return with(words, {"--device", "cuda-emulated"});
}

TEST(Cuda, AnswersAsTheCpuDoesOnEveryMesh) {
  const Outcome cpu = run(longship(with(kStory, {"--device", "cpu"})));
  ASSERT_EQ(cpu.exit_code, 0) << cpu.err;
  std::vector<std::vector<std::string>> meshes = {longship(emulated(kStory)),
                                                  longship(emulated(with(kStory, {"-pp", "2"})))};
  for (const char* wire : {"auto", "shm", "ipc", "nccl"}) {
    meshes.push_back(mpirun(4, emulated(with(kStory, {"-tp", "2", "-pp", "2", "--comm", wire}))));
  }
  for (const char* wire : {"ipc", "nccl"}) {  // with graphs, and the host a step behind
    meshes.push_back(mpirun(2, emulated(with(kStory, {"-tp", "2", "--comm", wire}))));
  }
  for (const char* wire : {"ipc", "nccl"}) {
    meshes.push_back(mpirun(2, emulated(with(kStory, {"-pp", "2", "--comm", wire}))));
  }
  // Where each rank has a device, all meet in one communicator of NCCL.
  meshes.push_back(with({"env", "LONGSHIP_EMULATOR_DEVICES=4"},
                        mpirun(4, emulated(with(kStory, {"-tp", "2", "-pp", "2", "--comm", "nccl"})))));
  for (const auto& words : meshes) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, cpu.out) << ::testing::PrintToString(words);
  }
  EXPECT_TRUE(leftovers().empty()) << ::testing::PrintToString(leftovers());
}

TEST(Cuda, IsNeverReplacedByTheEmulator) {
  const std::string doctor = run(longship({"doctor"})).out;
  if (doctor.find("cuda           yes") != std::string::npos) {
    GTEST_SKIP() << "this host has a GPU";
  }
  const Outcome outcome = run(longship(with(kStory, {"--device", "cuda"})));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_TRUE(outcome.out.empty());
  EXPECT_NE(outcome.err.find("--device cpu"), std::string::npos) << outcome.err;
  const Outcome mesh = run(longship(with(kStory, {"--device", "cuda", "-tp", "2"})));
  EXPECT_EQ(mesh.exit_code, 2) << mesh.err;
  const Outcome automatic = run(longship(with(kStory, {"--device", "auto"})));
  EXPECT_EQ(automatic.exit_code, 0) << automatic.err;
}

TEST(Cuda, RefusesDevicesThatKernelsAreNotMadeFor) {
  const std::vector<std::string> old = {"env", "LONGSHIP_EMULATOR_MAJOR=7"};
  const Outcome outcome = run(with(old, longship(emulated(kStory))));
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("has compute capability 7.0, and kernels need 8.0"), std::string::npos) << outcome.err;
  const std::string doctor = run(with(old, longship({"doctor"}))).out;
  EXPECT_NE(doctor.find("no device can be used: device 0 (emulated device) has compute capability 7.0"),
            std::string::npos)
      << doctor;
}

TEST(Cuda, PlansWhatAJobThenTakes) {
  const std::vector<std::string> words = {"plan",  fixture("models/llama"), "--device", "cuda-emulated", "-tp", "2",
                                          "--json"};
  const Outcome outcome = run(longship(words));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json device = parse(outcome.out);
  const Json cpu = parse(run(longship({"plan", fixture("models/llama"), "-tp", "2", "--device", "cpu", "--json"})).out);
  EXPECT_GT(at(device, {"ranks", "0", "source_bytes"}).as_int(), at(cpu, {"ranks", "0", "source_bytes"}).as_int())
      << "a device has a copy of the embedding";
}

// Keys and values get all memory that the plan leaves: nothing that comes later finds none.
TEST(Cuda, RunsWhereThePlanLeavesNoMemory) {
  const Outcome cpu = run(longship(with(kStory, {"--device", "cpu"})));
  for (const std::vector<std::string>& mesh : std::vector<std::vector<std::string>>{{},
                                                                                    {"-tp", "2", "--comm", "ipc"},
                                                                                    {"-tp", "2", "--comm", "nccl"},
                                                                                    {"-pp", "2", "--comm", "ipc"},
                                                                                    {"-pp", "2", "--comm", "nccl"},
                                                                                    {"-tp", "2", "-pp", "2"}}) {
    // A device for each rank, as the emulator counts memory process by process.
    const Outcome outcome = run(with(with({"env", "LONGSHIP_EMULATOR_MEMORY=160M", "LONGSHIP_EMULATOR_DEVICES=4"},
                                          longship(emulated(with(kStory, {"--gpu-memory-utilization", "1"})))),
                                     mesh));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, cpu.out) << ::testing::PrintToString(mesh);
  }
}

TEST(Cuda, Serves) {
  Server server({"--device", testing::cuda_test_device(), "--exact", "--max-num-seqs", "2"});
  const Json answer =
      server.post("/v1/completions", R"({"prompt":"The ship","max_tokens":4,"temperature":0,"ignore_eos":true})");
  EXPECT_EQ(at(answer, {"usage", "completion_tokens"}), Json(4));
  const std::string banner = server.program().err_so_far();
  EXPECT_NE(banner.find("on " + testing::cuda_test_device() + ":0, self within the stage, self between stages"),
            std::string::npos)
      << banner;
  EXPECT_EQ(banner.find("--deterministic"), std::string::npos) << banner;
  EXPECT_EQ(server.stop().exit_code, 0);
}

TEST(Cuda, SaysThatTextsMayDifferUnlessItIsTold) {
  Server server({"--device", testing::cuda_test_device(), "--max-num-seqs", "2", "-tp", "2"});
  const std::string banner = server.program().err_so_far();
  EXPECT_NE(banner.find("--deterministic"), std::string::npos) << banner;
  EXPECT_NE(banner.find("ipc within the stage, self between stages"), std::string::npos) << banner;
  EXPECT_EQ(server.stop().exit_code, 0);
}

TEST(Doctor, SaysWhatTheHostCanDo) {
  const Outcome outcome = run(longship({"doctor", "--json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::vector<std::string> topics;
  const Json facts = at(parse(outcome.out), {"facts"});
  for (const Json& fact : facts.as_array()) {
    topics.push_back(at(fact, {"topic"}).as_string());
    EXPECT_FALSE(at(fact, {"text"}).as_string().empty()) << topics.back();
    if (topics.back() == "cpu" || topics.back() == "cuda-emulated" || topics.back() == "mpirun") {
      EXPECT_EQ(at(fact, {"usable"}), Json(true)) << outcome.out;
    }
  }
  for (const char* topic : {"cpu", "memory", "/dev/shm", "mpi", "mpirun", "srun", "launcher", "cuda", "cuda-emulated",
                            "nccl", "cublaslt"}) {
    EXPECT_NE(std::find(topics.begin(), topics.end(), topic), topics.end()) << topic;
  }
  const Outcome table = run(longship({"doctor"}));
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_NE(table.out.find("cpu            yes"), std::string::npos) << table.out;
}

TEST(Doctor, LooksForTheLibrariesThatTheEnvironmentNames) {
  const std::vector<std::string> named = {"env", "LONGSHIP_NCCL_LIBRARY=/nowhere/n.so",
                                          "LONGSHIP_CUBLASLT=/nowhere/b.so"};
  const Outcome outcome = run(with(named, longship({"doctor"})));
  EXPECT_NE(outcome.out.find("/nowhere/n.so (LONGSHIP_NCCL_LIBRARY) is not found"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("/nowhere/b.so (LONGSHIP_CUBLASLT) is not found"), std::string::npos) << outcome.out;
}

TEST(Plan, TakesMemoryOfDevicesForAPlanOfDevices) {
  const std::vector<std::string> words = {"plan", fixture("models/llama"), "--device-memory", "80GiB"};
  EXPECT_EQ(run(longship(words)).out, run(longship(with(words, {"--device", "cuda"}))).out);
}

TEST(Plan, RefusesMemoryOfDevicesWhereRanksComputeOnCpus) {
  const Outcome outcome =
      run(longship({"plan", fixture("models/llama"), "--device", "cpu", "--device-memory", "80GiB"}));
  EXPECT_EQ(outcome.exit_code, 2) << outcome.out;
  EXPECT_NE(outcome.err.find("--host-memory"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace longship
