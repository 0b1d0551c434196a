#pragma once

#include "launcher/generate/model_text.h"
#include "tests/support/data_path.h"

namespace longship {

/// A small model with a byte-level tokenizer and a chat template.
inline const ModelText& test_model() {
  static const ModelText model = load_model_text(data_path("gguf-models/llama-Q8_0.gguf"), {}, true);
  return model;
}

}  // namespace longship
