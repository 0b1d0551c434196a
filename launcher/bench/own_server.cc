#include "launcher/bench/own_server.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <iostream>

#include "core/error.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kStartTime(10);
constexpr std::chrono::seconds kEndTime(10);
constexpr int kOneWaitMs = 50;
constexpr std::string_view kReady = "Ready: ";
constexpr std::string_view kError = "longship: error: ";

std::vector<std::string> serve_arguments(std::vector<std::string> more) {
  std::vector<std::string> words = {"serve", "--host", "127.0.0.1", "--port", "0"};
  words.insert(words.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  return words;
}

}  // namespace

OwnServer::OwnServer(std::vector<std::string> arguments)
    : process_(own_program(), serve_arguments(std::move(arguments)), {}) {
  read_until_ready();
  reader_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested() && read_some()) {
    }
  });
}

OwnServer::~OwnServer() {
  process_.signal(SIGINT);
  const auto deadline = Clock::now() + kEndTime;
  while (!process_.poll_exit() && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void OwnServer::read_until_ready() {
  const auto deadline = Clock::now() + kStartTime;
  while (url_.empty()) {
    const bool more = read_some();
    for (std::size_t end = 0; (end = unread_.find('\n')) != std::string::npos; unread_.erase(0, end + 1)) {
      read_line(unread_.substr(0, end));
    }
    if (!more) {
      fail();
    }
    if (Clock::now() > deadline) {
      throw Error(ErrorKind::kRank, "the server was not ready within ten minutes",
                  "Start longship serve by itself to see why.");
    }
  }
}

void OwnServer::read_line(const std::string& line) {
  if (line.starts_with(kReady)) {
    url_ = line.substr(kReady.size());
  } else if (line.starts_with(kError) || !error_.empty()) {
    error_ += line + "\n";
  } else if (url_.empty()) {
    std::cerr << line + "\n";
  }
}

// Waits a little for output. False when the server has ended.
bool OwnServer::read_some() {
  pollfd news{.fd = process_.output(), .events = POLLIN, .revents = 0};
  poll(&news, 1, kOneWaitMs);
  std::array<char, 4096> bytes{};
  const ssize_t count = read(process_.output(), bytes.data(), bytes.size());
  if (count > 0) {
    unread_.append(bytes.data(), static_cast<std::size_t>(count));
    constexpr std::size_t kMostKept = std::size_t{1} << 20U;
    unread_.erase(0, unread_.size() - std::min(unread_.size(), kMostKept));
  }
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

void OwnServer::fail() {
  const auto deadline = Clock::now() + kEndTime;
  std::optional<ExitStatus> status;
  while (!(status = process_.poll_exit()) && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const int code = status ? status->code : 0;
  const bool known = code >= static_cast<int>(ErrorKind::kInternal) && code <= static_cast<int>(ErrorKind::kAddress);
  const std::string text = error_.empty() ? "" : error_.substr(kError.size());
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string remedy = text.substr(std::min(end + 1, text.size()));
  if (remedy.ends_with('\n')) {
    remedy.pop_back();
  }
  throw Error(known ? static_cast<ErrorKind>(code) : ErrorKind::kRank,
              text.empty() ? "the server ended before it was ready" : text.substr(0, end), remedy);
}

}  // namespace longship
