// Answers of the API as they were written down: tests/data/server/*.txt, each a request and the whole answer to it.
// With LONGSHIP_WRITE_TRANSCRIPTS=1 the answers are written instead of compared.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/e2e/http_client.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

struct Transcript {
  fs::path file;
  std::string method;
  std::string path;
  std::string body;
  std::string answer;
};

// "POST /v1/completions", the body, an empty line, the answer.
Transcript read_transcript(const fs::path& path) {
  Transcript transcript;
  transcript.file = path;
  std::ifstream file(path, std::ios::binary);
  file >> transcript.method >> transcript.path;
  file.ignore();  // the end of the line
  for (std::string line; std::getline(file, line) && !line.empty();) transcript.body += line + "\n";
  transcript.answer.assign(std::istreambuf_iterator<char>(file), {});
  return transcript;
}

std::vector<Transcript> read_transcripts() {
  std::vector<Transcript> all;
  for (const auto& entry : fs::directory_iterator(fixture("server"))) all.push_back(read_transcript(entry.path()));
  std::sort(all.begin(), all.end(), [](const Transcript& a, const Transcript& b) { return a.file < b.file; });
  return all;
}

// Events of several choices come as the batch has it: here those of the first choice come first.
std::string in_order_of_choices(const std::string& stream) {
  std::vector<std::string> events = events_of(stream);
  const auto choice_of = [](const std::string& event) {
    const auto at = event.find("\"choices\": [{\"index\": ");
    return at == std::string::npos ? 1000 : std::atoi(event.c_str() + at + 22);
  };
  std::stable_sort(events.begin(), events.end(),
                   [&](const std::string& a, const std::string& b) { return choice_of(a) < choice_of(b); });
  std::string text;
  for (const std::string& event : events) text += "data: " + event + "\n\n";
  return text;
}

// Without what differs from call to call.
std::string answer_to(const Transcript& transcript, uint16_t port) {
  const HttpReply reply = http(port, transcript.method, transcript.path, transcript.body);
  const bool stream = reply.head.find("text/event-stream") != std::string::npos;
  std::string text =
      std::to_string(reply.status) + "\n" + (stream ? in_order_of_choices(reply.body) : reply.body + "\n");
  text = std::regex_replace(text, std::regex("cmpl-[0-9a-f]{32}"), "cmpl-ID");
  text = std::regex_replace(text, std::regex("\"longship-[^\"]+\""), "\"longship-VERSION\"");
  return std::regex_replace(text, std::regex("\"created\": [0-9]+"), "\"created\": 0");
}

void check_transcripts(const Server& server) {
  const std::vector<Transcript> transcripts = read_transcripts();
  EXPECT_GE(transcripts.size(), 30U);
  for (const Transcript& transcript : transcripts) {
    const std::string answer = answer_to(transcript, server.port());
    if (std::getenv("LONGSHIP_WRITE_TRANSCRIPTS") != nullptr) {
      std::ofstream(transcript.file, std::ios::binary) << transcript.method << " " << transcript.path << "\n"
                                                       << transcript.body << "\n"
                                                       << answer;
    } else {
      EXPECT_EQ(answer, transcript.answer) << transcript.file;
    }
  }
}

TEST(Transcripts, AreWhatOneRankAnswers) {
  check_transcripts(Server({"--served-model-name", "ship"}));
}

TEST(Transcripts, AreWhatTwoRanksAnswer) {
  check_transcripts(Server({"--served-model-name", "ship", "-tp", "2"}));
}

}  // namespace
}  // namespace longship
