// Feeds the targets every file of the corpus, and what a broken line or a hostile hand makes of it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/fuzz/targets.h"

namespace longship::fuzz {
namespace {

std::vector<std::string> none() {
  return {};
}

struct Target {
  const char* name;
  void (*run)(Input);
  int variants;                         ///< Of each file.
  std::vector<std::string> (*seeds)();  ///< Besides the files.
};

constexpr Target kTargets[] = {{"api", api, 400, none},
                               {"grammar", grammar, 400, none},
                               {"http", http, 60, none},
                               {"wire", wire, 2000, wire_seeds}};

std::ostream& operator<<(std::ostream& out, const Target& target) {
  return out << target.name;
}

class Corpus : public testing::TestWithParam<Target> {};

// Cut off, or with some bytes changed.
std::string variant(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
  if (text.empty()) return text;
  if (below(4) == 0) return text.substr(0, below(text.size()));
  for (std::size_t i = 0; i <= below(4); ++i) {
    constexpr char kHostile[] = {'\0', '"', '\\', '{', '[', '-', '9', '\xff', '\xed', '\n'};
    char& byte = text[below(text.size())];
    byte = below(2) == 0 ? kHostile[below(sizeof(kHostile))] : static_cast<char>(byte ^ (1 << below(8)));
  }
  return text;
}

TEST_P(Corpus, IsTaken) {
  std::vector<std::string> texts = GetParam().seeds();
  for (const auto& entry : std::filesystem::directory_iterator(std::string(LONGSHIP_CORPUS) + "/" + GetParam().name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  EXPECT_GT(texts.size(), 5U);
  std::mt19937 random(7);
  for (const std::string& text : texts) {
    GetParam().run(std::as_bytes(std::span(text)));
    for (int i = 0; i < GetParam().variants; ++i) {
      const std::string other = variant(text, random);
      GetParam().run(std::as_bytes(std::span(other)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Corpus, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace longship::fuzz
