#include "launcher/generate/chat.h"

#include <algorithm>
#include <cstdio>

#include "core/error.h"
#include "launcher/generate/conversation.h"
#include "launcher/output/report.h"
#include "launcher/output/text_output.h"

namespace longship {

namespace {

constexpr const char* kChatHelp =
    "/reset        forget the conversation\n"
    "/system TEXT  forget it and begin with these instructions\n"
    "/quit         end (as does Ctrl-D); Ctrl-C cancels an answer\n";

// Without a template the messages are the text to be continued.
std::string join_messages(const Json::Array& messages) {
  std::string text;
  for (const Json& message : messages) {
    text += message.find("content")->as_string();
  }
  return text;
}

Conversation make_conversation(const TextTask& task) {
  if (!task.model.render || task.raw) {
    return {task.model.tokenizer, join_messages};
  }
  return {task.model.tokenizer, [render = task.model.render](const Json::Array& messages) {
            Json variables;
            variables.set("messages", messages);
            variables.set("add_generation_prompt", true);
            return render(variables);
          }};
}

GenerationRequest make_request(const TextTask& task, const Engine& engine, std::vector<int32_t> prompt) {
  const int64_t room = engine.info().max_model_len - static_cast<int64_t>(prompt.size());
  if (room <= 0) {
    throw Error(ErrorKind::kUsage,
                "the prompt has " + std::to_string(prompt.size()) + " tokens, but the context only " +
                    std::to_string(engine.info().max_model_len),
                "Use a shorter prompt, or a larger --max-model-len.");
  }
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = task.sampling.max_tokens < 0 ? room : std::min(room, task.sampling.max_tokens);
  request.sampling = task.sampling.resolved();
  request.grammar = task.sampling.grammar;
  request.stop_ids = task.model.stop_ids;
  request.adapter = task.adapter;
  return request;
}

Reply answer(const TextTask& task, Engine& engine, GenerationRequest request) {
  Reply reply =
      generate(engine, task.model.tokenizer, std::move(request), task.sampling.stops, write_output, *task.cancel);
  reply.closed = reply.closed || !write_output(reply.text.ends_with('\n') ? "" : "\n");
  return reply;
}

void print_stats(const GenerationStats& stats) {
  std::fprintf(stderr, "longship: %s\n", stats.text().c_str());
}

class Chat {
 public:
  Chat(const TextTask& task, Engine& engine) : task_(task), engine_(engine), conversation_(make_conversation(task)) {
    conversation_.reset(task.system);
  }

  int run(std::istream& input) {
    std::fprintf(stderr, "Type /help for commands.\n");
    std::string line;
    while (!ended_ && read_line(input, line)) {
      if (line.starts_with('/')) {
        obey(line);
      } else if (!line.empty()) {
        say(line);
      }
    }
    print_stats(stats_);
    return 0;
  }

 private:
  static bool read_line(std::istream& input, std::string& line) {
    std::fprintf(stderr, "> ");
    std::fflush(stderr);
    return static_cast<bool>(std::getline(input, line));
  }

  void obey(const std::string& line) {
    const std::string command = line.substr(0, line.find(' '));
    if (command == "/quit" || command == "/exit") {
      ended_ = true;
    } else if (command == "/reset") {
      conversation_.reset(conversation_.system());
    } else if (command == "/system") {
      conversation_.reset(line.size() > command.size() ? line.substr(command.size() + 1) : std::string());
    } else {
      std::fputs(command == "/help" ? kChatHelp : "There is no such command; /help lists them.\n", stderr);
    }
  }

  void say(const std::string& line) {
    try {
      const Reply reply = answer(task_, engine_, make_request(task_, engine_, conversation_.ask(line)));
      conversation_.answer(reply.text, reply.ids, reply.whole);
      stats_ += reply.stats;
      ended_ = reply.closed;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUsage) {
        throw;
      }
      print_error(error);
      conversation_.reset(conversation_.system());
      std::fprintf(stderr, "The conversation starts over.\n");
    }
  }

  const TextTask& task_;
  Engine& engine_;
  Conversation conversation_;
  GenerationStats stats_;
  bool ended_ = false;
};

}  // namespace

int run_prompt(const TextTask& task, Engine& engine) {
  std::vector<int32_t> prompt;
  if (task.raw || !task.model.render) {
    prompt = task.model.tokenizer->encode(task.prompt);
  } else {
    Conversation conversation = make_conversation(task);
    conversation.reset(task.system);
    prompt = conversation.ask(task.prompt);
  }
  if (prompt.empty()) {
    throw Error(ErrorKind::kUsage, "the prompt is empty", "Give some text by -p.");
  }
  const Reply reply = answer(task, engine, make_request(task, engine, std::move(prompt)));
  print_stats(reply.stats);
  return 0;
}

int run_chat(const TextTask& task, std::istream& input, Engine& engine) {
  return Chat(task, engine).run(input);
}

}  // namespace longship
