#pragma once

#include <cstddef>
#include <string_view>

namespace longship {

/// Where the piece that begins at `offset` ends: what a pattern matches there. These patterns leave no gaps.
using Scanner = std::size_t (*)(std::string_view text, std::size_t offset);

/// The hand-written scanner of a known pre-tokenizer pattern, or null.
Scanner find_scanner(std::string_view pattern);

/// Patterns as tokenizer files spell them.
extern const std::string_view kGpt2Pattern;
extern const std::string_view kLlama3Pattern;
extern const std::string_view kQwen2Pattern;

}  // namespace longship
