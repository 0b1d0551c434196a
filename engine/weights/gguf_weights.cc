#include "engine/weights/ggml_types.h"
#include "engine/weights/mapped_tensors.h"
#include "engine/weights/sources.h"

namespace longship {

namespace {

class GgufWeights : public MappedTensors {
 public:
  explicit GgufWeights(std::shared_ptr<const GgufFile> file)
      : MappedTensors(file->path().string()), file_(std::move(file)) {
    for (const GgufTensor& tensor : file_->tensors()) {
      const std::optional<DType> dtype = dtype_from_ggml(tensor.ggml_type);
      if (dtype && tensor.shape.size() <= 2) {
        add({tensor.name, *dtype, tensor.shape}, file_->bytes().subspan(tensor.offset, tensor.bytes));
      } else {
        add_unsupported(tensor.name, std::string(ggml_type(tensor.ggml_type)->name));
      }
    }
  }

 private:
  std::shared_ptr<const GgufFile> file_;
};

}  // namespace

std::shared_ptr<WeightSource> open_gguf_weights(std::shared_ptr<const GgufFile> file) {
  return std::make_shared<GgufWeights>(std::move(file));
}

}  // namespace longship
