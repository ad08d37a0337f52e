#include "engine/gradient.h"

#include "engine/parallel.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using namespace sae::testing;

class GradientTest : public CpuTest {
 protected:
  DensifyCount densified_;

  static std::vector<double> sum(const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<double> out = a;
    for (size_t i = 0; i < out.size(); ++i) out[i] += b[i];
    return out;
  }

  /// sparse^T dense by plain loops over the dense forms.
  static std::vector<double> transposed_product(const Value& sparse, const Tensor& dense) {
    const std::vector<double> s = dense_values(sparse), d = to_double(dense);
    const auto rows = static_cast<size_t>(rows_of(sparse)), cols = static_cast<size_t>(cols_of(sparse));
    const auto width = static_cast<size_t>(dense.cols());
    std::vector<double> out(cols * width, 0.0);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t col = 0; col < cols; ++col) {
        for (size_t i = 0; i < width; ++i) out[col * width + i] += s[row * cols + col] * d[row * width + i];
      }
    }
    return out;
  }
};

TEST_F(GradientTest, AddsDense) {
  const Value total = add(f32({1, 3}, {1, 2, 3}), f32({1, 3}, {10, 20, 30}), densified_);
  EXPECT_EQ(std::get<Tensor>(total).to_vector<float>(), (std::vector<float>{11, 22, 33}));
  EXPECT_EQ(densified_.count, 0);
}

TEST_F(GradientTest, AddsOnePatternEntryByEntry) {
  for (const Value& a : {Value(random_row_sparse(device_, 6, 9, 3, Dtype::f64, 1)),
                         Value(random_compressed(device_, 6, 9, Dtype::f64, 2))}) {
    const Value b = with_stored_values(a, random_tensor(device_, stored_values(a).shape(), Dtype::f64, 3));
    const Value total = add(a, b, densified_);
    EXPECT_TRUE(same_pattern(total, a));
    EXPECT_EQ(dense_values(total), sum(dense_values(a), dense_values(b)));
  }
}

TEST_F(GradientTest, PutsDifferentRowSparsePatternsSideBySide) {
  const RowSparse a = random_row_sparse(device_, 33, 9, 3, Dtype::f64, 1);
  const RowSparse b = random_row_sparse(device_, 33, 9, 5, Dtype::f64, 2);
  densified_.count = 0;
  const Value total = add(a, b, densified_);
  EXPECT_EQ(densified_.count, 0);
  ASSERT_TRUE(std::holds_alternative<RowSparse>(total));
  EXPECT_EQ(std::get<RowSparse>(total).columns.k(), 8);
  EXPECT_LT(worst_difference(dense_values(total), sum(dense_values(a), dense_values(b))), 1e-15);
  EXPECT_EQ(to_double(column_sum(total)).size(), 9u);
}

TEST_F(GradientTest, AddsCompressedRowsSideBySide) {
  const Value a = random_compressed(device_, 6, 9, Dtype::f64, 3), b = random_compressed(device_, 6, 9, Dtype::f64, 4);
  const Value total = add(a, b, densified_);
  EXPECT_EQ(densified_.count, 0);
  EXPECT_EQ(std::get<CompressedRows>(total).stored(), stored_values(a).elements() + stored_values(b).elements());
  EXPECT_LT(worst_difference(dense_values(total), sum(dense_values(a), dense_values(b))), 1e-15);
}

TEST_F(GradientTest, DensifiesOtherMixturesAndCountsThem) {
  const Value dense = random_tensor(device_, {6, 9}, Dtype::f64, 1);
  const Value row_sparse = random_row_sparse(device_, 6, 9, 3, Dtype::f64, 2);
  const Value a = random_compressed(device_, 6, 9, Dtype::f64, 3);
  const auto check = [&](const Value& x, const Value& y, int64_t expected) {
    densified_.count = 0;
    EXPECT_LT(worst_difference(dense_values(add(x, y, densified_)), sum(dense_values(x), dense_values(y))), 1e-15);
    EXPECT_EQ(densified_.count, expected) << describe(x) << " + " << describe(y);
  };
  check(dense, row_sparse, 1);
  check(a, dense, 1);
  check(row_sparse, a, 2);
}

