#include <algorithm>
#include <vector>

#include "core/utf8.h"
#include "tests/fuzz/targets.h"
#include "tests/support/served_api.h"

namespace longship::fuzz {

namespace {

HttpRequest request_of(Input input) {
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const std::size_t line = std::min(text.find('\n'), text.size());
  const std::size_t space = std::min(text.find(' '), line);
  HttpRequest request;
  request.method = text.substr(0, space);
  request.path = text.substr(std::min(space + 1, line), line - std::min(space + 1, line));
  request.body = text.substr(std::min(line + 1, text.size()));
  return request;
}

void check_generation(const GenerationRequest& request, const EngineInfo& info) {
  const auto inside = [&](int32_t id) { return id >= 0 && id < info.vocab; };
  const auto all_inside = [&](const std::vector<int32_t>& ids) { return std::all_of(ids.begin(), ids.end(), inside); };
  const SamplingParams& sampling = request.sampling;
  require(all_inside(request.prompt), "a prompt has tokens of the vocabulary");
  require(std::ssize(request.prompt) <= info.max_model_len, "a prompt fits the context");
  require(request.max_tokens >= 0 && request.min_tokens <= request.max_tokens, "limits are in order");
  require(request.logprobs <= 20 && request.prompt_logprobs <= 20, "at most 20 logprobs are told");
  require(sampling.temperature >= 0 && sampling.top_p >= 0 && sampling.top_p <= 1, "sampling is in its range");
  require(all_inside(sampling.allowed_ids), "allowed tokens are of the vocabulary");
  for (const auto& word : sampling.bad_words) {
    require(!word.empty() && all_inside(word), "bad words have tokens of the vocabulary");
  }
  for (const auto& [id, bias] : sampling.logit_bias) {
    require(inside(id), "biased tokens are of the vocabulary");
  }
}

void check_answer(const ApiAnswer& answer) {
  require(answer.answers == 1, "a request is answered once");
  require(is_utf8(answer.body), "an answer is UTF-8");
  require(answer.status != 500, "no request is the server's error");
  if (answer.stream) {
    require(answer.body.ends_with("data: [DONE]\n\n"), "a stream ends as it should");
  } else if (answer.status >= 400) {
    const auto body = parse_json(answer.body);
    require(std::holds_alternative<Json>(body), "an error is JSON");
    const Json* error = std::get<Json>(body).find("error");
    require(error != nullptr && error->find("message") != nullptr, "an error has a message");
  }
}

}  // namespace

void api(Input input) {
  static ServedApi served;
  check_answer(served.ask(request_of(input)));
  check_generation(served.engine().request(), served.engine().info());
  require(served.idle(), "nothing is left of a request");
}

}  // namespace longship::fuzz
