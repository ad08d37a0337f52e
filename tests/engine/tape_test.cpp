#include "engine/tape.h"

#include <limits>

#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

// The engine knows no op, so these tests bring their own.

/// y = factor * x, for any layout of x.
struct ScaleNode final : Node {
  double factor = 1;
  std::string_view name() const override { return "scale"; }
  int64_t bytes_saved() const override { return 8; }
  double flops() const override { return 3e9; }
  static Tensor scaled(const Tensor& x, double factor) {
    std::vector<double> values = x.to_vector<double>();
    for (double& value : values) value *= factor;
    return Tensor::from(x.device(), x.shape(), values);
  }
  void backward(const Value& gradient, Gradients& to) override {
    to.add(0, with_stored_values(gradient, scaled(stored_values(gradient), factor)));
  }
};
Variable scale(const Variable& x, double factor) {
  Value y = with_stored_values(x.value, ScaleNode::scaled(stored_values(x.value), factor));
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<ScaleNode>();
  node->factor = factor;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

/// The sum of all elements, [1].
struct SumNode final : Node {
  Tensor x;
  std::string_view name() const override { return "sum"; }
  void backward(const Value& gradient, Gradients& to) override {
    const double g = std::get<Tensor>(gradient).data<double>()[0];
    to.add(0, Value(Tensor::from(x.device(), x.shape(), std::vector<double>(static_cast<size_t>(x.elements()), g))));
  }
};
Variable sum(const Variable& x) {
  double total = 0;
  for (const double value : dense_values(x.value)) total += value;
  Tensor y = Tensor::scalar(device_of(x.value), total);
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<SumNode>();
  node->x = std::get<Tensor>(x.value);
  return x.tape->record(std::move(y), std::move(node), {&x});
}

/// Notes what gradient arrives, and sends on what it was told to.
struct ProbeNode final : Node {
  std::vector<std::string>* seen = nullptr;
  bool only_column_sum = false;
  std::function<void(const Value&, Gradients&)> send = [](const Value& gradient, Gradients& to) {
    to.add(0, gradient);
  };
  std::string_view name() const override { return "probe"; }
  bool column_sum_suffices() const override { return only_column_sum; }
  void backward(const Value& gradient, Gradients& to) override {
    if (seen != nullptr) seen->push_back(describe(gradient));
    send(gradient, to);
  }
};

class TapeTest : public CpuTest {
 protected:
  std::vector<std::string> seen_;

  Variable probe(const Variable& x, std::unique_ptr<ProbeNode> node = std::make_unique<ProbeNode>()) {
    node->seen = &seen_;
    return x.tape->record(x.value, std::move(node), {&x});
  }
  std::vector<double> gradient_of(const Parameter& p) {
    return to_double(materialize(p.gradient, device_, p.value().shape(), Dtype::f64));
  }
};

TEST_F(TapeTest, ConstantsRecordNothing) {
  const Variable y = scale(f64({2}, {1, 2}), 3);
  EXPECT_EQ(y.tape, nullptr);
  EXPECT_EQ(dense_values(y.value), (std::vector<double>{3, 6}));
}

TEST_F(TapeTest, AParameterWatchedTwiceIsOneVariable) {
  Parameter p("p", f64({2}, {1, 2}));
  Tape tape;
  const Variable a = tape.watch(p), b = tape.watch(p);
  EXPECT_EQ(a.node, b.node);
  EXPECT_EQ(tape.report().rows.size(), 1u);
  tape.backward(sum(scale(a, 2)));
  EXPECT_EQ(gradient_of(p), (std::vector<double>{2, 2}));
}

TEST_F(TapeTest, GradientsOfSeveralUsesAdd) {
  Parameter p("p", f64({2}, {1, 2}));
  Tape tape;
  const Variable shared = scale(tape.watch(p), 2);
  const Variable left = sum(scale(shared, 3)), right = sum(scale(shared, 5));
  const WeightedLoss roots[] = {{left, 1.0}, {right, 1.0}};
  tape.backward(roots);
  EXPECT_EQ(gradient_of(p), (std::vector<double>{16, 16}));
}

TEST_F(TapeTest, WeighsTwoRoots) {
  Parameter p("p", f64({3}, {1, 2, 3})), q("q", f64({1}, {4}));
  Tape tape;
  const Variable first = sum(tape.watch(p)), second = sum(scale(tape.watch(p), 10)), third = sum(tape.watch(q));
  // Given in an order that is not the order of recording.
  const WeightedLoss roots[] = {{third, -1.0}, {first, 0.5}, {second, 1.0 / 32}};
  tape.backward(roots);
  EXPECT_EQ(gradient_of(p), std::vector<double>(3, 0.5 + 10.0 / 32));
  EXPECT_EQ(gradient_of(q), std::vector<double>{-1});
}

TEST_F(TapeTest, GradientsAccumulateInTheParameterOverTapes) {
  Parameter p("p", f64({2}, {1, 2}));
  for (int step = 0; step < 3; ++step) {
    Tape tape;
    tape.backward(sum(scale(tape.watch(p), 2)));
  }
  EXPECT_EQ(gradient_of(p), (std::vector<double>{6, 6}));
}

TEST_F(TapeTest, ARootInTheMiddleLeavesWhatCameLaterAlone) {
  Parameter p("p", f64({2}, {1, 2}));
  Tape tape;
  const Variable x = tape.watch(p), early = sum(x);
  probe(scale(x, 7));
  tape.backward(early);
  EXPECT_EQ(gradient_of(p), (std::vector<double>{1, 1}));
  EXPECT_TRUE(seen_.empty());
}

TEST_F(TapeTest, SparseGradientsTravelInTheirLayoutAndAddWithoutDensifying) {
  Parameter p("p", random_tensor(device_, {4, 9}, Dtype::f64, 1));
  const Value a = random_row_sparse(device_, 4, 9, 2, Dtype::f64, 2),
              b = random_row_sparse(device_, 4, 9, 3, Dtype::f64, 3);
  Tape tape;
  auto sink = std::make_unique<ProbeNode>();
  sink->send = [](const Value&, Gradients&) {};
  const Variable shared = probe(tape.watch(p), std::move(sink));
  const auto forward_with = [&](const Value& gradient) {
    auto node = std::make_unique<ProbeNode>();
    node->send = [gradient](const Value&, Gradients& to) { to.add(0, gradient); };
    return tape.record(Tensor::scalar(device_, 0.0), std::move(node), {&shared});
  };
  const WeightedLoss roots[] = {{forward_with(a), 1.0}, {forward_with(b), 1.0}};
  tape.backward(roots);
  EXPECT_EQ(seen_, std::vector<std::string>{"row-sparse f64 [4, 9] k 5"});
  EXPECT_EQ(tape.report().densified, 0);
}

TEST_F(TapeTest, ASparseGradientOfAParameterIsDensifiedAndCounted) {
  Parameter p("p", random_tensor(device_, {4, 9}, Dtype::f64, 1));
  const Value gradient = random_row_sparse(device_, 4, 9, 2, Dtype::f64, 2);
  Tape tape;
  tape.backward(scale(tape.watch(p), 1), gradient);
  EXPECT_EQ(gradient_of(p), dense_values(gradient));
  EXPECT_EQ(tape.report().densified, 1);
}

TEST_F(TapeTest, DeferredAndRowGradientsStaySoOnlyAtAParameter) {
  const DeferredProduct product{random_row_sparse(device_, 5, 4, 2, Dtype::f64, 1),
                                random_tensor(device_, {5, 3}, Dtype::f64, 2)};
  const RowsGradient rows{i32({2}, {3, 1}), random_tensor(device_, {2, 3}, Dtype::f64, 3), 4};
  std::vector<double> expected = to_double(materialize(product));
  for (size_t i = 0; i < 3; ++i) {
    expected[9 + i] += rows.values.data<double>()[i];
    expected[3 + i] += rows.values.data<double>()[3 + i];
  }
  for (const bool at_parameter : {true, false}) {
    Parameter p("p", random_tensor(device_, {4, 3}, Dtype::f64, 4));
    Tape tape;
    const Variable input = at_parameter ? tape.watch(p) : scale(tape.watch(p), 1);
    auto node = std::make_unique<ProbeNode>();
    node->send = [&](const Value&, Gradients& to) {
      to.add(0, product);
      to.add(0, rows);
    };
    tape.backward(probe(input, std::move(node)), random_tensor(device_, {4, 3}, Dtype::f64, 5));
    ASSERT_EQ(p.gradient.terms().size(), at_parameter ? 2u : 1u);
    EXPECT_EQ(std::holds_alternative<DeferredProduct>(p.gradient.terms()[0]), at_parameter);
    EXPECT_LT(worst_difference(gradient_of(p), expected), 1e-15);
    EXPECT_EQ(tape.report().densified, 0);
  }
}

TEST_F(TapeTest, AColumnSumIsAllThatASumsOnlyNodeReceives) {
  Parameter p("p", f64({3}, {1, 2, 3}));
  const Tensor g = random_tensor(device_, {4, 3}, Dtype::f64, 1);
  for (const Value& gradient : {Value(g), Value(random_row_sparse(device_, 4, 3, 2, Dtype::f64, 2)),
                                Value(random_compressed(device_, 4, 3, Dtype::f64, 3)), Value(column_sum(g))}) {
    p.gradient.clear();
    seen_.clear();
    Tape tape;
    const Variable x = tape.watch(p);
    auto node = std::make_unique<ProbeNode>();
    node->only_column_sum = true;
    node->seen = &seen_;
    const Variable y = tape.record(random_tensor(device_, {4, 3}, Dtype::f64, 4), std::move(node), {&x});
    auto asks = std::make_unique<ProbeNode>();
    asks->send = [&](const Value& arrived, Gradients& to) {
      EXPECT_TRUE(to.wanted(0));
      EXPECT_TRUE(to.column_sum_suffices(0));
      to.add(0, arrived);
      to.add(0, column_sum(arrived));  // a second arrival, already summed
    };
    const Variable z = tape.record(y.value, std::move(asks), {&y});
    tape.backward(z, gradient);
    EXPECT_EQ(seen_, std::vector<std::string>{"dense f64 [1, 3]"});
    std::vector<double> twice = to_double(column_sum(gradient));
    for (double& value : twice) value *= 2;
    EXPECT_EQ(gradient_of(p), twice);
  }
}

TEST_F(TapeTest, ANodeKnowsWhichInputsWantAGradient) {
  Parameter p("p", f64({1}, {1}));
  Tape tape;
  const Variable watched = tape.watch(p), constant = f64({1}, {2});
  auto node = std::make_unique<ProbeNode>();
  node->send = [](const Value& gradient, Gradients& to) {
    EXPECT_FALSE(to.wanted(0));
    EXPECT_FALSE(to.column_sum_suffices(0));
    EXPECT_TRUE(to.wanted(1));
    EXPECT_FALSE(to.column_sum_suffices(1));
    to.add(0, gradient);  // goes nowhere
    to.add(1, gradient);
  };
  tape.backward(tape.record(p.value(), std::move(node), {&constant, &watched}));
  EXPECT_EQ(gradient_of(p), std::vector<double>{1});
}

TEST_F(TapeTest, SavedTensorsDieAsSoonAsTheyAreUsed) {
  Parameter p("p", Tensor::zeros(device_, {1000}, Dtype::f64));
  Tape tape;
  Variable loss = sum(scale(tape.watch(p), 2));
  const int64_t before = device_.memory().live;
  tape.backward(loss);
  p.gradient.clear();
  EXPECT_LE(device_.memory().live, before - 8000) << "the scaled values were kept by the node alone";
}

TEST_F(TapeTest, ReportsWhatItRecorded) {
  Parameter p("weight", f64({2}, {1, 2}));
  Tape tape;
  tape.backward(sum(scale(tape.watch(p), 2)));
  const TapeReport report = tape.report();
  ASSERT_EQ(report.rows.size(), 3u);
  EXPECT_EQ(report.rows[0].name, "weight");
  EXPECT_EQ(report.rows[1].name, "scale");
  EXPECT_EQ(report.rows[1].inputs, "dense f64 [2]");
  EXPECT_EQ(report.rows[1].output, "dense f64 [2]");
  EXPECT_EQ(report.rows[1].gradient, "dense f64 [2]");
  EXPECT_EQ(report.rows[1].bytes_saved, 8);
  EXPECT_EQ(report.rows[1].flops, 3e9);
  EXPECT_GE(report.rows[1].forward_seconds, 0);
  EXPECT_GT(report.rows[2].backward_seconds, 0);
  const std::string text = report.to_string();
  EXPECT_NE(text.find("scale"), std::string::npos);
  EXPECT_NE(text.find("densified 0"), std::string::npos);
}

TEST_F(TapeTest, Refusals) {
  Parameter p("p", f64({2}, {1, 2}));
  Tape tape, other;
  const Variable x = tape.watch(p), loss = sum(x);
  EXPECT_REFUSED(tape.backward(scale(x, 2)), "a loss is one number, got f64 [2]");
  EXPECT_REFUSED(other.backward(loss), "not recorded on this tape");
  EXPECT_REFUSED(tape.backward(Variable(f64({1}, {1}))), "not recorded on this tape");
  EXPECT_REFUSED(other.backward(loss, f64({1}, {1})), "not recorded on this tape");
  const Variable elsewhere = other.watch(p);
  EXPECT_REFUSED(tape_of({&x, &elsewhere}), "two tapes");
  const Variable constant = f64({1}, {1});
  EXPECT_EQ(tape_of({&constant, &x}), &tape);
  EXPECT_EQ(tape_of({&constant}), nullptr);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Tape fresh;
    EXPECT_REFUSED(fresh.backward(sum(scale(fresh.watch(p), bad))), "tape: the loss of 'sum' is ");
  }
  tape.backward(loss);
  EXPECT_REFUSED(tape.backward(loss), "tape: backward ran already");
  EXPECT_EQ(gradient_of(p), (std::vector<double>{1, 1})) << "what was refused must have left no trace";
}

TEST_F(TapeTest, AnUpdateBetweenForwardAndBackwardIsRefused) {
  Parameter p("p", f64({2}, {1, 2}));
  Tape tape;
  const Variable loss = sum(scale(tape.watch(p), 2));
  p.update<double>([](double* values) { values[0] = 5; });
  EXPECT_REFUSED(tape.backward(loss), "parameter 'p' was updated between forward and backward");
  EXPECT_TRUE(p.gradient.empty());
  EXPECT_EQ(p.version(), 1);
  EXPECT_REFUSED(p.update<float>([](float*) {}), "elements are f64, read as f32");
}

}  // namespace
}  // namespace sae
