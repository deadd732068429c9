"""The light of another photo: photorealistic style transfer (Li et al. 2018, arXiv 1802.06474).

    masks       label images: which part of a photo takes its light from which part of another
    colours     the first step: the photo in the reference's colours
    transform   whitening and colouring of features, per label
    networks    the encoder and the decoder, as ONNX files
    transfer    the whole way from a photo and a reference to a picture
    affine      the fast smoothing, a guided filter: a picture as local affine map of the photo
    matting     the exact smoothing: a sparse linear system (needs SciPy)
    transport   colours carried over by optimal transport, where there are no networks
    table       a look as a table of colours: quick enough for a camera
    look        such a table kept up to date with a camera's frames
    wrapped     stylizers whose pictures get a look, and the one that paints nothing

Everything but `matting` needs numpy, OpenCV and onnxruntime alone.
"""

# In place of a style's name, where a look is all that is wanted.
NO_PAINTING = "look"
