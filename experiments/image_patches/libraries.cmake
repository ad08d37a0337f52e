set(extra Eigen3::Eigen JPEG::JPEG)
