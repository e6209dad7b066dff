"""StyleID (Chung et al., CVPR 2024): training-free style transfer by attention injection."""
