#include "models/autoencoder/refine.h"

#include <cmath>

#include "tests/support/tensors.h"

namespace sae {
namespace {

class Refine : public testing::CpuTest {
 protected:
  static constexpr int64_t width = 6, latents = 9;

  Autoencoder make(const Tensor& decoder, Activation activation = Activation::relu) {
    const AutoencoderOptions options{
        .width = decoder.cols(), .latents = decoder.rows(), .activation = activation, .k = 4};
    return Autoencoder(options, decoder.clone(), Tensor::zeros(device_, {decoder.rows()}, Dtype::f32), decoder.clone(),
                       testing::random_tensor(device_, {decoder.cols()}, Dtype::f32, 3));
  }
  static double error(const Autoencoder& autoencoder, const Tensor& x, const Value& z) {
    const Tensor y = decode(autoencoder, z);
    double sum = 0;
    for (int64_t i = 0; i < x.elements(); ++i) {
      sum += std::pow(static_cast<double>(x.data<float>()[i]) - static_cast<double>(y.data<float>()[i]), 2);
    }
    return sum;
  }
};

TEST_F(Refine, OrthogonalDirectionsGetTheirProjections) {
  // Directions along the axes: each value is then x - b_pre there, or 0 where that is below.
  const Autoencoder autoencoder = make(Tensor::from(device_, {3, 3}, std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0, 1}));
  const float* bias = autoencoder.pre_bias().value().data<float>();
  const Tensor x = Tensor::from(device_, {1, 3}, std::vector<float>{bias[0] + 2, bias[1] - 1, bias[2] + 5});
  const RowSparse z{Columns(Tensor::from(device_, {1, 3}, std::vector<int32_t>{0, 1, 2})),
                    Tensor::from(device_, {1, 3}, std::vector<float>{1.5f, 0.5f, 0.0f}), 3};
  const std::vector<float> refined = stored_values(refine(autoencoder, x, z)).to_vector<float>();
  EXPECT_NEAR(refined[0], 2, 1e-5);
  EXPECT_EQ(refined[1], 0);
  EXPECT_EQ(refined[2], 0);  // was no active latent
}

TEST_F(Refine, EndsWhereNoDirectionLeadsFurtherDown) {
  for (const Activation activation : {Activation::relu, Activation::topk}) {
    const Autoencoder autoencoder = make(testing::random_tensor(device_, {latents, width}, Dtype::f32, 5), activation);
    const Tensor x = testing::random_tensor(device_, {7, width}, Dtype::f32, 8);
    const Value before = encode(autoencoder, x);
    const Value after = refine(autoencoder, x, before, {.iterations = 100000, .tolerance = 1e-9});
    EXPECT_TRUE(same_pattern(before, after));
    EXPECT_LT(error(autoencoder, x, after), error(autoencoder, x, before));
    // Karush-Kuhn-Tucker: the slope of the error is 0 at a positive value and not negative at 0.
    const Tensor y = decode(autoencoder, after);
    const SparseRows pattern = sparse_rows("test", after);
    for (int64_t row = 0; row < pattern.rows; ++row) {
      for (int64_t e = pattern.begin(row); e < pattern.end(row); ++e) {
        if (!(stored_values(before).data<float>()[e] > 0)) continue;
        double slope = 0;
        for (int64_t i = 0; i < width; ++i) {
          slope += (static_cast<double>(y.data<float>()[row * width + i]) -
                    static_cast<double>(x.data<float>()[row * width + i])) *
                   static_cast<double>(autoencoder.decoder().value().data<float>()[pattern.index[e] * width + i]);
        }
        const float value = stored_values(after).data<float>()[e];
        EXPECT_GE(value, 0);
        EXPECT_GE(slope, -1e-4);
        EXPECT_LE(value > 0 ? slope : 0.0, 1e-4);
      }
    }
  }
}

TEST_F(Refine, RefusesWhatDoesNotBelongTogether) {
  const Autoencoder autoencoder = make(testing::random_tensor(device_, {latents, width}, Dtype::f32, 5));
  const Tensor x = testing::random_tensor(device_, {2, width}, Dtype::f32, 8);
  const Value z = encode(autoencoder, x);
  EXPECT_REFUSED(refine(autoencoder, testing::random_tensor(device_, {3, width}, Dtype::f32, 8), z), "do not belong");
  EXPECT_REFUSED(refine(autoencoder, x, Tensor::zeros(device_, {2, latents}, Dtype::f32)),
                 "refine: expected a sparse layout");
}

}  // namespace
}  // namespace sae
