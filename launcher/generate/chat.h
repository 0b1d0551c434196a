#pragma once

#include <istream>
#include <string>

#include "launcher/generate/generation.h"
#include "launcher/generate/model_text.h"
#include "launcher/options/sampling_flags.h"

namespace longship {

/// What a text front end was asked to do.
struct TextTask {
  ModelText model;
  SamplingFlags sampling;
  std::string system;
  bool raw = false;     ///< No chat template.
  std::string prompt;   ///< Of run_prompt().
  int32_t adapter = 0;  ///< Of every request, see GenerationRequest.
  CancelSwitch* cancel = nullptr;
};

/// Answers one prompt on standard output; the speeds go to standard error. Returns the exit code.
int run_prompt(const TextTask& task, Engine& engine);

/// A chat of many turns: lines of `input` are what the user says, or /reset, /system TEXT, /help, /quit.
int run_chat(const TextTask& task, std::istream& input, Engine& engine);

}  // namespace longship
