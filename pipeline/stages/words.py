"""What each kind of stage does and how long it takes as a rule, for those who wait: by the name of its module.

Times are of the five edge networks on two cores that do nothing else; training by PROFILE is in docs/settings.md.
"""

from __future__ import annotations

WORDS = {
    "c_package": "the file as C99, golden clips beside it; some seconds",
    "committed_weights": "the quantized weights that ship, taken as they are; at once",
    "conversion": "QDQ ONNX lowered to integer TFLite; seconds",
    "arm_outputs": "a network of a study in torch on what is judged; half a minute to two",
    "dry_conversion": "random weights converted first, to refuse now what the target cannot take; 10 to 30 s",
    "evaluation_data": "the mixtures that are judged, and those for calibration; seconds, music up to a minute",
    "float_export": "the float network as ONNX, the reference of the report; seconds",
    "further_training": "the float network trained as long as the quantized ones; as they",
    "onnx2tf_beside": "what onnx2tf makes of the network, for comparison; minutes",
    "onnx2tf_conversion": "conversion by onnx2tf; minutes",
    "qdq_export": "the quantized network as QDQ ONNX; some seconds",
    "quantized_weights": "ranges observed and fitted, then training by PROFILE; ptq half a minute to two, quick minutes, full hours",
    "report": "the file judged in every runtime against the float network; half a minute to three minutes, full longer",
    "simulation": "the quantized network in torch on what is judged, and the noise of its layers; half a minute to two",
    "stream_export": "the whole graph rewritten as one step of a hop; some seconds",
    "target_gates": "the limits that the target changes, looked up; seconds",
    "teacher_weights": "the float weights, checked and brought to the sources' level; 5 to 30 s",
    "tflm_kit": "what firmware with TFLite Micro compiles: the file, its resolver, arena and golden clips; some seconds",
    "trained_teacher": "the float network trained from the data; hours",
}
