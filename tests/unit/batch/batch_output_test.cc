#include "launcher/batch/batch_output.h"

#include <sys/resource.h>

#include <csignal>

#include "core/error.h"
#include "tests/unit/batch/batch_files.h"

namespace longship {
namespace {

using BatchOutputTest = BatchFiles;

Json answer(const std::string& custom_id) {
  Json json;
  json.set("id", "batch_req_" + custom_id);
  json.set("custom_id", custom_id);
  json.set("response", "a \"quoted\"\ntext");
  return json;
}

TEST_F(BatchOutputTest, GoesOnAfterAKillAtEveryByte) {
  {
    BatchOutput output(folder_ / "whole");
    for (const char* id : {"a", "b", "c"}) output.write(answer(id));
  }
  const std::string whole = get("whole");
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    put("out", whole.substr(0, size));
    const std::string kept = whole.substr(0, whole.substr(0, size).rfind('\n') + 1);
    {
      BatchOutput output(folder_ / "out");
      EXPECT_EQ(get("out"), kept) << size;
      EXPECT_EQ(output.torn_bytes(), static_cast<int64_t>(size - kept.size()));
      for (const char* id : {"a", "b", "c"}) {
        if (!output.done().contains(id)) output.write(answer(id));
      }
    }
    EXPECT_EQ(get("out"), whole) << size;
  }
}

TEST_F(BatchOutputTest, RoomThatWasNeverFilledIsTakenOff) {
  for (const std::string& begin : {std::string(), std::string("{\"id\": \"batch")}) {
    put("out", dump_json(answer("a")) + "\n" + begin + std::string(4096, '\0'));
    const BatchOutput output(folder_ / "out");
    EXPECT_EQ(output.done(), (std::unordered_set<std::string>{"a"}));
    EXPECT_EQ(get("out"), dump_json(answer("a")) + "\n");
  }
}

TEST_F(BatchOutputTest, LeavesOtherFilesAsTheyAre) {
  for (const std::string text : {"notes", "notes\n", "{\"custom_id\": \"a\"}\n", "{\"id\": \"other\"", "\n"}) {
    put("out", text);
    EXPECT_THROW(BatchOutput(folder_ / "out"), Error) << text;
    EXPECT_EQ(get("out"), text);
  }
  EXPECT_THROW(BatchOutput{folder_}, Error);
  EXPECT_THROW(BatchOutput("/dev/null"), Error);
  EXPECT_THROW(BatchOutput(folder_ / "no" / "such"), Error);
}

TEST_F(BatchOutputTest, HasOneWriter) {
  {
    BatchOutput output(folder_ / "out");
    output.write(answer("a"));
    EXPECT_THROW(BatchOutput(folder_ / "out"), Error);
  }
  EXPECT_TRUE(BatchOutput(folder_ / "out").done().contains("a"));
}

TEST_F(BatchOutputTest, AFullDiskLeavesWholeLines) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const std::string line = dump_json(answer("a")) + "\n";
  BatchOutput output(folder_ / "out");
  output.write(answer("a"));
  const rlimit full{.rlim_cur = line.size() + 10, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &full);
  EXPECT_THROW(output.write(answer("b")), Error);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(get("out"), line);
  output.write(answer("b"));
  EXPECT_EQ(ids("out"), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace longship
