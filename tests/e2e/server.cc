#include "tests/e2e/server.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "tests/e2e/http_client.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::string> words(std::vector<std::string> start, const std::vector<std::string>& more,
                               const std::string& model) {
  for (const char* word : {"serve", model.c_str(), "--port", "0", "--kv-cache-memory", "64MiB", "-c", "16384"}) {
    start.emplace_back(word);
  }
  start.insert(start.end(), more.begin(), more.end());
  return start;
}

}  // namespace

std::string served_model() {
  return fixture("gguf-models/llama-Q8_0.gguf");
}

Json parse(const std::string& text) {
  auto parsed = parse_json(text);
  EXPECT_TRUE(std::holds_alternative<Json>(parsed)) << text;
  return std::holds_alternative<Json>(parsed) ? std::get<Json>(std::move(parsed)) : Json();
}

Json at(const Json& json, const std::vector<std::string>& path) {
  const Json* value = &json;
  for (const std::string& key : path) {
    if (value->is_array()) {
      const auto index = static_cast<std::size_t>(std::atoi(key.c_str()));
      value = index < value->as_array().size() ? &value->as_array()[index] : nullptr;
    } else {
      value = value->find(key);
    }
    if (value == nullptr) return {};
  }
  return *value;
}

Server::Server(const std::vector<std::string>& more, std::vector<std::string> start, const std::string& model)
    : program_(words(std::move(start), more, model)) {
  const std::string mark = "://127.0.0.1:";
  const auto deadline = Clock::now() + std::chrono::seconds(60);
  std::string text;
  while ((text = program_.err_so_far()).find(mark) == std::string::npos && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto found = text.find(mark);
  EXPECT_NE(found, std::string::npos) << text;
  port_ = found == std::string::npos ? 0 : static_cast<uint16_t>(std::atoi(text.c_str() + found + mark.size()));
}

Json Server::post(const std::string& path, const std::string& body, int status) const {
  const HttpReply reply = http(port_, "POST", path, body);
  EXPECT_EQ(reply.status, status) << reply.head << "\n" << reply.body;
  return parse(reply.body);
}

double Server::metric(const std::string& name) const {
  const std::string text = http(port_, "GET", "/metrics").body;
  const auto found = text.find("\n" + name + "{");
  EXPECT_NE(found, std::string::npos) << name << " in " << text;
  return found == std::string::npos ? -1 : std::atof(text.c_str() + text.find("} ", found) + 2);
}

bool Server::wait_for_metric(const std::string& name, double value) const {
  return wait_for_metric(name, [value](double now) { return now == value; });
}

bool Server::wait_for_metric(const std::string& name, const std::function<bool(double)>& wanted) const {
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (!wanted(metric(name))) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

Outcome Server::stop(int signal) {
  kill(program_.pid(), signal);
  return program_.wait();
}

}  // namespace longship
