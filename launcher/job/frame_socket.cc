#include "launcher/job/frame_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace longship {

namespace {

constexpr uint32_t kMagic = 0x4653484c;  // "LHSF"
constexpr uint16_t kVersion = 1;
constexpr std::size_t kReadBytes = std::size_t{1} << 18;
// Silence is counted in looks no longer than this.
constexpr std::chrono::milliseconds kLongestLook(50);

struct Header {
  uint32_t magic = kMagic;
  uint16_t version = kVersion;
  uint16_t kind = 0;
  uint64_t payload_bytes = 0;
};

int milliseconds_until(FrameSocket::Deadline deadline) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1'000'000'000));
}

void check_header(const Header& header) {
  const bool valid = header.magic == kMagic && header.version == kVersion &&
                     header.kind <= static_cast<uint16_t>(FrameKind::kLast) &&
                     header.payload_bytes <= FrameSocket::kMaxPayloadBytes;
  if (!valid) {
    throw Error(ErrorKind::kRank, "a rank sent something that is not a frame of this version",
                "Check that every rank runs the same version of longship.");
  }
}

[[noreturn]] void throw_socket_error(const std::string& action) {
  const int code = errno;
  throw Error(ErrorKind::kRank, "cannot " + action + ": " + std::generic_category().message(code),
              "Check that the folder for temporary files (TMPDIR) is writable and its path is short.");
}

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    throw_socket_error("use the socket " + text);
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

int unix_socket() {
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    throw_socket_error("make a socket");
  }
  return descriptor;
}

}  // namespace

FrameSocket::FrameSocket(int descriptor) : descriptor_(descriptor), interrupt_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  fcntl(descriptor_, F_SETFL, fcntl(descriptor_, F_GETFL) | O_NONBLOCK);
}

FrameSocket::~FrameSocket() {
  close(descriptor_);
  close(interrupt_);
}

void FrameSocket::interrupt() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(interrupt_, &one, sizeof(one));
}

bool FrameSocket::take_interrupt() {
  uint64_t count = 0;
  return read(interrupt_, &count, sizeof(count)) == static_cast<ssize_t>(sizeof(count));
}

bool FrameSocket::send(FrameKind kind, const Bytes& payload) {
  LONGSHIP_CHECK(payload.size() <= kMaxPayloadBytes, "a frame fits its limit");
  const Header header{.kind = static_cast<uint16_t>(kind), .payload_bytes = payload.size()};
  const std::lock_guard lock(send_mutex_);
  return send_all(&header, sizeof(header)) && send_all(payload.data(), payload.size());
}

bool FrameSocket::send_all(const void* data, std::size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size != 0) {
    const ssize_t sent = ::send(descriptor_, next, size, MSG_NOSIGNAL);
    if (sent > 0) {
      next += sent;
      size -= static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd writable{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      poll(&writable, 1, -1);  // a peer that ends makes it return
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool FrameSocket::parse(Frame& frame) {
  Header header;
  if (buffer_.size() < sizeof(header)) {
    return false;
  }
  std::memcpy(&header, buffer_.data(), sizeof(header));
  check_header(header);
  const std::size_t end = sizeof(header) + header.payload_bytes;
  if (buffer_.size() < end) {
    return false;
  }
  const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(sizeof(header));
  const auto rest = buffer_.begin() + static_cast<std::ptrdiff_t>(end);
  frame.kind = static_cast<FrameKind>(header.kind);
  frame.payload.assign(begin, rest);
  buffer_.erase(buffer_.begin(), rest);
  return true;
}

void FrameSocket::expect_heartbeats(std::chrono::milliseconds limit) {
  silence_limit_ = limit;
  last_look_ = std::chrono::steady_clock::now();
}

Received FrameSocket::receive(Frame& frame, Deadline deadline) {
  do {
    while (!parse(frame)) {
      if (const Received received = read_more(deadline); received != Received::kFrame) {
        return received;
      }
    }
  } while (frame.kind == FrameKind::kHeartbeat);
  return Received::kFrame;
}

// kFrame: there may be more bytes now.
Received FrameSocket::read_more(Deadline deadline) {
  const bool expects = silence_limit_.count() != 0;
  const auto now = std::chrono::steady_clock::now();
  std::array<pollfd, 2> readable = {
      {{.fd = descriptor_, .events = POLLIN, .revents = 0}, {.fd = interrupt_, .events = POLLIN, .revents = 0}}};
  poll(readable.data(), readable.size(),
       milliseconds_until(expects ? std::min(deadline, now + kLongestLook) : deadline));
  if (readable[1].revents != 0 && take_interrupt()) {
    return Received::kDeadline;
  }
  if (readable[0].revents == 0) {
    if (expects && silent()) {
      return Received::kSilent;
    }
    return std::chrono::steady_clock::now() < deadline ? Received::kFrame : Received::kDeadline;
  }
  std::array<std::byte, kReadBytes> bytes;
  const ssize_t count = recv(descriptor_, bytes.data(), bytes.size(), 0);
  if (count > 0) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + count);
    silence_ = {};
    last_look_ = now;
  } else if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
    return Received::kClosed;
  }
  return Received::kFrame;
}

std::chrono::milliseconds FrameSocket::until_silent() const {
  using std::chrono::milliseconds;
  if (silence_limit_.count() == 0) {
    return milliseconds::max();
  }
  const auto since_look = std::min<Deadline::duration>(std::chrono::steady_clock::now() - last_look_, 2 * kLongestLook);
  return std::chrono::ceil<milliseconds>(std::max<Deadline::duration>(silence_limit_ - silence_ - since_look, {}));
}

// Called after each look that found nothing.
bool FrameSocket::silent() {
  const auto now = std::chrono::steady_clock::now();
  silence_ += std::min<Deadline::duration>(now - std::exchange(last_look_, now), 2 * kLongestLook);
  return silence_ > silence_limit_;
}

int listen_at(const std::filesystem::path& path) {
  const sockaddr_un address = address_of(path);
  const int descriptor = unix_socket();
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(descriptor, SOMAXCONN) != 0) {
    const int code = errno;
    close(descriptor);
    errno = code;
    throw_socket_error("listen at " + path.native());
  }
  return descriptor;
}

int connect_to(const std::filesystem::path& path) {
  const sockaddr_un address = address_of(path);
  const int descriptor = unix_socket();
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int code = errno;
    close(descriptor);
    errno = code;
    throw_socket_error("connect to " + path.native());
  }
  return descriptor;
}

}  // namespace longship
