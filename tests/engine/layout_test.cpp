#include "engine/layout.h"

#include "tests/support/tensors.h"

namespace sae {
namespace {

using namespace sae::testing;

class Layout : public CpuTest {
 protected:
  Value dense_ = f32({2, 5}, {0, 1, 0, 2, 0, 0, 0, 3, 4, 0});
  Value row_sparse_ = RowSparse{Columns(i32({2, 2}, {3, 1, 2, 3})), f32({2, 2}, {2, 1, 3, 4}), 5};
  Value compressed_ = CompressedRows{i64({3}, {0, 3, 4}), i32({4}, {0, 1, 3, 2}), f32({4}, {9, 1, 2, 3}), 5};
};

TEST_F(Layout, EachSaysWhatItIs) {
  for (const Value& value : {dense_, row_sparse_, compressed_}) {
    EXPECT_EQ(rows_of(value), 2);
    EXPECT_EQ(cols_of(value), 5);
    EXPECT_EQ(dtype_of(value), Dtype::f32);
    EXPECT_EQ(&device_of(value), &device_);
  }
  EXPECT_EQ(describe(dense_), "dense f32 [2, 5]");
  EXPECT_EQ(describe(row_sparse_), "row-sparse f32 [2, 5] k 2");
  EXPECT_EQ(describe(compressed_), "compressed rows f32 [2, 5] stored 4");
  EXPECT_EQ(bytes_of(dense_), 40);
  EXPECT_EQ(bytes_of(row_sparse_), 16 + 16);
  EXPECT_EQ(bytes_of(compressed_), 24 + 16 + 16);
}

TEST_F(Layout, OnePatternIsOneMemory) {
  const RowSparse& row_sparse = std::get<RowSparse>(row_sparse_);
  const Value other_values = with_stored_values(row_sparse_, f32({2, 2}, {5, 6, 7, 8}));
  EXPECT_TRUE(same_pattern(row_sparse_, other_values));
  const Value other_memory = RowSparse{Columns(i32({2, 2}, {3, 1, 2, 3})), row_sparse.values, 5};
  EXPECT_FALSE(same_pattern(row_sparse_, other_memory));
  EXPECT_FALSE(same_pattern(row_sparse_, compressed_));
  EXPECT_FALSE(same_pattern(row_sparse_, RowSparse{row_sparse.columns, row_sparse.values, 6}));
  EXPECT_TRUE(same_pattern(compressed_, with_stored_values(compressed_, f32({4}, {1, 1, 1, 1}))));
  EXPECT_TRUE(same_pattern(dense_, f32({2, 5}, std::vector<float>(10))));
  EXPECT_FALSE(same_pattern(dense_, f32({5, 2}, std::vector<float>(10))));
  EXPECT_REFUSED(with_stored_values(row_sparse_, f32({4}, {1, 2, 3, 4})), "layout: values f32 [4] for row-sparse");
}

TEST_F(Layout, KernelsSeeBothSparseLayoutsAsRows) {
  const SparseRows fixed = sparse_rows("op", row_sparse_);
  EXPECT_EQ(fixed.begin(1), 2);
  EXPECT_EQ(fixed.end(1), 4);
  EXPECT_EQ(fixed.stored(), 4);
  const SparseRows varying = sparse_rows("op", compressed_);
  EXPECT_EQ(varying.begin(1), 3);
  EXPECT_EQ(varying.end(1), 4);
  EXPECT_EQ(varying.stored(), 4);
  EXPECT_EQ(varying.index[3], 2);
  const Value none = CompressedRows{i64({1}, {0}), i32({0}, {}), f32({0}, {}), 5};
  EXPECT_EQ(sparse_rows("op", none).stored(), 0);
  EXPECT_EQ(rows_of(none), 0);
  EXPECT_REFUSED(sparse_rows("some_op", dense_), "some_op: expected a sparse layout, got dense f32 [2, 5]");
}

TEST_F(Layout, RequireDense) {
  EXPECT_TRUE(require_dense("op", dense_).same_memory(std::get<Tensor>(dense_)));
  EXPECT_REFUSED(require_dense("some_op", compressed_), "some_op: expected a dense tensor, got compressed rows");
}

}  // namespace
}  // namespace sae
