#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace longship::fuzz {

using Input = std::span<const std::byte>;

/// Each takes any bytes, as the program gets them from outside, and ends the process when what must hold does not.

/// A request of the API: the first line is METHOD PATH, the rest the body. An engine without a model answers.
void api(Input input);
/// A grammar: the first byte says which kind (GBNF, regular expression, choices, JSON schema, tags), the rest is its
/// text.
void grammar(Input input);
/// What a client sends on one connection of the HTTP server, which must serve others afterwards.
void http(Input input);
/// A frame between ranks and the process that started them: the first byte is its kind.
void wire(Input input);
/// Frames as this version writes them.
std::vector<std::string> wire_seeds();

/// Ends the process with what does not hold.
void require(bool holds, const char* what);

}  // namespace longship::fuzz
