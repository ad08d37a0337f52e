#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/layout.h"
#include "engine/parameter.h"

namespace sae {

class Tape;

/// A value, and where it stands on a tape. Without a tape it is a constant: ops on constants record nothing.
struct Variable {
  Value value;
  Tape* tape = nullptr;
  int node = -1;

  Variable(Value v) : value(std::move(v)) {}   // NOLINT: a value is a constant variable
  Variable(Tensor t) : value(std::move(t)) {}  // NOLINT
  Variable(Value v, Tape* t, int n) : value(std::move(v)), tape(t), node(n) {}
};

/// Where a node's backward sends the gradients of its inputs.
class Gradients {
 public:
  /// Does anything behind this input want a gradient? Work for an input that does not can be left out.
  bool wanted(int input) const;
  /// Is the sum over the rows of this input's gradient all that its producer will use (it added a row vector to a
  /// constant matrix)? A [1, cols] tensor may then be sent in place of the [rows, cols] gradient.
  bool column_sum_suffices(int input) const;
  void add(int input, Value gradient);
  /// For the gradient of a weight; it is multiplied out at once where the input is not a parameter.
  void add(int input, DeferredProduct gradient);
  void add(int input, RowsGradient gradient);
  /// The dense matrix of a gradient; counted in the tape's report.
  Tensor densify(const Value& value);

 private:
  friend class Tape;
  Gradients(Tape& tape, int node) : tape_(tape), node_(node) {}
  int target(int input) const;
  Tape& tape_;
  int node_;
};

/// One recorded operation: a struct with named saved fields, defined in its op's .cpp beside the forward.
class Node {
 public:
  virtual ~Node() = default;
  virtual std::string_view name() const = 0;
  /// Sends the gradients of the inputs, given the gradient of the output in whatever layout it came.
  virtual void backward(const Value& gradient, Gradients& to) = 0;
  /// Bytes of values that the node keeps alive for backward.
  virtual int64_t bytes_saved() const { return 0; }
  /// True where backward uses only the sum over rows of its gradient (see Gradients::column_sum_suffices).
  virtual bool column_sum_suffices() const { return false; }
  /// Floating-point operations of the forward pass.
  virtual double flops() const { return 0; }
};

/// What a tape recorded: the profile of a step and its teaching view.
struct TapeReport {
  struct Row {
    std::string name;
    std::string inputs;  ///< layouts and shapes
    std::string output;
    std::string gradient;  ///< the layout in which the gradient arrived; empty before backward
    int64_t bytes_saved = 0;
    double flops = 0;
    double forward_seconds = 0;  ///< since the previous record: what the op and its glue took
    double backward_seconds = 0;
  };
  std::vector<Row> rows;
  int64_t densified = 0;
  std::string to_string() const;
};

/// A root of backward: a scalar ([1], dense) and the weight with which it enters the total.
struct WeightedLoss {
  Variable loss;
  double weight = 1.0;
};

/// Records operations in the order in which they run; the reverse of that order is a topological order, so backward
/// is one loop without recursion. Used for one step, then dropped.
class Tape {
 public:
  Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// The parameter's value as a variable whose gradient backward adds to parameter.gradient. Watching a parameter
  /// again returns the same variable.
  Variable watch(Parameter& parameter);
  /// Called by ops: the result of an operation on `inputs`, with the node that knows its backward.
  Variable record(Value output, std::unique_ptr<Node> node, std::initializer_list<const Variable*> inputs);

  /// Adds the gradients of the weighted sum of losses to the watched parameters. Throws if a loss is not a finite
  /// scalar on this tape, or if a parameter was updated since it was watched.
  void backward(std::span<const WeightedLoss> losses);
  void backward(const Variable& loss);
  /// The same from any output with a given gradient (for checks).
  void backward(const Variable& output, Value gradient);

  TapeReport report() const;

 private:
  friend class Gradients;
  struct Entry {
    std::unique_ptr<Node> node;  // null: a watched parameter
    Parameter* parameter = nullptr;
    int64_t version = 0;      // of the parameter when it was watched
    std::vector<int> inputs;  // entries on this tape; -1: a constant
    bool column_sum_suffices = false;
    std::vector<Value> gradients;  // arrived so far
    TapeReport::Row row;
  };
  void deliver(int entry, Value gradient);
  void run_backward(int from);
  double seconds_since_last();

  std::vector<Entry> entries_;
  DensifyCount densified_;
  std::chrono::steady_clock::time_point last_;
};

/// The tape that an op with these inputs records on, or null if all are constants. Throws if they lie on two tapes.
Tape* tape_of(std::initializer_list<const Variable*> inputs);

}  // namespace sae
