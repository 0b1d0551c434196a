#include "launcher/batch/batch_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "core/error.h"

namespace longship {

namespace {

std::string last_error() {
  return std::generic_category().message(errno);
}

// What a kill, or the loss of the machine, may leave of a line: its beginning, or room that was never filled.
bool may_be_torn(std::string_view rest) {
  const std::size_t size = std::min(rest.size(), BatchOutput::kBegin.size());
  return std::equal(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size), BatchOutput::kBegin.begin(),
                    [](char byte, char expected) { return byte == expected || byte == '\0'; });
}

}  // namespace

BatchOutput::BatchOutput(std::filesystem::path file)
    : file_(std::move(file)), fd_(open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (fd_ < 0) {
    throw Error(ErrorKind::kUsage, "the answers cannot be written to " + file_.native() + ": " + last_error(),
                "Choose another file.");
  }
  try {
    lock();
    const int64_t whole = read_done();
    struct stat facts {};
    fstat(fd_, &facts);
    torn_bytes_ = facts.st_size - whole;
    if (torn_bytes_ > 0) {
      take_off(whole);
    }
  } catch (...) {
    close(fd_);
    throw;
  }
}

BatchOutput::~BatchOutput() {
  close(fd_);
}

void BatchOutput::lock() {
  struct stat facts {};
  if (fstat(fd_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    throw Error(ErrorKind::kUsage, file_.native() + " is no file", "Choose another one: answers are added to it.");
  }
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    throw Error(ErrorKind::kUsage, "another process writes answers to " + file_.native(),
                "Wait for its end, or choose another file.");
  }
}

// Bytes of the whole lines.
int64_t BatchOutput::read_done() {
  std::ifstream stream(file_);
  int64_t whole = 0;
  int64_t number = 0;
  for (std::string text; std::getline(stream, text);) {
    ++number;
    const bool torn = stream.eof();  // no end of the line
    const auto parsed = torn ? std::variant<Json, JsonError>{} : parse_json(text, {.unique_keys = false});
    const Json* json = std::get_if<Json>(&parsed);
    const Json* id = json == nullptr ? nullptr : json->find("custom_id");
    const bool known = torn ? may_be_torn(text) : (id != nullptr && id->is_string() && text.starts_with(kBegin));
    if (!known) {
      throw Error(
          ErrorKind::kUsage,
          file_.native() + ", line " + std::to_string(number) + ", is no answer of a batch: it is left as it is",
          "Choose another file for the answers.");
    }
    if (!torn) {
      done_.insert(id->as_string());
      whole += static_cast<int64_t>(text.size()) + 1;
    }
  }
  return whole;
}

void BatchOutput::take_off(int64_t size) {
  if (ftruncate(fd_, size) != 0) {
    throw Error(ErrorKind::kUsage, "what is left of a line cannot be taken off " + file_.native() + ": " + last_error(),
                "Choose another file for the answers.");
  }
}

void BatchOutput::write(const Json& answer) {
  const std::string text = dump_json(answer) + "\n";
  LONGSHIP_CHECK(text.starts_with(kBegin), "answers of a batch begin alike");
  struct stat before {};
  fstat(fd_, &before);
  ssize_t written = 0;
  do {
    written = ::write(fd_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(text.size())) {
    const std::string reason = written < 0 ? last_error() : "there is no room for it";
    take_off(before.st_size);
    throw Error(ErrorKind::kUsage, "an answer cannot be written to " + file_.native() + ": " + reason,
                "Make room and run the same command again: it goes on.");
  }
}

}  // namespace longship
