"""Training of style-transfer networks in PyTorch: Gatys et al. 2016 and Johnson et al. 2016."""
