#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/add_norm.h"
#include "core/dtype.h"
#include "core/range.h"
#include "core/reduction_tree.h"
#include "core/roofline.h"
#include "core/stream.h"
#include "core/tensor.h"
#include "engine/backend/token_draw.h"

namespace longship {

/// Keys in a page and in a chunk of attention.
inline constexpr int64_t kPageTokens = 64;
/// Widest attention head that every backend takes.
inline constexpr int64_t kMaxHeadDim = 512;

/// What the stored values of a matrix are multiplied by: one number for `columns` columns of a row, the first of which
/// lack their first `skip` columns. Without numbers, 1.
struct ValueScales {
  const float* values = nullptr;  ///< [rows, per_row]
  int64_t per_row = 0;
  int64_t columns = 1;
  int64_t skip = 0;

  float at(int64_t row, int64_t column) const {
    return values == nullptr ? 1.0F : values[row * per_row + (skip + column) / columns];
  }
};

/// A matrix [rows, columns] as it stands in a checkpoint: row after row of whole blocks. One that was cut inside blocks
/// (at a multiple of kQuantColumns) begins at column `skip` of its first block and may end inside its last.
struct StoredMatrix {
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t columns = 0;
  const std::byte* data = nullptr;
  int64_t skip = 0;
  int64_t stride_bytes = 0;  ///< From row to row, where that is not row_bytes().
  ValueScales scales = {};

  int64_t row_bytes() const { return bytes_of_blocks(dtype, skip + columns); }
  const std::byte* row(int64_t index) const { return data + index * (stride_bytes != 0 ? stride_bytes : row_bytes()); }
  /// Columns within the blocks of a row.
  Range in_blocks(Range range) const { return {skip + range.begin, skip + range.end}; }
  /// Columns of a row, dequantised and multiplied by their scales.
  void dequantise(int64_t row_index, Range range, float* out) const;
};

/// A matrix [rows, columns] in the layout that its backend chose; only that backend looks inside.
struct Weight {
  DType dtype = DType::kF32;  ///< Type that it was stored in.
  int64_t rows = 0;
  int64_t columns = 0;
  std::byte* data = nullptr;  ///< packed_bytes() bytes of the device, 64-byte aligned, owned by the ParamTable.
};

/// Heads inside a wider tensor: columns [column, column + heads x head_dim) of `base` [T, N].
struct HeadsView {
  Tensor base;
  int64_t column = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;

  float* row(int64_t token) const { return base.data<float>() + token * base.dim(1) + column; }
};

/// Rows of a batch that belong to one sequence: tokens at positions [begin, begin + rows).
struct BatchSlice {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t begin = 0;
  std::vector<int32_t> pages;  ///< Page p of the sequence holds keys [64 p, 64 p + 64).
};

/// Places for rows of a batch, each in a group (an adapter, an expert) or in none. Tensors are in the device's memory,
/// so that a recorded step may be repeated with other rows and groups. Places of a group stand side by side.
struct RowGroups {
  Tensor rows{};    ///< [n] i32: the row at each place.
  Tensor groups{};  ///< [n] i32: its group; negative: none.

  int64_t places() const { return rows.dim(0); }
};

/// What grouped products multiply rows of one group with. Points to what outlives them.
struct GroupProduct {
  const Weight* weight = nullptr;  ///< Null: the group has none.
  std::span<const GroupStep> steps{};
  float scale = 1.0F;
};

/// Memory that grouped products take where the device's memory is the host's; else empty.
struct GroupRoom {
  Tensor input{};   ///< Of places x columns values ...
  Tensor output{};  ///< ... and of nodes x places x outputs values.
};

/// Rows of a batch whose sequences use adapters of the model, which are the groups.
struct AdaptedRows {
  RowGroups groups{};
  std::vector<std::size_t> adapters{};  ///< No other has rows.

  bool empty() const { return adapters.empty(); }
};

/// The tokens of one step. Tensors are in the device's memory, slices in the host's. Rows behind those of the slices
/// (see Kernels::decode_rows()) belong to no sequence: what is computed for them means nothing.
struct Batch {
  Tensor tokens;     ///< [T] i32; only the first stage looks at it.
  Tensor positions;  ///< [T] i32
  std::vector<BatchSlice> slices;
  AdaptedRows adapted{};  ///< Only the model's products look at it.

