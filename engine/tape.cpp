#include "engine/tape.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/error.h"
#include "engine/not_finite.h"

namespace sae {

// --- Gradients -------------------------------------------------------------------------------------------------------

int Gradients::target(int input) const {
  return tape_.entries_[static_cast<size_t>(node_)].inputs[static_cast<size_t>(input)];
}

bool Gradients::wanted(int input) const { return target(input) >= 0; }

bool Gradients::column_sum_suffices(int input) const {
  return wanted(input) && tape_.entries_[static_cast<size_t>(target(input))].column_sum_suffices;
}

void Gradients::add(int input, Value gradient) {
  if (wanted(input)) tape_.deliver(target(input), std::move(gradient));
}

void Gradients::add(int input, DeferredProduct gradient) {
  if (!wanted(input)) return;
  Tape::Entry& entry = tape_.entries_[static_cast<size_t>(target(input))];
  if (entry.parameter != nullptr) {
    entry.row.gradient = "deferred product";
    entry.parameter->gradient.add(std::move(gradient));
  } else {
    tape_.deliver(target(input), materialize(gradient));
  }
}

void Gradients::add(int input, RowsGradient gradient) {
  if (!wanted(input)) return;
  Tape::Entry& entry = tape_.entries_[static_cast<size_t>(target(input))];
  if (entry.parameter != nullptr) {
    entry.row.gradient = "rows";
    entry.parameter->gradient.add(std::move(gradient));
  } else {
    Gradient one;
    const Shape shape{gradient.total_rows, gradient.values.cols()};
    Device& device = gradient.values.device();
    const Dtype dtype = gradient.values.dtype();
    one.add(std::move(gradient));
    tape_.deliver(target(input), materialize(one, device, shape, dtype));
  }
}

Tensor Gradients::densify(const Value& value) { return sae::densify(value, tape_.densified_); }

// --- Tape ------------------------------------------------------------------------------------------------------------

Tape::Tape() : last_(std::chrono::steady_clock::now()) {}

double Tape::seconds_since_last() {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  return seconds;
}

Variable Tape::watch(Parameter& parameter) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].parameter == &parameter) return {parameter.value(), this, static_cast<int>(i)};
  }
  Entry entry;
  entry.parameter = &parameter;
  entry.version = parameter.version();
  entry.row.name = parameter.name();
  entry.row.output = parameter.value().describe();
  entries_.push_back(std::move(entry));
  return {parameter.value(), this, static_cast<int>(entries_.size()) - 1};
}

Variable Tape::record(Value output, std::unique_ptr<Node> node, std::initializer_list<const Variable*> inputs) {
  Entry entry;
  for (const Variable* input : inputs) {
    entry.inputs.push_back(input->tape == this ? input->node : -1);
    if (!entry.row.inputs.empty()) entry.row.inputs += " ; ";
    entry.row.inputs += describe(input->value);
  }
  entry.row.name = node->name();
  entry.row.output = describe(output);
  entry.row.bytes_saved = node->bytes_saved();
  entry.row.flops = node->flops();
  entry.column_sum_suffices = node->column_sum_suffices();
  entry.node = std::move(node);
  entry.row.forward_seconds = seconds_since_last();
  entries_.push_back(std::move(entry));
  return {std::move(output), this, static_cast<int>(entries_.size()) - 1};
}

void Tape::deliver(int index, Value gradient) {
  Entry& entry = entries_[static_cast<size_t>(index)];
  if (entry.row.gradient.empty()) entry.row.gradient = describe(gradient);
  if (entry.parameter != nullptr) {
    entry.parameter->gradient.add(sae::densify(gradient, densified_));
    return;
  }
  CHECK(entry.node != nullptr, "tape: backward ran already; record each step on a tape of its own");
  if (entry.column_sum_suffices && rows_of(gradient) != 1) gradient = column_sum(gradient);
  if (entry.gradients.empty()) {
    entry.gradients.push_back(std::move(gradient));
  } else {
    entry.gradients.front() = sae::add(entry.gradients.front(), gradient, densified_);
  }
}

void Tape::run_backward(int from) {
  for (const Entry& entry : entries_) {
    if (entry.parameter == nullptr) continue;
    CHECK(entry.parameter->version() == entry.version,
          "tape: parameter '{}' was updated between forward and backward; run backward before the optimiser",
          entry.parameter->name());
  }
  seconds_since_last();
  for (int i = from; i >= 0; --i) {
    Entry& entry = entries_[static_cast<size_t>(i)];
    if (entry.gradients.empty() || entry.node == nullptr) continue;
    Gradients to(*this, i);
    entry.node->backward(entry.gradients.front(), to);
    entry.node.reset();  // saved tensors die as soon as they are used
    entry.gradients.clear();
    entry.row.backward_seconds = seconds_since_last();
  }
}

void Tape::backward(std::span<const WeightedLoss> losses) {
  int last = -1;
  for (const WeightedLoss& root : losses) {
    CHECK(root.loss.tape == this, "tape: a loss that was not recorded on this tape has no gradient");
    const Tensor& loss = require_dense("tape", root.loss.value);
    CHECK(loss.elements() == 1, "tape: a loss is one number, got {}", loss.describe());
    visit_real("tape", loss.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T value = loss.item<T>();
      if (!std::isfinite(value)) {
        throw NotFinite(fmt::format("tape: the loss of '{}' is {}; lower the learning rate or look at the data",
                                    entries_[static_cast<size_t>(root.loss.node)].row.name, value));
      }
      deliver(root.loss.node, Tensor::scalar(loss.device(), static_cast<T>(root.weight)));
    });
    last = std::max(last, root.loss.node);
  }
  run_backward(last);
}

void Tape::backward(const Variable& loss) {
  const WeightedLoss root{loss, 1.0};
  backward(std::span<const WeightedLoss>(&root, 1));
}

void Tape::backward(const Variable& output, Value gradient) {
  CHECK(output.tape == this, "tape: a value that was not recorded on this tape has no gradient");
  deliver(output.node, std::move(gradient));
  run_backward(output.node);
}

TapeReport Tape::report() const {
  TapeReport report;
  for (const Entry& entry : entries_) report.rows.push_back(entry.row);
  report.densified = densified_.count;
  return report;
}

std::string TapeReport::to_string() const {
  std::string text = fmt::format("{:<18} {:>9} {:>9} {:>8} {:>9}  {}\n", "op", "fwd ms", "bwd ms", "GFLOP", "saved MB",
                                 "inputs -> output; gradient");
  for (const Row& row : rows) {
    text += fmt::format("{:<18} {:>9.3f} {:>9.3f} {:>8.3f} {:>9.2f}  {}{}{}{}\n", row.name, row.forward_seconds * 1e3,
                        row.backward_seconds * 1e3, row.flops * 1e-9, static_cast<double>(row.bytes_saved) * 1e-6,
                        row.inputs, row.inputs.empty() ? "" : " -> ", row.output,
                        row.gradient.empty() ? "" : "; " + row.gradient);
  }
  return text + fmt::format("densified {}\n", densified);
}

Tape* tape_of(std::initializer_list<const Variable*> inputs) {
  Tape* tape = nullptr;
  for (const Variable* input : inputs) {
    if (input->tape == nullptr) continue;
    CHECK(tape == nullptr || tape == input->tape, "tape: the inputs of one operation lie on two tapes");
    tape = input->tape;
  }
  return tape;
}

}  // namespace sae
