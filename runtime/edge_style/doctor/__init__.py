"""`edge-style doctor`: what is here, what works, and what to do about the rest.

    examine    all of it in one report, and the advice that follows from it
    engines    execution providers: built in, and which of them ran a frame
    libraries  the libraries of CUDA, cuDNN and TensorRT
    cameras    cameras and their modes
    video      OpenCV's windows and codecs, PyAV's encoders
    private    paths of the user taken out of what is said

A report is a dictionary of JSON values, fit to be shown to others: no name of a user or computer
and no path beyond the cache folders, whose home is written `~`.
"""
