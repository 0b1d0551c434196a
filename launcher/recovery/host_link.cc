#include "launcher/recovery/host_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace longship {

std::string HostMessage::host_text() const {
  return {host.begin(), std::find(host.begin(), host.end(), '\0')};
}

void HostMessage::set_host(const std::string& name) {
  std::copy_n(name.begin(), std::min(name.size(), host.size()), host.begin());
}

HostLink::HostLink(int descriptor) : descriptor_(descriptor) {
  const int on = 1;
  setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

HostLink::~HostLink() {
  if (descriptor_ >= 0) close(descriptor_);
}

HostLink::HostLink(HostLink&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      state_(other.state_),
      buffer_(other.buffer_),
      filled_(other.filled_),
      next_beat_(other.next_beat_),
      last_look_(other.last_look_),
      silence_(other.silence_) {}

HostLink& HostLink::operator=(HostLink&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  state_ = other.state_;
  buffer_ = other.buffer_;
  filled_ = other.filled_;
  next_beat_ = other.next_beat_;
  last_look_ = other.last_look_;
  silence_ = other.silence_;
  return *this;
}

// A peer that reads nothing for as long as fills the buffer has been found silent long before. One that is gone is
// found by receive(), behind what it has said last.
void HostLink::send(const HostMessage& message) {
  const ssize_t sent = ::send(descriptor_, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0 && sent != sizeof(message)) {
    state_ = State::kBroken;
  }
}

std::optional<HostMessage> HostLink::take() {
  HostMessage message;
  std::memcpy(&message, buffer_.data(), sizeof(message));
  filled_ = 0;
  silence_ = {};
  if (message.magic != HostMessage{}.magic || message.word >= HostWord::kCount) {
    state_ = State::kBroken;
    return std::nullopt;
  }
  return message;
}

std::optional<HostMessage> HostLink::receive() {
  while (state_ == State::kOpen) {
    const ssize_t count = recv(descriptor_, buffer_.data() + filled_, buffer_.size() - filled_, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
      break;
    }
    if (count <= 0) {
      state_ = count == 0 || errno == ECONNRESET || errno == EPIPE ? State::kEnded : State::kBroken;
      break;
    }
    filled_ += static_cast<std::size_t>(count);
    if (filled_ == buffer_.size()) {
      const std::optional<HostMessage> message = take();
      if (message && message->word != HostWord::kHeartbeat) return message;
    }
  }
  return std::nullopt;
}

HostLink::Clock::duration HostLink::beat() {
  const auto now = Clock::now();
  if (now >= next_beat_) {
    send({.word = HostWord::kHeartbeat});
    next_beat_ = now + kBeat;
  }
  silence_ += std::min<Clock::duration>(now - std::exchange(last_look_, now), 2 * kBeat);
  return silence_;
}

}  // namespace longship
