#pragma once

#include <memory>
#include <string>

#include "launcher/model_text.h"

namespace longship {

/// A small model with a byte-level tokenizer and a chat template.
inline const ModelText& test_model() {
  static const ModelText model =
      load_model_text(std::string(LONGSHIP_TEST_DATA) + "/gguf-models/llama-Q8_0.gguf", {}, true);
  return model;
}

}  // namespace longship
