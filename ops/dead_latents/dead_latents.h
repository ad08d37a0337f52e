#pragma once

#include <vector>

#include "engine/layout.h"

namespace sae {

/// Counts, for each latent, the rows since it last fired, and lists the dead, on simt and cuda, in a step for which
/// nobody waits: the host never learns how many there are. Otherwise the trainer counts on the host.
class DeadLatents {
 public:
  /// Goes on from these counts. At most `capacity` latents are listed, the lowest ones, whatever their number.
  DeadLatents(Device& device, const std::vector<int64_t>& rows_since_fired, int64_t dead_after, int64_t capacity);

  /// Brings listed() up to date; *dead (in memory of the device) is how many there are in all.
  void list(int* dead);
  /// i32 [capacity]: the dead latents, ascending, then the number of all latents in the places that are left.
  const Tensor& listed() const { return listed_; }
  int64_t capacity() const { return listed_.elements(); }

  /// Takes in a step's latents, f32 row-sparse: one fires in a row where it is above `above`. Adds the firings to
  /// *active.
  void count(const RowSparse& latents, float above, int* active);
  /// A copy on the host; waits.
  std::vector<int64_t> rows_since_fired() const { return rows_since_fired_.to_vector<int64_t>(); }

 private:
  Tensor rows_since_fired_;  // i64 [latents], written in place
  Tensor listed_;            // i32 [capacity], written in place
  int64_t dead_after_;
};

}  // namespace sae
