// Broken files of every format end as one error that names the file; odd but valid ones load.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "core/error.h"
#include "launcher/inspection.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

Json manifest() {
  std::ifstream file(testing::data_path("malformed/manifest.json"));
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return std::get<Json>(parse_json(text));
}

// The error if the file is refused.
std::optional<Error> error_of(const std::filesystem::path& path) {
  try {
    inspect_path(path, {});
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModelFile) << path << ": " << error.what();
    EXPECT_TRUE(error.remedy().ends_with('.')) << path << ": " << error.what();
    return error;
  }
}

// The message if the file is refused, empty if it is accepted.
std::string refusal(const std::filesystem::path& path) {
  const std::optional<Error> error = error_of(path);
  return error ? error->cause() : "";
}

// A file that may be accepted must then encode a given text within a second.
void expect_quick(const std::filesystem::path& path, const std::string& text) {
  const auto begin = std::chrono::steady_clock::now();
  inspect_path(path, {}).tokenizer->encode(text);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 1.0) << path;
}

TEST(Malformed, EveryFileOfTheManifest) {
  int refused = 0;
  int accepted = 0;
  const Json entries = manifest();
  for (const Json& entry : entries.as_array()) {
    const auto path = testing::data_path("malformed") / entry.find("file")->as_string();
    const auto begin = std::chrono::steady_clock::now();
    const std::string message = refusal(path);
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 2.0) << path;
    if (entry.find("valid")->as_bool()) {
      EXPECT_EQ(message, "") << path << ": " << dump_json(*entry.find("rule"));
      ++accepted;
    } else if (message.empty() && entry.find("may_accept") != nullptr) {
      expect_quick(path, entry.find("encode")->as_string());
    } else {
      EXPECT_NE(message.find(path.parent_path().string()), std::string::npos)
          << path << ": " << dump_json(entry) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      ++refused;
    }
  }
  EXPECT_GT(refused, 150);
  EXPECT_GT(accepted, 10);
}

// Cut at every byte, a small GGUF either fails cleanly or, cut in trailing padding, loads.
TEST(Malformed, TruncatedGguf) {
  std::ifstream file(testing::data_path("malformed/valid/plain.gguf"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto path =
      std::filesystem::temp_directory_path() / ("longship-truncated-" + std::to_string(getpid()) + ".gguf");
  int refused = 0;
  for (std::size_t size = 0; size < bytes.size(); size += size < 2048 ? 1 : 61) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(size));
    refused += refusal(path).empty() ? 0 : 1;
  }
  std::filesystem::remove(path);
  EXPECT_GT(refused, 2000);
}

// Every byte of the header in turn set to a few values: an error or a success, never a crash.
TEST(Malformed, FlippedBytesOfGguf) {
  std::ifstream file(testing::data_path("malformed/valid/plain.gguf"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto path = std::filesystem::temp_directory_path() / ("longship-flipped-" + std::to_string(getpid()) + ".gguf");
  for (std::size_t at = 0; at < std::min<std::size_t>(bytes.size(), 3000); ++at) {
    for (const char value : {'\0', '\x7F', '\xFF'}) {
      std::string changed = bytes;
      changed[at] = value;
      std::ofstream(path, std::ios::binary).write(changed.data(), static_cast<std::streamsize>(changed.size()));
      try {
        inspect_path(path, {});
      } catch (const Error&) {
      }
    }
  }
  std::filesystem::remove(path);
}

// To get a sound file again would not help.
TEST(Inspect, RefusesMixturesOfExperts) {
  const std::optional<Error> error = error_of(testing::data_path("gguf-models/mixtral-Q4_0.gguf"));
  ASSERT_TRUE(error);
  EXPECT_NE(error->cause().find("expert_count"), std::string::npos) << error->what();
  EXPECT_EQ(error->remedy().find("again"), std::string::npos) << error->what();
}

TEST(Inspect, ABrokenFileIsToBeFetchedAgain) {
  const auto path = std::filesystem::temp_directory_path() / ("longship-cut-" + std::to_string(getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary) << "GGUF";
  const std::optional<Error> error = error_of(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(error);
  EXPECT_NE(error->remedy().find("Download the files again"), std::string::npos) << error->what();
}

TEST(Inspect, ModelsOfTheTestsAreValid) {
  for (const char* model : {"models/llama", "models/gpt2-bare", "models/qwen3", "gguf-models/llama-Q4_1.gguf"}) {
    EXPECT_EQ(refusal(testing::data_path(model)), "");
    EXPECT_EQ(inspect_path(testing::data_path(model), {}).kind, "model");
  }
}

}  // namespace
}  // namespace longship
