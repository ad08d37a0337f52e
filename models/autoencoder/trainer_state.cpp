// What a resumed run needs: Trainer::state and Trainer::restore.
#include <map>

#include "engine/error.h"
#include "models/autoencoder/trainer.h"

namespace sae {
namespace {

class SavedTensors {
 public:
  explicit SavedTensors(const Trainer::State& state) {
    for (const auto& [name, tensor] : state.tensors) by_name_.emplace(name, tensor);
  }
  bool has(const std::string& name) const { return by_name_.contains(name); }
  const Tensor& get(const std::string& name, const Shape& shape, Dtype dtype) const {
    const auto found = by_name_.find(name);
    CHECK(found != by_name_.end(),
          "restore: the checkpoint has no tensor '{}'; it is of another version or kind of run", name);
    CHECK(found->second.shape() == shape && found->second.dtype() == dtype,
          "restore: '{}' is {} in the checkpoint, this run has {} {}", name, found->second.describe(), name_of(dtype),
          shape.to_string());
    return found->second;
  }

 private:
  std::map<std::string, Tensor> by_name_;
};

}  // namespace

Trainer::State Trainer::state() const {
  require_reported();
  State state;
  Device& device = autoencoder_.encoder().value().device();
  const auto parameters = autoencoder_.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters[i]->name();
    state.tensors.emplace_back(name, parameters[i]->value());
    state.tensors.emplace_back(moments_[i].first_moment.name(), moments_[i].first_moment.value());
    state.tensors.emplace_back(moments_[i].second_moment.name(), moments_[i].second_moment.value());
    state.tensors.emplace_back(name + ".adam_steps", Tensor::scalar(device, moments_[i].step));
    if (options_.averaging) {
      state.tensors.emplace_back(name + ".average", averages_[i].raw());
      state.tensors.emplace_back(name + ".average_updates", Tensor::scalar(device, averages_[i].updates()));
    }
  }
  state.tensors.emplace_back("rows_since_fired",
                             Tensor::from(device, {static_cast<int64_t>(rows_since_fired_.size())}, rows_since_fired_));
  state.tensors.emplace_back("progress", Tensor::from(device, {2}, std::vector<int64_t>{steps_done_, rows_seen_}));
  state.tensors.emplace_back("last_l0", Tensor::scalar(device, last_l0_));
  state.tensors.emplace_back("latents_compressed", Tensor::scalar(device, int64_t{compressed_}));
  if (dead_room_ >= 0) state.tensors.emplace_back("dead_room", Tensor::scalar(device, dead_room_));
  return state;
}

void Trainer::restore(const State& state) {
  captured_.reset();
  counted_on_device_ = false;
  unread_.clear();
  const SavedTensors saved(state);
  auto parameters = autoencoder_.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Shape shape = parameters[i]->value().shape();
    const Dtype dtype = parameters[i]->value().dtype();
    const std::string& name = parameters[i]->name();
    parameters[i]->assign(saved.get(name, shape, dtype));
    moments_[i].first_moment.assign(saved.get(moments_[i].first_moment.name(), shape, dtype));
    moments_[i].second_moment.assign(saved.get(moments_[i].second_moment.name(), shape, dtype));
    moments_[i].step = saved.get(name + ".adam_steps", {1}, Dtype::i64).item<int64_t>();
    if (options_.averaging) {
      averages_[i].restore(saved.get(name + ".average", shape, dtype),
                           saved.get(name + ".average_updates", {1}, Dtype::i64).item<int64_t>());
    }
  }
  rows_since_fired_ =
      saved.get("rows_since_fired", {static_cast<int64_t>(rows_since_fired_.size())}, Dtype::i64).to_vector<int64_t>();
  const std::vector<int64_t> progress = saved.get("progress", {2}, Dtype::i64).to_vector<int64_t>();
  steps_done_ = progress[0];
  rows_seen_ = progress[1];
  last_l0_ = saved.get("last_l0", {1}, Dtype::f64).item<double>();
  compressed_ = saved.get("latents_compressed", {1}, Dtype::i64).item<int64_t>() != 0;
  dead_room_ = saved.has("dead_room") ? saved.get("dead_room", {1}, Dtype::i64).item<int64_t>() : -1;
}

}  // namespace sae