  int64_t rows() const { return positions.dim(0); }
};

/// Keys and values of one layer, heads of this rank only. `keys` [pages, Hkv, Dh, 64] (a key is a column, so
/// that one lane holds one key), `values` [pages, Hkv, 64, Dh]; f32, f16, bf16, or q8_0 (see kv_page.h), which needs
/// heads that are a multiple of 32 wide.
struct KvLayer {
  Tensor keys;
  Tensor values;
};

/// How one layer attends, the same in every step. Heads are those of this rank.
struct AttentionSpec {
  float scale = 1.0F;
  int64_t window = 0;            ///< Keys that a token sees, itself included; 0: all before it.
  std::vector<int32_t> kv_head;  ///< For each local query head its local key/value head.
};

/// What the operations of a step depend on beside what begin_step() is told of it: the same key, the same operations
/// on the same tensors.
struct StepKey {
  const void* owner = nullptr;  ///< Whose tensors and weights they are.
  int64_t rows = 0;
  int64_t logit_rows = 0;
  bool adapted = false;  ///< Some rows have adapters.

  friend bool operator==(const StepKey&, const StepKey&) = default;
};

/// The part of a vocabulary that one of several ranks has the logits of.
struct VocabularyShard {
  /// Of all ranks, one after the other. Where a draw needs the sum over a row, each that is not empty begins with a
  /// block of such sums (sample/row_summary.h).
  std::span<const Range> shares;
  int rank = 0;
  /// Puts on the stream what brings the `mine` [n] i32 of each rank to all: `all` [ranks x n] i32.
  std::function<void(const Tensor& mine, Tensor& all, Stream& stream)> gather{};

  const Range& share() const { return shares[static_cast<std::size_t>(rank)]; }
};

/// Memory of a device, shared by all who use it.
struct DeviceMemory {
  int64_t free_bytes = 0;
  int64_t total_bytes = 0;
};

/// The mathematics of one device. One object a rank, used by its thread; calls are asynchronous in the sense
/// of Stream. All activations are f32. Shapes, types and aliasing have been checked by backend/ops.h, which is
/// what the model calls.
///
/// Every output element is the same function of its inputs whatever the number of rows T, the tile and the
/// thread count: a fixed order of summation, no element's value depends on its neighbours in the batch.
class Kernels {
 public:
  virtual ~Kernels() = default;

  virtual std::string_view name() const = 0;  ///< "reference", "cpu/avx512", ...

  // Memory. Every tensor that an operation takes, and the data of Weights, is the device's.
  /// Whether the device's memory is the host's: the host may then look at tensors, and embedding tables are looked up
  /// in the mapped file instead of memory of their own.
  virtual bool in_host_memory() const { return true; }
  /// Memory of the device, 64-byte aligned, its values undefined (zero in host memory). Errors: std::bad_alloc.
  virtual Tensor allocate(DType dtype, Shape shape) { return Tensor::allocate(dtype, std::move(shape)); }
  /// What the device has, where it is not the host's memory.
  virtual std::optional<DeviceMemory> device_memory() const { return std::nullopt; }
  /// Copies x.bytes() bytes at `host` to x, in the order of the stream; `host` may change once the call returns.
  virtual void write(const void* host, Tensor& x, Stream&);
  /// The one way back: copies x to `host` (x.bytes() bytes) and returns once the values are there.
  virtual void read(const Tensor& x, void* host, Stream&);
  virtual std::unique_ptr<Stream> make_stream() { return std::make_unique<Stream>(); }
  /// Called once a step before its operations, when tokens and positions are written: what they need of the slices is
  /// copied to the device.
  virtual void begin_step(const Batch&, Stream&) {}
  /// Rows of a step that make good use of the device, where the user wishes no other number.
  virtual int64_t usual_step_rows() const { return 512; }
  /// As how many rows a step of `rows` sequences with one row each is run, where that can be replayed: no fewer.
  virtual int64_t decode_rows(int64_t rows) const { return rows; }
  /// Puts the operations of `work`, which has none that waits for the host, on the stream: calls it, or repeats what a
  /// call with the same key put there, its reads of what the host writes before included. Returns what the call
  /// returned. After reserve() nothing is repeated of what was before.
  virtual Tensor replay(const StepKey& /*key*/, const std::function<Tensor()>& work, Stream&) { return work(); }

