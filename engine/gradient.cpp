#include "engine/gradient.h"

#include <algorithm>
#include <utility>

#include "engine/column_kernels.h"
#include "engine/error.h"
#include "engine/gradient_device.h"
#include "engine/parallel.h"

namespace sae {
namespace {

bool is_cpu(const Tensor& tensor) { return tensor.device().kind() == DeviceKind::cpu; }

Tensor add_dense(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), "gradient: cannot add {} and {}", a.describe(), b.describe());
  if (!is_cpu(a)) return on_device::add_dense(a, b);
  Writable out = Tensor::empty(a.device(), a.shape(), a.dtype());
  visit_real("gradient add", a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* left = a.data<T>();
    const T* right = b.data<T>();
    T* sum = out.data<T>();
    parallel_for(a.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sum[i] = left[i] + right[i];
    });
  });
  return std::move(out).freeze();
}

/// Copies two [rows, ka] and [rows, kb] matrices into one [rows, ka + kb].
template <class T>
Tensor side_by_side(const Tensor& a, const Tensor& b) {
  if (!is_cpu(a)) return on_device::side_by_side(a, b);
  const int64_t ka = a.cols(), kb = b.cols();
  Writable out = Tensor::empty(a.device(), {a.rows(), ka + kb}, a.dtype());
  const T* left = a.data<T>();
  const T* right = b.data<T>();
  T* both = out.data<T>();
  parallel_for(a.rows(), grain_for(ka + kb), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(left + row * ka, ka, both + row * (ka + kb));
      std::copy_n(right + row * kb, kb, both + row * (ka + kb) + ka);
    }
  });
  return std::move(out).freeze();
}

/// Each row's entries of a, then those of b.
template <class T>
CompressedRows rows_joined(const CompressedRows& a, const CompressedRows& b) {
  Device& device = a.values.device();
  const SparseRows left = sparse_rows("gradient add", a), right = sparse_rows("gradient add", b);
  std::vector<int64_t> starts(static_cast<size_t>(left.rows) + 1, 0);
  for (int64_t row = 1; row <= left.rows; ++row)
    starts[static_cast<size_t>(row)] = left.offsets[row] + right.offsets[row];
  Writable index = Tensor::empty(device, {starts.back()}, Dtype::i32);
  Writable values = Tensor::empty(device, {starts.back()}, a.values.dtype());
  int32_t* columns = index.data<int32_t>();
  T* elements = values.data<T>();
  parallel_for(left.rows, 64, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      int64_t next = starts[static_cast<size_t>(row)];
      for (const auto& [side, stored] : {std::pair{left, a.values.data<T>()}, std::pair{right, b.values.data<T>()}}) {
        const int64_t begin = side.begin(row), count = side.end(row) - begin;
        std::copy_n(side.index + begin, count, columns + next);
        std::copy_n(stored + begin, count, elements + next);
        next += count;
      }
    }
  });
  return {Tensor::from(device, a.offsets.shape(), starts), std::move(index).freeze(), std::move(values).freeze(),
          a.cols};
}

template <class T>
void add_deferred(const DeferredProduct& product, T* sum) {
  const auto shared = group_by_column(product.sparse);
  const ColumnGroups& groups = *shared;
  const T* values = stored_values(product.sparse).data<T>();
  const T* dense = product.dense.data<T>();
  const int64_t width = product.dense.cols();
  const int64_t cols = cols_of(product.sparse);
  parallel_for(cols, 64, [&](int64_t begin, int64_t end) {
    for (int64_t col = begin; col < end; ++col) {
      T* out = sum + col * width;
      for (int64_t e = groups.offsets[static_cast<size_t>(col)]; e < groups.offsets[static_cast<size_t>(col) + 1];
           ++e) {
        const T scale = values[groups.entries[static_cast<size_t>(e)]];
        if (scale == 0) continue;
        const T* row = dense + groups.rows[static_cast<size_t>(e)] * width;
        for (int64_t i = 0; i < width; ++i) out[i] += scale * row[i];
      }
    }
  });
}

