#include "tests/chaos/load.h"

#include <algorithm>
#include <map>

#include "tests/e2e/http_client.h"

namespace longship {

namespace {

constexpr std::chrono::milliseconds kPoll(2);
// What comes this soon after a fault was on its way before.
constexpr std::chrono::milliseconds kOnItsWay(50);

// Takes the value of a member of the outermost object out of a line of JSON.
void blank(std::string& line, const std::string& key) {
  const auto at = line.find("\"" + key + "\":");
  const auto end = at == std::string::npos ? at : line.find(',', at);
  if (end != std::string::npos) line.erase(at, end - at);
}

}  // namespace

StreamLoad::StreamLoad(uint16_t port, std::vector<std::string> bodies) : port_(port), bodies_(std::move(bodies)) {}

StreamLoad::~StreamLoad() {
  stop();
}

StreamAnswer StreamLoad::ask(const std::string& body, Client& client) const {
  HttpConnection connection(port_);
  connection.send(http_text("POST", "/v1/completions", body));
  const HttpReply reply = connection.reply([&](const std::string&) {
    client.last_event = Clock::now();
    client.flowing = true;
  });
  client.flowing = false;
  StreamAnswer answer;
  std::vector<std::string> events = events_of(reply.body);
  answer.complete = reply.status == 200 && !events.empty() && events.back() == "[DONE]";
  if (!answer.complete) {
    answer.failure = "status " + std::to_string(reply.status) + ": " + (events.empty() ? reply.head : events.back());
  }
  std::map<std::string, std::string> choices;  // which one goes first is chance
  for (std::string& event : events) {
    blank(event, "id");
    blank(event, "created");
    const auto index = event.find("\"index\":");
    choices[index == std::string::npos ? "" : event.substr(index, event.find(',', index) - index)] += event + "\n";
  }
  for (const auto& [index, text] : choices) answer.content += text;
  return answer;
}

bool StreamLoad::learn() {
  expected_.resize(bodies_.size());
  std::vector<std::thread> threads;
  std::atomic<bool> complete = true;
  for (std::size_t i = 0; i < bodies_.size(); ++i) {
    threads.emplace_back([&, i] {
      Client client;
      const StreamAnswer answer = ask(bodies_[i], client);
      expected_[i] = answer.content;
      if (!answer.complete) complete = false;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return complete;
}

void StreamLoad::start(int clients) {
  for (int i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<Client>());
    Client& client = *clients_.back();
    client.thread = std::thread([this, &client, i] { run(client, static_cast<std::size_t>(i)); });
  }
}

void StreamLoad::stop() {
  stopping_ = true;
  for (const auto& client : clients_) {
    if (client->thread.joinable()) client->thread.join();
  }
  clients_.clear();
  stopping_ = false;
}

void StreamLoad::run(Client& client, std::size_t first) {
  for (std::size_t body = first % bodies_.size(); !stopping_; body = (body + 1) % bodies_.size()) {
    judge(body, ask(bodies_[body], client));
  }
}

void StreamLoad::judge(std::size_t body, const StreamAnswer& answer) {
  ++answers_;
  if (answer.complete && answer.content == expected_[body]) {
    return;
  }
  ++(answer.complete ? different_ : lost_);
  const std::lock_guard lock(mutex_);
  if (first_failure_.empty()) {
    first_failure_ = "request " + bodies_[body] + ": " + (answer.complete ? "another answer" : answer.failure);
  }
}

std::string StreamLoad::first_failure() const {
  const std::lock_guard lock(mutex_);
  return first_failure_;
}

bool StreamLoad::wait_until_flowing(std::chrono::milliseconds limit) const {
  const Clock::time_point deadline = Clock::now() + limit;
  const auto flowing = [](const auto& client) { return client->flowing.load(); };
  while (!std::all_of(clients_.begin(), clients_.end(), flowing)) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

std::vector<std::chrono::milliseconds> StreamLoad::waits_after(Clock::time_point moment,
                                                               std::chrono::milliseconds limit) const {
  std::vector<std::chrono::milliseconds> waits;
  for (const auto& client : clients_) {
    while (client->last_event.load() <= moment + kOnItsWay && Clock::now() < moment + limit) {
      std::this_thread::sleep_for(kPoll);
    }
    const Clock::time_point event = client->last_event;
    waits.push_back(std::chrono::ceil<std::chrono::milliseconds>(
        event > moment + kOnItsWay ? std::min<Clock::duration>(event - moment, limit) : limit));
  }
  return waits;
}

}  // namespace longship
