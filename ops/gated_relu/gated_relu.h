#pragma once

#include "engine/tape.h"

namespace sae {

/// z = max(scale u + magnitude_bias, 0) where u + gate_bias > 0, else 0 (Rajamanoharan et al. 2024, "Improving
/// dictionary learning with gated sparse autoencoders", eq. 6 and 7, weights shared by a scale for each latent): one
/// path decides which latents are active, another how strongly. A NaN in u stays a NaN.
///   u dense [rows, cols]; gate_bias, scale, magnitude_bias dense [cols], scale above 0; z dense.
/// Backward, with g the gradient of z in any layout, on the places where z > 0 (elsewhere all are 0):
///   du = g scale, in the layout and pattern of g;  dscale = sum over rows of g u;  dmagnitude_bias = sum over rows of
///   g gate_bias receives none: a step has no derivative. The auxiliary path of the model trains it.
/// relu_compressed(gated_relu(...)) stores only active places. Cost: one read and one write; saves u and z. Throws on
/// another layout, and on shapes and dtypes that do not fit.
Variable gated_relu(const Variable& u, const Variable& gate_bias, const Variable& scale,
                    const Variable& magnitude_bias);

}  // namespace sae