template <class T>
void add_term(const GradientTerm& term, T* sum, const Shape& shape) {
  std::visit(overloaded{[&](const Tensor& t) {
                          CHECK(t.elements() == shape.elements(), "gradient: a term of shape {} for a parameter {}",
                                t.shape().to_string(), shape.to_string());
                          const T* values = t.data<T>();
                          for (int64_t i = 0; i < t.elements(); ++i) sum[i] += values[i];
                        },
                        [&](const DeferredProduct& p) {
                          CHECK(cols_of(p.sparse) == shape.rows() && p.dense.cols() == shape.cols(),
                                "gradient: a deferred product of {} and {} for a parameter {}", describe(p.sparse),
                                p.dense.describe(), shape.to_string());
                          add_deferred(p, sum);
                        },
                        [&](const RowsGradient& r) {
                          const int64_t width = shape.rank() == 1 ? 1 : shape.cols();
                          CHECK(r.total_rows * width == shape.elements() && r.values.cols() == width,
                                "gradient: rows of {} x {} for a parameter {}", r.total_rows, r.values.cols(),
                                shape.to_string());
                          const T* values = r.values.data<T>();
                          for (int64_t i = 0; i < r.rows.elements(); ++i) {
                            T* out = sum + int64_t{r.rows.data<int32_t>()[i]} * width;
                            for (int64_t c = 0; c < width; ++c) out[c] += values[i * width + c];
                          }
                        }},
             term);
}

}  // namespace

Value add(const Value& a, const Value& b, DensifyCount& densified) {
  CHECK(rows_of(a) == rows_of(b) && cols_of(a) == cols_of(b), "gradient: cannot add {} and {}", describe(a),
        describe(b));
  require_same_device("gradient add", {&stored_values(a), &stored_values(b)});
  if (const auto* left = std::get_if<RowSparse>(&a), *right = std::get_if<RowSparse>(&b); left && right) {
    if (left->columns == right->columns) {
      return RowSparse{left->columns, add_dense(left->values, right->values), left->cols};
    }
    return visit_real("gradient add", left->values.dtype(), [&](auto zero) -> Value {
      return RowSparse{Columns(side_by_side<int32_t>(left->columns.index(), right->columns.index())),
                       side_by_side<decltype(zero)>(left->values, right->values), left->cols};
    });
  }
  if (const auto* left = std::get_if<CompressedRows>(&a), *right = std::get_if<CompressedRows>(&b); left && right) {
    if (same_pattern(a, b)) return with_stored_values(a, add_dense(left->values, right->values));
    if (!is_cpu(left->values)) return on_device::rows_joined(*left, *right);
    return visit_real("gradient add", left->values.dtype(),
                      [&](auto zero) -> Value { return rows_joined<decltype(zero)>(*left, *right); });
  }
  return add_dense(densify(a, densified), densify(b, densified));
}

Tensor densify(const Value& value, DensifyCount& densified) {
  if (const auto* tensor = std::get_if<Tensor>(&value)) return *tensor;
  ++densified.count;
  if (!is_cpu(stored_values(value))) return on_device::densify(value);
  const SparseRows entries = sparse_rows("gradient", value);
  const Tensor& stored = stored_values(value);
  const int64_t cols = cols_of(value);
  Writable out = Tensor::empty(stored.device(), {entries.rows, cols}, stored.dtype());
  visit_real("densify", stored.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* values = stored.data<T>();
    T* dense = out.data<T>();
    parallel_for(entries.rows, grain_for(cols), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        std::fill_n(dense + row * cols, cols, T{0});
        for (int64_t e = entries.begin(row); e < entries.end(row); ++e)
          dense[row * cols + entries.index[e]] += values[e];
      }
    });
  });
  return std::move(out).freeze();
}

Tensor elements_at(const Tensor& dense, const Value& pattern) {
  CHECK(dense.rows() == rows_of(pattern) && dense.cols() == cols_of(pattern), "elements_at: {} at the places of {}",
        dense.describe(), describe(pattern));
  require_same_device("elements_at", {&dense, &stored_values(pattern)});
  if (!is_cpu(dense)) return on_device::elements_at(dense, pattern);
  const SparseRows entries = sparse_rows("elements_at", pattern);
  Writable out = Tensor::empty(dense.device(), stored_values(pattern).shape(), dense.dtype());
  visit_real("elements_at", dense.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* matrix = dense.data<T>();
    T* values = out.data<T>();
    parallel_for(entries.rows, 64, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        for (int64_t e = entries.begin(row); e < entries.end(row); ++e) {
          values[e] = matrix[row * dense.cols() + entries.index[e]];
        }
      }
    });
  });
  return std::move(out).freeze();
}

Tensor materialize(const Gradient& gradient, Device& device, Shape shape, Dtype dtype) {
  if (gradient.terms().size() == 1) {
    if (const auto* tensor = std::get_if<Tensor>(&gradient.terms().front())) return tensor->with_shape(shape);
  }
  if (device.kind() != DeviceKind::cpu) return on_device::materialize(gradient, device, shape, dtype);
  Writable out = Tensor::empty(device, shape, dtype);
  visit_real("materialize", dtype, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(out.data<T>(), shape.elements(), T{0});
    for (const GradientTerm& term : gradient.terms()) add_term(term, out.data<T>(), shape);
  });
  return std::move(out).freeze();
}

