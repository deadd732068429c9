"""The light of another photo: photorealistic style transfer (Li et al. 2018, arXiv 1802.06474).

    masks       label images: which part of a photo takes its light from which part of another
    transform   whitening and colouring of features, per label
    affine      the fast smoothing, a guided filter: a picture as local affine map of the photo
    matting     the exact smoothing: a sparse linear system (needs SciPy)
"""
