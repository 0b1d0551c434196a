// Preloaded into a program, gives the host it runs on the name in FAKE_HOST: several hosts on one.
#include <cstdlib>
#include <cstring>

extern "C" int gethostname(char* name, size_t size) {
  const char* fake = std::getenv("FAKE_HOST");
  std::strncpy(name, fake == nullptr ? "localhost" : fake, size);
  return 0;
}
