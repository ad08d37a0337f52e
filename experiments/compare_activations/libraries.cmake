set(extra Eigen3::Eigen)