TEST_F(GradientTest, DensifyAddsRepeatedColumns) {
  const RowSparse s{Columns(i32({2, 3}, {1, 0, 1, 2, 2, 2})), f32({2, 3}, {1, 2, 4, 1, 1, 1}), 3};
  EXPECT_EQ(densify(s, densified_).to_vector<float>(), (std::vector<float>{2, 5, 0, 0, 0, 3}));
  EXPECT_EQ(densified_.count, 1);
  const Tensor dense = f32({1}, {1});
  EXPECT_TRUE(densify(dense, densified_).same_memory(dense));
  EXPECT_EQ(densified_.count, 1);
}

TEST_F(GradientTest, ElementsAtAPattern) {
  const Tensor dense = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(elements_at(dense, RowSparse{Columns(i32({2, 2}, {2, 0, 1, 1})), f32({2, 2}, {0, 0, 0, 0}), 3})
                .to_vector<float>(),
            (std::vector<float>{3, 1, 5, 5}));
  EXPECT_EQ(
      elements_at(dense, CompressedRows{i64({3}, {0, 0, 2}), i32({2}, {0, 2}), f32({2}, {0, 0}), 3}).to_vector<float>(),
      (std::vector<float>{4, 6}));
  EXPECT_REFUSED(elements_at(dense, random_row_sparse(device_, 2, 4, 1, Dtype::f32, 1)), "elements_at: f32 [2, 3]");
}

TEST_F(GradientTest, DeferredProductsMultiplyOutToTheDenseProduct) {
  for (const int64_t rows : {0, 1, 33}) {
    for (const int64_t cols : {1, 31, 257}) {
      const Tensor dense = random_tensor(device_, {rows, 7}, Dtype::f64, 1);
      for (const Value& sparse : {Value(random_row_sparse(device_, rows, cols, (cols + 3) / 4, Dtype::f64, 2)),
                                  Value(random_compressed(device_, rows, cols, Dtype::f64, 3))}) {
        const Tensor product = materialize(DeferredProduct{sparse, dense});
        EXPECT_EQ(product.shape(), Shape({cols, 7}));
        EXPECT_LT(worst_difference(to_double(product), transposed_product(sparse, dense)), 1e-14);
      }
    }
  }
}

TEST_F(GradientTest, MaterializeAddsTermsOfEveryKind) {
  const Tensor dense = random_tensor(device_, {6, 4}, Dtype::f64, 1),
               factor = random_tensor(device_, {5, 4}, Dtype::f64, 2);
  const Value sparse = random_row_sparse(device_, 5, 6, 2, Dtype::f64, 3);
  Gradient gradient;
  EXPECT_TRUE(gradient.empty());
  EXPECT_EQ(to_double(materialize(gradient, device_, {6, 4}, Dtype::f64)), std::vector<double>(24, 0.0));
  gradient.add(dense);
  EXPECT_TRUE(materialize(gradient, device_, {6, 4}, Dtype::f64).same_memory(dense));
  gradient.add(DeferredProduct{sparse, factor});
  gradient.add(RowsGradient{i32({3}, {4, 0, 4}), f64({3, 4}, {1, 1, 1, 1, 2, 2, 2, 2, 10, 10, 10, 10}), 6});
  std::vector<double> expected = sum(to_double(dense), transposed_product(sparse, factor));
  for (size_t i = 0; i < 4; ++i) {
    expected[i] += 2;
    expected[16 + i] += 11;
  }
  EXPECT_LT(worst_difference(to_double(materialize(gradient, device_, {6, 4}, Dtype::f64)), expected), 1e-15);
  gradient.clear();
  EXPECT_TRUE(gradient.empty());
  // A row vector is the gradient of a parameter [n].
  gradient.add(f64({1, 3}, {1, 2, 3}));
  EXPECT_EQ(materialize(gradient, device_, {3}, Dtype::f64).shape(), Shape({3}));
}

TEST_F(GradientTest, MaterializeHasTheSameBitsWithAnyNumberOfThreads) {
  const DeferredProduct product{random_row_sparse(device_, 100, 300, 20, Dtype::f32, 1),
                                random_tensor(device_, {100, 33}, Dtype::f32, 2)};
  const int before = threads();
  set_threads(1);
  const std::vector<float> one = materialize(product).to_vector<float>();
  set_threads(3);
  EXPECT_EQ(materialize(product).to_vector<float>(), one);
  set_threads(before);
}

