#include "launcher/generate/model_text.h"

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "engine/model/config_reader.h"
#include "engine/text/chat_template.h"
#include "engine/text/chat_template_source.h"

namespace longship {

namespace {

namespace fs = std::filesystem;

// Tokens that end a turn in the chat formats of the supported families; some checkpoints do not list them as end
// tokens.
constexpr const char* kTurnEnds[] = {"<|im_end|>",      "<|eot_id|>",    "<|eom_id|>",
                                     "<|end_of_text|>", "<|endoftext|>", "<|end|>"};

// Names by which templates know the tokenizer's special tokens.
constexpr const char* kTokenNames[] = {"bos_token", "eos_token"};

void add_turn_ends(const Tokenizer& tokenizer, std::vector<int32_t>& ids) {
  for (const char* text : kTurnEnds) {
    const std::optional<int32_t> id = tokenizer.find(text);
    if (id && tokenizer.is_special(*id) && std::find(ids.begin(), ids.end(), *id) == ids.end()) {
      ids.push_back(*id);
    }
  }
}

std::string gguf_token(const GgufFile& file, const Tokenizer& tokenizer, const std::string& name) {
  const Json* id = file.find("tokenizer.ggml." + name + "_id");
  const bool valid = id != nullptr && id->is_int() && id->as_int() >= 0 && id->as_int() < tokenizer.vocab_size();
  return valid ? std::string(tokenizer.bytes_of(static_cast<int32_t>(id->as_int()))) : std::string();
}

// A string, or an object of it and flags.
std::string config_token(const Json& config, const char* name) {
  const Json* token = config.find(name);
  const Json* content = token == nullptr || token->is_string() ? token : token->find("content");
  return content != nullptr && content->is_string() ? content->as_string() : std::string();
}

Json special_tokens(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
  const fs::path file = checkpoint.path / "tokenizer_config.json";
  const Json config = !checkpoint.gguf && fs::is_regular_file(file) ? read_json_object(file) : Json();
  Json context;
  for (const char* name : kTokenNames) {
    context.set(name, checkpoint.gguf ? gguf_token(*checkpoint.gguf, tokenizer, name) : config_token(config, name));
  }
  return context;
}

// A template is no name of a file: it has braces.
std::string read_template(const std::string& file_or_text) {
  std::error_code unknown;
  if (file_or_text.find('{') != std::string::npos && !fs::exists(file_or_text, unknown)) {
    return file_or_text;
  }
  constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
  std::ifstream file(file_or_text, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.empty() || text.size() > kMostBytes) {
    throw Error(ErrorKind::kUsage, "the chat template " + file_or_text + " cannot be read, or is larger than 1 MiB",
                "Give --chat-template a file with a Jinja template.");
  }
  return text;
}

RenderChat make_render(const std::string& source, const Json& tokens, const fs::path& model) {
  std::shared_ptr<const ChatTemplate> chat_template;
  try {
    chat_template = std::make_shared<const ChatTemplate>(source);
  } catch (const Error& error) {
    throw Error(ErrorKind::kModelFile, model.native() + ": chat template: " + error.cause(),
                "Use --raw to do without the template.");
  }
  return [chat_template, tokens](const Json& variables) {
    Json context = tokens;
    // As in transformers, what was not given is there, and is none.
    context.set("tools", nullptr);
    context.set("documents", nullptr);
    for (const auto& [name, value] : variables.as_object()) {
      context.set(name, value);
    }
    return chat_template->render(context, local_now());
  };
}

// As in transformers: a chat with functions has a template of its own.
RenderChat choose_render(RenderChat usual, RenderChat with_tools) {
  return [usual = std::move(usual), with_tools = std::move(with_tools)](const Json& variables) {
    const Json* tools = variables.find("tools");
    return tools == nullptr || tools->is_null() ? usual(variables) : with_tools(variables);
  };
}

}  // namespace

ModelText load_model_text(const fs::path& model, std::span<const MetadataOverride> overrides, bool with_template,
                          const std::string& own_template) {
  const Checkpoint checkpoint = open_checkpoint(model, overrides);
  ModelText text;
  text.tokenizer = checkpoint.gguf ? Tokenizer::from_gguf(*checkpoint.gguf) : Tokenizer::load(model, overrides);
  text.stop_ids = checkpoint.config.eos_ids;
  add_turn_ends(*text.tokenizer, text.stop_ids);
  std::optional<std::string> source;
  if (with_template) {
    source = own_template.empty() ? find_chat_template(model, overrides) : read_template(own_template);
  }
  if (!source) {
    return text;
  }
  const Json tokens = special_tokens(checkpoint, *text.tokenizer);
  text.render = make_render(*source, tokens, model);
  text.reply_format = find_reply_format(*source, text.render);
  if (const auto with_tools = own_template.empty() ? find_tools_template(model, overrides) : std::nullopt) {
    text.render = choose_render(text.render, make_render(*with_tools, tokens, model));
    text.reply_format.tools = find_reply_format(*with_tools, text.render).tools;
  }
  return text;
}

}  // namespace longship