Tensor materialize(const DeferredProduct& product) {
  Gradient gradient;
  gradient.add(product);
  return materialize(gradient, product.dense.device(), {cols_of(product.sparse), product.dense.cols()},
                     product.dense.dtype());
}

Tensor column_sum(const Value& value) {
  const int64_t cols = cols_of(value);
  const Tensor& stored = stored_values(value);
  if (!is_cpu(stored)) return on_device::column_sum(value);
  Writable out = Tensor::empty(stored.device(), {1, cols}, stored.dtype());
  visit_real("column_sum", stored.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<double> sum(static_cast<size_t>(cols), 0.0);
    const T* values = stored.data<T>();
    if (std::holds_alternative<Tensor>(value)) {
      parallel_for(cols, column_block, [&](int64_t begin, int64_t end) {
        column_block_sums(values + begin, stored.rows(), cols, end - begin, sum.data() + begin);
      });
    } else {
      const auto groups = group_by_column(value);
      parallel_for(cols, 512, [&](int64_t begin, int64_t end) {
        for (auto col = static_cast<size_t>(begin); col < static_cast<size_t>(end); ++col) {
          for (int64_t e = groups->offsets[col]; e < groups->offsets[col + 1]; ++e) {
            sum[col] += values[groups->entries[static_cast<size_t>(e)]];
          }
        }
      });
    }
    std::transform(sum.begin(), sum.end(), out.data<T>(), [](double s) { return static_cast<T>(s); });
  });
  return std::move(out).freeze();
}

std::shared_ptr<GroupsOnDemand> groups_on_demand() { return std::make_shared<GroupsOnDemand>(); }

const std::shared_ptr<GroupsOnDemand>& groups_kept_with(const Value& sparse) {
  const auto* row_sparse = std::get_if<RowSparse>(&sparse);
  return row_sparse != nullptr ? row_sparse->columns.groups() : std::get<CompressedRows>(sparse).groups;
}

namespace {

/// A stable counting sort. Each block of rows counts its entries by column; the counts of the columns before, and of
/// the blocks before within a column, say where a block writes: the result is the same for any number of blocks.
ColumnGroups sort_by_column(const SparseRows& entries, int64_t cols) {
  const int64_t stored = entries.stored();
  // Counters are cleared and added up for every block: not worth it where there are fewer entries than columns.
  const int64_t blocks = std::clamp<int64_t>(stored / std::max<int64_t>(cols, 1), 1, threads());
  const int64_t block_rows = (entries.rows + blocks - 1) / blocks;
  std::vector<int64_t> next(static_cast<size_t>(blocks * cols), 0);
  const auto for_blocks = [&](auto&& entry) {
    parallel_for(blocks, 1, [&](int64_t block, int64_t) {
      int64_t* counters = next.data() + block * cols;
      const int64_t last = std::min(entries.rows, (block + 1) * block_rows);
      for (int64_t row = block * block_rows; row < last; ++row) {
        for (int64_t e = entries.begin(row); e < entries.end(row); ++e) entry(counters[entries.index[e]], row, e);
      }
    });
  };
  for_blocks([](int64_t& count, int64_t, int64_t) { ++count; });
  ColumnGroups groups;
  groups.offsets.resize(static_cast<size_t>(cols) + 1);
  int64_t sum = 0;
  for (int64_t col = 0; col < cols; ++col) {
    groups.offsets[static_cast<size_t>(col)] = sum;
    for (int64_t block = 0; block < blocks; ++block) {
      sum += std::exchange(next[static_cast<size_t>(block * cols + col)], sum);
    }
  }
  groups.offsets.back() = sum;
  groups.rows.resize(static_cast<size_t>(stored));
  groups.entries.resize(static_cast<size_t>(stored));
  for_blocks([&](int64_t& slot, int64_t row, int64_t e) {
    groups.rows[static_cast<size_t>(slot)] = static_cast<int32_t>(row);
    groups.entries[static_cast<size_t>(slot)] = e;
    ++slot;
  });
  return groups;
}

}  // namespace

std::shared_ptr<const ColumnGroups> group_by_column(const Value& sparse) {
  const SparseRows entries = sparse_rows("gradient", sparse);
  if (!is_cpu(stored_values(sparse))) refuse_device("group_by_column", device_of(sparse).kind());
  const std::shared_ptr<GroupsOnDemand>& kept = groups_kept_with(sparse);
  std::call_once(kept->once, [&] { kept->groups = sort_by_column(entries, cols_of(sparse)); });
  return {kept, &kept->groups};
}

}  // namespace sae
