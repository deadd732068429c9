"""Which ONNX operators execution providers and engines take, for machines that lack them.

Only operators of image-to-image networks are listed; what is not listed counts as not taken. From:

- CUDA: `docs/OperatorKernels.md` of microsoft/onnxruntime, CUDAExecutionProvider;
- TensorRT: `docs/operators.md` of onnx/onnx-tensorrt for TensorRT 10.15 (opset 9 to 24), and
  NVIDIA's "TensorRT Operators" for the types that Shape takes;
- CoreML: `tools/ci_build/github/apple/coreml_supported_mlprogram_ops.md` of microsoft/onnxruntime
  and its `core/providers/coreml/builders/impl`, model format MLProgram, onnxruntime 1.26 and later
  (Pad by reflection: pull request 28073; Split: 28270);
- WebGPU: `core/providers/webgpu/webgpu_execution_provider.cc` of microsoft/onnxruntime.
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARITHMETIC = _names("Add Sub Mul Div Pow Sqrt Exp Relu Clip Sigmoid Tanh Softmax")
_LAYERS = _names(
    "Conv ConvTranspose InstanceNormalization AveragePool MaxPool GlobalAveragePool "
    "MatMul Gemm Resize Pad DepthToSpace ReduceMean ReduceSum ReduceMax"
)
_MOVES = _names("Cast Transpose Reshape Squeeze Unsqueeze Slice Concat Split Shape")
_COMMON = _ARITHMETIC | _LAYERS | _MOVES

CUDA = _COMMON | _names(
    "Abs Neg Floor Ceil Round Reciprocal Log Erf Sign Sin Cos Elu Selu LeakyRelu PRelu HardSigmoid "
    "HardSwish Softplus Softsign ThresholdedRelu Gelu Min Max Mod Sum Equal Greater GreaterOrEqual "
    "Less LessOrEqual And Or Not Where BatchNormalization LayerNormalization GlobalMaxPool "
    "Upsample SpaceToDepth ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare Gather "
    "GatherElements GatherND ScatterElements ScatterND Tile Expand Flatten Identity Constant "
    "ConstantOfShape Range QuantizeLinear DequantizeLinear"
)

TENSORRT = CUDA | _names("Celu Mish Mean GroupNormalization LpNormalization Trilu")

COREML = _COMMON | _names(
    "Elu LeakyRelu PRelu HardSigmoid Softplus Gelu Erf Reciprocal Round Ceil Sin "
    "Cos Max GroupNormalization LayerNormalization GlobalMaxPool Gather GatherND "
    "GridSample Tile Identity Constant"
)

WEBGPU = _COMMON | _names(
    "Abs Neg Floor Ceil Reciprocal Log Erf Sin Cos Tan Elu LeakyRelu ThresholdedRelu HardSigmoid "
    "Gelu Equal Greater GreaterOrEqual Less LessOrEqual Not Where BatchNormalization "
    "LayerNormalization GlobalMaxPool ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare "
    "Gather GatherElements Tile Expand Flatten Range CumSum Einsum Identity Constant "
    "DequantizeLinear"
)

TENSORRT_OPSETS = range(9, 25)
TENSORRT_RESIZE_MODES = ("nearest", "linear")
COREML_RESIZE = {"mode": ("nearest", "linear"), "nearest_mode": ("floor",)}
