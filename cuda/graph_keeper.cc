#include "cuda/graph_keeper.h"

#include <vector>

namespace longship::cuda {

namespace {

std::vector<GraphKeeper*>& keepers_of_thread() {
  thread_local std::vector<GraphKeeper*> keepers;
  return keepers;
}

}  // namespace

GraphKeeper::GraphKeeper() {
  keepers_of_thread().push_back(this);
}

GraphKeeper::~GraphKeeper() {
  std::erase(keepers_of_thread(), this);
}

void release_graphs() {
  for (GraphKeeper* keeper : keepers_of_thread()) {
    keeper->release();
  }
}

}  // namespace longship::cuda
