"""The networks of the photorealistic transfer: VGG16 as encoder, a decoder that undoes it.

`networks` is what they are, `decoder_training` is how the decoder learns. What is done between
the two, and after them, needs no PyTorch: it is `edge_style.photo`.
"""