  // Weights.
  /// Names the layouts of packed weights: another name whenever pack() gives other bytes.
  virtual std::string_view packing() const = 0;
  virtual int64_t packed_bytes(DType dtype, int64_t rows, int64_t columns) const = 0;
  /// Converts stored rows to rows [first_row, first_row + stored.rows) of `weight`. first_row is a multiple of
  /// kPackRows, and so is stored.rows unless these are the last. `stored` is in host memory and may change once the
  /// call returns; operations on any stream after that see the rows.
  static constexpr int64_t kPackRows = 64;
  virtual void pack(const StoredMatrix& stored, int64_t first_row, Weight& weight) = 0;
  /// Bytes of scratch memory that calls with up to `max_rows` rows need, where no matrix has more than
  /// `max_columns` columns; allocated by reserve().
  virtual int64_t scratch_bytes(int64_t max_rows, int64_t max_columns) const = 0;
  /// Of several calls the largest numbers count: models may share the object.
  virtual void reserve(int64_t max_rows, int64_t max_columns) = 0;

  // Activations.
  /// out [T, D]: row ids[t] of `table`, dequantised. `table.data` is the device's memory.
  virtual void embed(const StoredMatrix& table, const Tensor& ids, Tensor& out, Stream&) = 0;
  /// x [T, K], parts: matrices [N_i, K] (empty ones allowed); nodes [n, T, N], N the sum of N_i: for each finished
  /// node of `steps` the partial sums x . W over its columns, added in the order of the steps. Steps begin at multiples
  /// of 32 columns where a part is block-quantised, and of 2 where one is BF16.
  virtual void linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& nodes,
                      Stream&) = 0;
  /// y = residual + (x + bias); either may be empty. y may be x or residual. x, residual, y [T, N], bias [N].
  virtual void add(const Tensor& x, const Tensor& bias, const Tensor& residual, Tensor& y, Stream&) = 0;
  /// y = x / sqrt(mean(x^2) + eps) * gain over the last dimension (arXiv 1910.07467). x, y [T, D], gain [D].
  virtual void rms_norm(const Tensor& x, const Tensor& gain, float eps, Tensor& y, Stream&) = 0;
  /// rms_norm of each head in place; gain [Dh].
  virtual void rms_norm_heads(const HeadsView& x, const Tensor& gain, float eps, Stream&) = 0;
  /// y = (x - mean) / sqrt(variance + eps) * gain + bias (arXiv 1607.06450).
  virtual void layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float eps, Tensor& y, Stream&) = 0;
  /// Rotates pairs (i, i + Dh / 2) of each head in place by the angle whose cosine and sine are cos, sin
  /// [T, Dh / 2] (RoFormer, arXiv 2104.09864 section 3.4; pairing of GPT-NeoX).
  virtual void rope(const HeadsView& x, const Tensor& cos, const Tensor& sin, Stream&) = 0;
  /// y [T, F] = silu(g) * u of x = [g | u] [T, 2F].
  virtual void silu_mul(const Tensor& x, Tensor& y, Stream&) = 0;
  /// Rows `rows` of then.hidden and then.normed from the sum x [T, D]: add(), then the norm. `readers`: weights that
  /// the next linear() multiplies normed with; nobody else reads it, and until then nobody changes it, so a backend may
  /// keep it in a form of theirs only.
  virtual void add_norm(const Tensor& x, Range rows, const AddNorm& then, std::span<const Weight> readers, Stream&);
  /// y [T, F] = silu(x Wg) * (x Wu), Wg and Wu [F, K] the two parts, `steps` those of one node: linear(), then
  /// silu_mul(). `gate_up` [T, 2F] is room for what stands between them; what it holds afterwards is undefined.
  /// `readers`: as in add_norm, of y.
  virtual void linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                               Tensor& gate_up, Tensor& y, std::span<const Weight> readers, Stream&);
  /// y = gelu(x), the tanh approximation (arXiv 1606.08415 section 2). y may be x.
  virtual void gelu_tanh(const Tensor& x, Tensor& y, Stream&) = 0;
  /// y [n, D]: rows `rows` [n] i32 of x [T, D].
  virtual void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y, Stream&) = 0;
  /// Columns [column, column + N) of rows `rows` [n] i32 of y, each row once, += scale x; x [n, N]. Only for devices
  /// whose memory is the host's.
  virtual void add_to_rows(const Tensor& x, float scale, const Tensor& rows, int64_t column, Tensor& y, Stream&);

  // Grouped products: of rows of several groups, each with a weight of its own. What a row gets is what linear() gives
  // for it and its group's weight alone.
  /// nodes [n, places, N]: for each finished node, as many in every group, the partial sums of the row of x [T, K] at
  /// each place; zero from the outputs of its group's weight on, N or fewer, and for places of no group. A row may have
  /// several places.
  virtual void grouped_linear(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products,
                              GroupRoom& room, Tensor& nodes, Stream&);
  /// Columns [column, column + outputs) of the row of y [T, ..] at each place += scale times the product of x [places,
  /// K] with its group's weight, which has K columns or fewer and one node. No row has two places.
  virtual void grouped_linear_add(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products,
                                  int64_t column, GroupRoom& room, Tensor& y, Stream&);
  /// y [T, N]: of row t the sum over j, from 0 on, of weights [T, E] at (t, j) times the row of x [P, N] that places
  /// [T, E] i32 names there; a negative place adds nothing. So what the groups of a row gave is put together.
  virtual void weighted_sum(const Tensor& x, const Tensor& places, const Tensor& weights, Tensor& y, Stream&);
  /// Bytes of the device that are kept of lists of so many products in all, from their first use on.
  virtual int64_t group_list_bytes(int64_t /*products*/) const { return 0; }

  /// Bytes of the device that draws from up to `rows` rows take, where ranks have these parts of a vocabulary.
  virtual int64_t draw_bytes(int64_t /*rows*/, std::span<const Range> /*shares*/) const { return 0; }
  /// For each of `draws` the token that it chooses; null where the device cannot. logits [R, V]. Up to kMostDrawn
  /// results are kept at a time; the kernels outlive them.
  static constexpr std::size_t kMostDrawn = 4;
  virtual std::unique_ptr<DrawnTokens> draw_tokens(const Tensor& /*logits*/, std::span<const TokenDraw> /*draws*/,
                                                   Stream&) {
    return nullptr;
  }
  /// The same where logits [R, share] are one rank's part of each row: all ranks of the shard together, which get the
  /// same tokens. Null on every rank or on none.
  virtual std::unique_ptr<DrawnTokens> draw_tokens(const Tensor& /*logits*/, const VocabularyShard& /*shard*/,
                                                   std::span<const TokenDraw> /*draws*/, Stream&) {
    return nullptr;
  }

  // Attention.
  /// Stores keys and values of the batch's tokens into their pages.
  virtual void kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv, Stream&) = 0;
  /// rope() of the query and the keys, then kv_write(). What the keys' rows hold afterwards is undefined.
  virtual void rope_kv_write(const HeadsView& query, const HeadsView& keys, const HeadsView& values, const Tensor& cos,
                             const Tensor& sin, const Batch& batch, KvLayer& kv, Stream&);
  /// out [T, heads x Dh]: softmax(scale q k) v over the keys that each token sees, its own included. Per chunk of
  /// 64 keys at absolute multiples of 64 (maximum, sum, output), chunks merged as a binary counter does.
  virtual void attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec,
                         Tensor& out, Stream&) = 0;

  /// What this machine reaches with the threads of this object, in the arithmetic of products with weights stored as
  /// `dtype`. Takes up to a second.
  virtual Roofline measure_roofline(DType dtype) = 0;
};

/// Which kernels make_kernels() makes and how they compute; read while they are made and not kept.
struct BackendOptions {
  std::string name = "cpu";  ///< "reference", "cpu", "cuda" or "cuda-emulated".
  int threads = 1;
  bool exact = false;          ///< Dequantised weights and f32 activations everywhere; no tensor cores.
  bool deterministic = false;  ///< On CUDA: own kernels at every size. Implied by `exact`.
  bool bf16_tiles = true;      ///< On CPUs that have them: products of BF16 by tiles, which add in another order.
  bool graphs = true;          ///< On CUDA: steps of one row a sequence are recorded and replayed.
  int device = 0;              ///< Of CUDA; -1: none, the object only counts bytes.
};

/// Whether this process can do what BackendOptions::bf16_tiles says.
bool has_bf16_tiles();

/// Errors: kUsage for an unknown name, or where CUDA is asked for and cannot be used here.
std::unique_ptr<Kernels> make_kernels(const BackendOptions& options);

}  // namespace longship