TEST_F(GradientTest, ColumnSumsOfEveryLayout) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      std::vector<Value> layouts = {random_tensor(device_, {rows, cols}, Dtype::f32, 1),
                                    random_compressed(device_, rows, cols, Dtype::f32, 2)};
      if (cols > 0) layouts.push_back(random_row_sparse(device_, rows, cols, (cols + 1) / 2, Dtype::f32, 3));
      for (const Value& value : layouts) {
        const Tensor sums = column_sum(value);
        ASSERT_EQ(sums.shape(), Shape({1, cols}));
        const std::vector<double> dense = dense_values(value);
        std::vector<double> expected(static_cast<size_t>(cols), 0.0);
        for (size_t i = 0; i < dense.size(); ++i) expected[i % static_cast<size_t>(cols)] += dense[i];
        // Summed in double and rounded once.
        for (double& e : expected) e = static_cast<float>(e);
        EXPECT_EQ(to_double(sums), expected) << describe(value);
      }
    }
  }
}

TEST_F(GradientTest, GroupsEntriesByColumnInRowOrder) {
  const RowSparse s{Columns(i32({3, 2}, {2, 0, 0, 2, 1, 2})), f32({3, 2}, {1, 2, 3, 4, 0, 6}), 4};
  const auto groups = group_by_column(s);
  EXPECT_EQ(groups->offsets, (std::vector<int64_t>{0, 2, 3, 6, 6}));
  EXPECT_EQ(groups->rows, (std::vector<int32_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(groups->entries, (std::vector<int64_t>{1, 2, 4, 0, 3, 5}));
  const CompressedRows c{i64({3}, {0, 1, 3}), i32({3}, {1, 0, 1}), f32({3}, {5, 6, 7}), 2};
  const auto csr = group_by_column(c);
  EXPECT_EQ(csr->offsets, (std::vector<int64_t>{0, 1, 3}));
  EXPECT_EQ(csr->rows, (std::vector<int32_t>{1, 0, 1}));
  EXPECT_EQ(csr->entries, (std::vector<int64_t>{1, 0, 2}));
}

TEST_F(GradientTest, OnePatternIsSortedOnce) {
  for (const Value& value : {Value(random_row_sparse(device_, 9, 7, 3, Dtype::f32, 1)),
                             Value(random_compressed(device_, 9, 7, Dtype::f32, 2))}) {
    const Value copy = value;
    const auto groups = group_by_column(value);
    EXPECT_EQ(group_by_column(with_stored_values(copy, stored_values(value).to(Dtype::f64))), groups);
  }
}

TEST_F(GradientTest, GroupsDoNotDependOnTheNumberOfThreads) {
  const int before = threads();
  for (const int64_t rows : {1, 33, 257}) {
    for (const float probability : {0.01f, 0.5f}) {
      std::vector<ColumnGroups> sorted;
      for (const int count : {1, 2, 5}) {
        set_threads(count);
        sorted.push_back(*group_by_column(random_compressed(device_, rows, 33, Dtype::f32, 3, probability)));
      }
      for (const ColumnGroups& groups : sorted) {
        EXPECT_EQ(groups.offsets, sorted.front().offsets);
        EXPECT_EQ(groups.rows, sorted.front().rows);
        EXPECT_EQ(groups.entries, sorted.front().entries);
      }
    }
  }
  set_threads(before);
}

TEST_F(GradientTest, Refusals) {
  EXPECT_REFUSED(add(f32({1, 2}, {1, 2}), f32({2, 1}, {1, 2}), densified_), "gradient: cannot add");
  EXPECT_REFUSED(add(f32({1, 2}, {1, 2}), f64({1, 2}, {1, 2}), densified_), "gradient: cannot add");
  const auto multiply_out = [&](GradientTerm term) {
    Gradient gradient;
    gradient.add(f64({2, 2}, {0, 0, 0, 0}));
    gradient.add(std::move(term));
    return materialize(gradient, device_, {2, 2}, Dtype::f64);
  };
  EXPECT_REFUSED(multiply_out(f64({3}, {1, 2, 3})), "a term of shape [3] for a parameter [2, 2]");
  EXPECT_REFUSED(multiply_out(DeferredProduct{random_row_sparse(device_, 3, 5, 1, Dtype::f64, 1),
                                              random_tensor(device_, {3, 2}, Dtype::f64, 2)}),
                 "a deferred product");
  EXPECT_REFUSED(multiply_out(RowsGradient{i32({1}, {0}), f64({1, 2}, {1, 1}), 7}), "rows of 7 x 2");
  EXPECT_REFUSED(group_by_column(f32({1}, {1})), "expected a sparse layout");
}

}  // namespace
}  // namespace sae
